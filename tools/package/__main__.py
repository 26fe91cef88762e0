"""`ami-package`: from a configuration people write to the signed package a concentrator carries
out.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from gateway.contract import envelope, image_file
from gateway.contract.image_file import DELIVERIES, ImageFile
from gateway.contract.model import OWN
from gateway.contract.package import Package
from gateway.contract.refused import Refused
from gateway.version import VERSION
from hal.cpython.crypto import SystemCrypto
from tools.cosem.source import Problems
from tools.package import diff, from_meter, image
from tools.package.compile import compile_file
from tools.package.keys import KeyProblem, SigningKey, load_trust
from tools.package.model import command as model_command
from tools.package.model import file
from tools.package.model.file import ModelProblem
from tools.package.opened import YAML, package_of, tables_of
from tools.package.show import image_table, table

EXAMPLES = Path(__file__).parent / "examples"

_DESCRIPTION = (
    """\
Make signed packages of meter configurations.

A first package:
  ami-package keygen vendor.pem          a signing key; vendor.json goes to the concentrators
  ami-package check FILE.yaml            is the configuration right?
  ami-package build FILE.yaml -o FILE.pkg --key vendor.pem
  ami-package show FILE.pkg --trust vendor.json
  ami-package diff A.yaml B.pkg          where do they differ for a meter?
  ami-package from-meter URL -o FILE.yaml --keys keys.jsonl --serial SERIAL
                                         what a meter holds, as a configuration
  ami-package image FIRMWARE.bin --version 3.0 --for AMI-E450:V02. --identifier V03 \\
      --firmware V03.00.00 --key vendor.pem              firmware, or a vendor's own file
  ami-package model list                 models of meters: who they are, how one speaks with them

Examples to start from: %s
"""
    % EXAMPLES
)


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0: done; 1: the file, key or signature is not right; 2: the command is not."""
    parser = _parser()
    options, more = parser.parse_known_args(arguments)
    if more and options.run is not _from_meter:
        parser.error("unrecognized arguments: %s" % " ".join(more))
    options.more = more
    try:
        status: int = options.run(options)
        return status
    except Problems as problems:
        for problem in problems.problems:
            print(problem, file=sys.stderr)
        count = len(problems.problems)
        print("%d %s to correct" % (count, "place" if count == 1 else "places"), file=sys.stderr)
    except KeyboardInterrupt:
        print("ami-package: stopped", file=sys.stderr)
    except (KeyProblem, Refused, image.ImageProblem, ModelProblem) as error:
        print("ami-package: %s" % error, file=sys.stderr)
    except OSError as error:
        print("ami-package: %s: %s" % (error.filename, error.strerror), file=sys.stderr)
    return 1


def _keygen(options: argparse.Namespace) -> int:
    key = SigningKey.generate()
    public = key.save(options.key)
    print("%s: private key, keep it secret; key id %s" % (options.key, key.kid.hex()))
    print(
        "%s: public key, for the concentrators' settings: under `signers` if it is to sign, or"
        " under `hes_keys` if it is to protect the line; never both" % public
    )
    return 0


def _check(options: argparse.Namespace) -> int:
    package = compile_file(options.file)
    print(
        "%s: right. %s %s: %d steps, %d checks, %d bytes"
        % (
            options.file,
            package.name,
            package.version,
            len(package.steps),
            len(package.checks),
            len(package.to_payload()),
        )
    )
    return 0


def _build(options: argparse.Namespace) -> int:
    package = compile_file(options.file)
    key = SigningKey.load(options.key)
    signed = envelope.sign(package.to_payload(), key.kid, key.sign)
    output = options.output or options.file.with_suffix(".pkg")
    _write(output, signed)
    print(
        "%s: %s %s, %d bytes, signed with key %s"
        % (output, package.name, package.version, len(signed), key.kid.hex())
    )
    return 0


