"""A developer's PC: modem kits and an optical probe on USB serial adapters. Started by
`python -m board.devkit`.
"""

from __future__ import annotations

import argparse
import sys

from board import service
from hal.cpython.usb_serial import Adapter, adapters, device_of
from hal.ports import PortError
from hal.rt import port_url

# What the settings may call "uart:plc" and so on; which adapter each is, the options tell.
UARTS = ("plc", "rf", "optical")

DESCRIPTION = """\
The firmware of the concentrator on a developer's PC, with modem kits on USB serial adapters.

Settings may name the lines uart:plc, uart:rf and uart:optical, as on a real concentrator; --plc,
--rf and --optical say which adapter each is. An adapter may be unplugged and plugged in again,
under whatever name the system then gives it.

  python -m board.devkit --list
  python -m board.devkit --settings gateway.json --plc usb:04d8:00dd --rf usb:0403:6015:IM880
"""


def main(arguments: list[str] | None = None) -> int:
    """Exit status: see board.service.main; 0 after --list."""
    parser = service.parser("devkit", DESCRIPTION)
    parser.add_argument("--list", action="store_true", help="show the USB serial adapters and end")
    for name in UARTS:
        parser.add_argument(
            "--" + name,
            type=_line,
            metavar="ADAPTER",
            help="usb:vendor:product[:serial], or a device such as /dev/ttyUSB0",
        )
    options = parser.parse_args(arguments)
    if options.list:
        print("\n".join(_listed(adapters())))
        return 0
    given = {name: getattr(options, name) for name in UARTS}
    uarts = {name: line for name, line in given.items() if line is not None}
    for name, line in uarts.items():
        print("devkit: uart:%s is %s" % (name, _found(line)), file=sys.stderr)
    return service.main("devkit", options, uarts)


def _line(text: str) -> str:
    """A value of service.main's `uarts`."""
    if text.startswith("/"):
        return text
    try:
        found = port_url.parse(text)
    except PortError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if found.kind != port_url.USB or "?" in text:
        raise argparse.ArgumentTypeError(
            "expected usb:vendor:product[:serial] or a device, came %r; the speed stands in the"
            " settings" % text
        )
    return "usb:" + found.place


def _found(line: str) -> str:
    if not line.startswith("usb:"):
        return line
    try:
        return "%s, %s now" % (line, device_of(line[4:]))
    except OSError as error:
        return "not there yet: %s" % error.strerror


def _listed(found: list[Adapter]) -> list[str]:
    if not found:
        return ["no USB serial adapter is plugged in"]
    return ["%-14s usb:%-24s %s" % (one.device, one.place, one.text) for one in found]


if __name__ == "__main__":
    sys.exit(main())
