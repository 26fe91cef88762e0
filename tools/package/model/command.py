"""`ami-package model`: from what is known of a make of meter to the signed model a concentrator
takes.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from rich.console import Console
from rich.text import Text

from gateway.contract.model import OWN
from gateway.contract.refused import Refused
from hal.cpython.crypto import SystemCrypto
from tools.package.keys import SigningKey, load_trust
from tools.package.model import file, show
from tools.package.model.compile import MODELS, compile_file

_DESCRIPTION = """\
Make signed models of meters: where a make of meter says who it is, how one speaks with it, and
what its events and alarms mean.

  ami-package model list                             the models that are shipped
  ami-package model show idis --tables
  ami-package model check FILE.yaml                  is it right?
  ami-package model compile FILE.yaml --key operator.pem
  ami-dlms URL learn > FILE.yaml                     a first one, of a meter that is at hand

The shipped ones, to start from: %s
""" % (MODELS)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command and its own commands."""
    parser = commands.add_parser(
        "model",
        help="make and show models of meters",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    own = parser.add_subparsers(metavar="COMMAND", required=True)

    listing = own.add_parser("list", help="the models that are shipped")
    listing.set_defaults(run=_list)

    check = own.add_parser("check", help="check a model")
    check.add_argument("file", type=Path, metavar="FILE.yaml")
    check.set_defaults(run=_check)

    compiling = own.add_parser("compile", help="compile and sign a model")
    compiling.add_argument("file", type=Path, metavar="FILE.yaml")
    compiling.add_argument(
        "-o", "--output", type=Path, metavar="FILE.model", help="default: next to it"
    )
    compiling.add_argument("--key", type=Path, required=True, metavar="KEY.pem", help="from keygen")
    compiling.set_defaults(run=_compile)

    showing = own.add_parser("show", help="show what is in a model")
    showing.add_argument("model", metavar="NAME|FILE", help="shipped, FILE.yaml or FILE.model")
    showing.add_argument("--tables", action="store_true", help="all events, alarms and status bits")
    showing.add_argument(
        "--trust", type=Path, metavar="PUBLIC.json", help="check the signatures against these keys"
    )
    showing.set_defaults(run=_show)


def _list(options: argparse.Namespace) -> int:
    models = [file.find(name) for name in file.names()]
    models.sort(key=lambda each: each.model.name != OWN)
    Console().print(show.listed(models))
    return 0


def _check(options: argparse.Namespace) -> int:
    compiled = compile_file(options.file)
    model, tables = compiled.model, compiled.tables
    rows = sum(len(table.meanings) for table in [*tables.events, *tables.alarms, *tables.status])
    print(
        "%s: right. %s %d: %d objects, %d events and bits, %d bytes for the concentrator"
        % (
            options.file,
            model.name,
            model.number,
            len(model.objects),
            rows,
            len(model.to_payload()),
        )
    )
    return 0


def _compile(options: argparse.Namespace) -> int:
    compiled = compile_file(options.file)
    key = SigningKey.load(options.key)
    output = options.output or options.file.with_suffix(".model")
    content = file.signed(compiled, key)
    part = output.with_name(output.name + ".part")
    part.write_bytes(content)
    os.replace(part, output)
    print(
        "%s: %s %d, %d bytes, signed with key %s"
        % (
            output,
            compiled.model.name,
            compiled.model.number,
            len(content),
            key.kid.hex(),
        )
    )
    return 0


def _show(options: argparse.Namespace) -> int:
    compiled = file.find(options.model)
    signature, good = _signature(options)
    Console().print(show.shown(compiled, signature, options.tables))
    return 0 if good else 1


def _signature(options: argparse.Namespace) -> tuple[Text | None, bool]:
    """What is to be said of it, and whether nothing is wrong."""
    path = Path(options.model)
    if options.model in file.names() or path.suffix in (".yaml", ".yml"):
        if options.trust is None:
            return None, True
        return Text("NONE: only a compiled model is signed", "bold red"), False
    raw = path.read_bytes()
    kids = " and ".join(sorted({kid.hex() for kid in file.key_ids(raw)}))
    if options.trust is None:
        return Text("by key %s; not checked, --trust PUBLIC.json does" % kids, "yellow"), True
    try:
        file.verify(raw, load_trust(options.trust), SystemCrypto())
    except Refused as refused:
        return Text("NOT GOOD: %s" % refused, "bold red"), False
    return Text("good, by key %s" % kids, "green"), True