def _image(options: argparse.Namespace) -> int:
    content = options.file.read_bytes()
    described = image.describe(
        content,
        options.name or options.file.stem,
        options.version,
        options.description,
        options.target,
        options.identifier,
        options.firmware,
        options.delivery,
    )
    key = SigningKey.load(options.key)
    output = options.output or options.file.with_suffix(".pkg")
    _write(output, image.signed(described, content, key))
    print(
        "%s: image %s %s, %d bytes, signed with key %s"
        % (output, described.name, described.version, described.size, key.kid.hex())
    )
    return 0


def _sign(options: argparse.Namespace) -> int:
    raw = options.file.read_bytes()
    key = SigningKey.load(options.key)
    package: Package | ImageFile
    if image.is_image(raw):
        _, package = image.opened(raw)
        again = image.signed(package, image_file.split(raw)[1], key)
    else:
        _, payload, _ = envelope.split(raw)
        package = Package.from_payload(payload)
        again = envelope.sign(payload, key.kid, key.sign)
    output = options.output or options.file
    _write(output, again)
    print(
        "%s: %s %s, now signed with key %s" % (output, package.name, package.version, key.kid.hex())
    )
    return 0


def _show(options: argparse.Namespace) -> int:
    if options.file.suffix in YAML:
        package = compile_file(options.file)
        tables = tables_of(package, options.model)
        unsigned = Text("none: this is a configuration, `build` signs it", "yellow")
        Console().print(table(package, unsigned, tables))
        return 0
    raw = options.file.read_bytes()
    described: ImageFile | None = None
    if image.is_image(raw):
        raw, described = image.opened(raw)
    kid, payload, _ = envelope.split(raw)
    status = 0
    if options.trust is None:
        signature = Text("by key %s; not checked, --trust PUBLIC.json does" % kid.hex(), "yellow")
    else:
        try:
            envelope.verify(raw, load_trust(options.trust), SystemCrypto())
            signature = Text("good, by key %s" % kid.hex(), "green")
        except Refused as refused:
            signature = Text("NOT GOOD: %s" % refused, "bold red")
            status = 1
    if described is not None:
        Console().print(image_table(described, signature))
    else:
        package = Package.from_payload(payload)
        Console().print(table(package, signature, tables_of(package, options.model)))
    return status


def _diff(options: argparse.Namespace) -> int:
    first, second = package_of(options.first), package_of(options.second)
    found = diff.differences(first, second)
    pair = "%s and %s" % (options.first, options.second)
    if found:
        count = "%d %s" % (len(found), "difference" if len(found) == 1 else "differences")
        print("%s: %s (the first -> the second)" % (pair, count))
    else:
        print("%s: the same for a meter" % pair)
    for line in found + diff.headings(first, second):
        print("  " + line)
    return 1 if found else 0


def _from_meter(options: argparse.Namespace) -> int:
    parts = options.only.split(",") if options.only else from_meter.PARTS
    unknown = [part for part in parts if part not in from_meter.PARTS]
    if unknown:
        known = ", ".join(from_meter.PARTS)
        print("ami-package: --only: expected some of %s, got %s" % (known, unknown[0]),
              file=sys.stderr)  # fmt: skip
        return 2
    model = file.find(options.model or OWN)
    more = options.more + (["--model", options.model] if options.model else [])
    try:
        found = from_meter.read(options.url, parts, model, more)
    except from_meter.NotRead as error:
        print("ami-package: %s" % error, file=sys.stderr)
        return error.status
    for each in found.missing:
        print("not read: %s" % each, file=sys.stderr)
    if not found.values:
        print("ami-package: the meter holds nothing of %s" % ", ".join(parts), file=sys.stderr)
        return 1
    name = options.name or "from-%s" % (found.serial or "meter")
    from_meter.write(options.output, found, parts, name, model.tables)
    print("%s: %d values; `check` and `build` go on from there"
          % (options.output, len(found.values)))  # fmt: skip
    return 0


