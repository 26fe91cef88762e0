"""What a secured line holds of MicroPython's heap, besides what a plain one does: the modules that
it is made of, and a session. Run there with the project on its path; prints a line of JSON."""

from __future__ import annotations

import gc
import json

from hal.micropython.crypto import SystemCrypto

ONE = bytes(31) + b"\x01"


def used() -> int:
    gc.collect()
    octets: int = gc.mem_alloc()  # type: ignore[attr-defined]
    return octets


def main() -> None:
    machine = SystemCrypto()
    __import__("gateway.uplink.session")  # what a plain line has, too
    machine.ec_public("P-256", ONE)  # whoever verifies orders has the curves already
    before = used()
    __import__("gateway.uplink.line")
    machine.aes_ccm(bytes(16))
    machine.hmac("sha256", b"", b"")
    modules = used()
    from gateway.contract.sealed import Opener, Sealer, Session

    key, iv, kid = bytes(16), bytes(12), bytes(4)
    session = Session(Sealer(machine, key, iv, kid), Opener(machine, key, iv, kid))
    print(json.dumps({"modules": modules - before, "session": used() - modules}))
    assert session.opener.kid == kid


if __name__ == "__main__":
    main()
