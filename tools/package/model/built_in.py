"""The models that a concentrator has without being sent one, as a module of the firmware:

    python -m tools.package.model.built_in       makes gateway/meters/built_in_models.py anew

It is made of tools/package/models/*.yaml, and a test holds the two equal.
"""

from __future__ import annotations

import sys
from pathlib import Path

from gateway.contract.model import OWN
from tools.package.model.compile import MODELS, compile_file
from tools.package.model.file import names

MODULE = Path(__file__).parents[3] / "gateway" / "meters" / "built_in_models.py"
WIDTH = 20  # octets in a line

_HEAD = '''\
"""The models that this firmware brings along, as the CBOR of contract/model.py.

Made by `python -m tools.package.model.built_in` of tools/package/models; not to be edited. `%s` is
not among them: it is what Model says by itself.
"""

from __future__ import annotations


def payload(name: str) -> bytes | None:
    """Of the model of this name; None if there is none."""
''' % (OWN)


def source() -> str:
    """The module's text."""
    lines = [_HEAD]
    for name in names():
        if name != OWN:
            raw = compile_file(MODELS / (name + ".yaml")).model.to_payload()
            lines.append('    if name == "%s":\n        return (\n' % name)
            for start in range(0, len(raw), WIDTH):
                octets = "".join("\\x%02x" % octet for octet in raw[start : start + WIDTH])
                lines.append('            b"%s"\n' % octets)
            lines.append("        )\n")
    lines.append("    return None\n")
    return "".join(lines)


def main() -> int:
    MODULE.write_text(source())
    print("%s: made anew" % MODULE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