def _write(path: Path, content: bytes) -> None:
    """The whole file or nothing of it."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    os.replace(part, path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "ami-package",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version="%(prog)s " + VERSION)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    keygen = commands.add_parser("keygen", help="make a signing key")
    keygen.add_argument(
        "key",
        type=Path,
        metavar="KEY.pem",
        help="private key to make; KEY.json gets the public one",
    )
    keygen.set_defaults(run=_keygen)

    check = commands.add_parser("check", help="check a configuration")
    check.add_argument("file", type=Path, metavar="FILE.yaml")
    check.set_defaults(run=_check)

    build = commands.add_parser("build", help="compile and sign a configuration")
    build.add_argument("file", type=Path, metavar="FILE.yaml")
    build.add_argument("-o", "--output", type=Path, metavar="FILE.pkg", help="default: next to it")
    build.add_argument("--key", type=Path, required=True, metavar="KEY.pem", help="from keygen")
    build.set_defaults(run=_build)

    made = commands.add_parser("image", help="sign a firmware, or a vendor's configuration file")
    made.add_argument("file", type=Path, metavar="FIRMWARE", help="as the meter takes it")
    made.add_argument("--name", metavar="NAME", help="default: the file's")
    made.add_argument("--version", required=True, metavar="VERSION")
    made.add_argument("--description", default="", metavar="TEXT")
    made.add_argument(
        "--for",
        dest="target",
        action="append",
        required=True,
        metavar="MODEL[:FIRMWARE,...]",
        help="which meters, with prefixes of the firmware they run now; may be given several times",
    )
    made.add_argument(
        "--identifier", required=True, metavar="TEXT|0xHEX", help="image_to_activate_identification"
    )
    made.add_argument(
        "--firmware", required=True, metavar="TEXT", help="what a meter says it runs afterwards"
    )
    made.add_argument(
        "--delivery",
        choices=DELIVERIES,
        default="unicast",
        help="how these meters take blocks: each its own, or by broadcast, in clear or ciphered",
    )
    made.add_argument("-o", "--output", type=Path, metavar="FILE.pkg", help="default: next to it")
    made.add_argument("--key", type=Path, required=True, metavar="KEY.pem", help="from keygen")
    made.set_defaults(run=_image)

    sign = commands.add_parser("sign", help="sign a package again, with another key")
    sign.add_argument("file", type=Path, metavar="FILE.pkg")
    sign.add_argument("-o", "--output", type=Path, metavar="FILE.pkg", help="default: in place")
    sign.add_argument("--key", type=Path, required=True, metavar="KEY.pem", help="from keygen")
    sign.set_defaults(run=_sign)

    show = commands.add_parser("show", help="show what is in a package, or will be")
    show.add_argument("file", type=Path, metavar="FILE.pkg|FILE.yaml")
    show.add_argument(
        "--trust", type=Path, metavar="PUBLIC.json", help="check the signature against these keys"
    )
    _add_model(show)
    show.set_defaults(run=_show)

    compared = commands.add_parser(
        "diff", help="where two packages differ for a meter; status 1 if they do"
    )
    compared.add_argument("first", type=Path, metavar="A.pkg|A.yaml")
    compared.add_argument("second", type=Path, metavar="B.pkg|B.yaml")
    compared.set_defaults(run=_diff)

    taken = commands.add_parser(
        "from-meter",
        help="write the configuration that a meter has",
        allow_abbrev=False,
        epilog="All other options are those of `ami-dlms URL get`: --keys, --serial, --auth ...",
    )
    taken.add_argument("url", metavar="URL", help="of the meter, as for ami-dlms")
    taken.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.yaml")
    taken.add_argument(
        "--only", metavar="PART,...", help="some of %s" % ", ".join(from_meter.PARTS)
    )
    taken.add_argument("--name", metavar="NAME", help="of the package; default: from the serial")
    _add_model(taken)
    taken.set_defaults(run=_from_meter)

    model_command.add(commands)
    return parser


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        metavar="NAME|FILE",
        help="the model whose words are used; default: the package's, or %s" % OWN,
    )


if __name__ == "__main__":
    sys.exit(main())
