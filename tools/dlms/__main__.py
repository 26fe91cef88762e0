"""ami-dlms: talk DLMS/COSEM to a meter by hand, over any transport."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NoReturn

from gateway.dlms.data import obis
from gateway.dlms.errors import DlmsError
from gateway.dlms.protection.policy import DIALECTS, FORMS, KEY_SOURCES
from gateway.version import VERSION
from hal.ports import PortError
from tools.dlms import (
    certificates,
    clock,
    failure,
    identify,
    image,
    learn,
    members,
    notify,
    objects,
    profile,
    rekey,
)
from tools.dlms.counter_file import CounterProblem
from tools.dlms.failure import REFUSED, WRONG_CALL, CallProblem, Failed, one_line
from tools.dlms.output import print_json, printable
from tools.dlms.place import WrongUrl
from tools.dlms.session import LANGUAGES, MECHANISMS, POLICIES, Settings

DESCRIPTION = """\
Talk DLMS/COSEM to a meter. URL is one of
  tcp://host:4059  udp://host:4059  hdlc+tcp://host:port
  hdlc+serial:/dev/ttyUSB0?baud=9600  hdlc+serial:/dev/ttyUSB0?mode_e=1
  hdlc+tcp://host:port?mode_e=1&rfc2217=1   an optical probe behind a serial server

  ami-dlms tcp://10.0.0.7 identify
  ami-dlms tcp://10.0.0.7 get "clock 0.0.1.0.0.255 time" "register 1.0.1.8.0.255 value"
  ami-dlms hdlc+serial:/dev/ttyUSB0?mode_e=1 get "data 0.0.96.50.0.255 value" \\
      --local-key local.key                             a concentrator; with --via a meter behind it
  ami-dlms tcp://10.0.0.7 profile 1.0.99.1.0.255 --last 4 --keys keys.jsonl --serial AMI0000000001
  ami-dlms tcp://10.0.0.7 profile 0.0.99.98.0.255 --model idis --keys keys.jsonl --serial ...

Without password and keys it is the public client (16). Passwords and keys may stand in the
environment instead (AMI_DLMS_PASSWORD, AMI_DLMS_EK, AMI_DLMS_AK), where `ps` does not show them.
Exit status 0: done; 1: the meter, or the way to it, said no; 2: the command is not right.
"""

Command = Callable[[argparse.Namespace, Settings], Awaitable[int]]


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        settings = Settings(options)
        return asyncio.run(_run(options.run, options, settings))
    except KeyboardInterrupt:
        return _failed(options, "stopped", REFUSED)
    except (CallProblem, WrongUrl) as error:
        return _failed(options, str(error), WRONG_CALL)
    except (DlmsError, Failed, CounterProblem, PortError) as error:
        return _failed(options, one_line(error), REFUSED, error)
    except (OSError, asyncio.TimeoutError) as error:
        return _failed(options, "%s: %s" % (options.url, one_line(error)), REFUSED, error)


async def _run(command: Command, options: argparse.Namespace, settings: Settings) -> int:
    return await command(options, settings)


def _failed(
    options: argparse.Namespace, line: str, status: int, error: Exception | None = None
) -> int:
    print("ami-dlms: %s" % printable(line), file=sys.stderr)
    if options.json:
        print_json({**(failure.as_json(error) if error is not None else {}), "error": line})
    return status


# ---------------------------------------------------------------- the command line


class _Parser(argparse.ArgumentParser):
    """Complains in one line."""

    def error(self, message: str) -> NoReturn:
        print("ami-dlms: %s; see %s --help" % (message, self.prog), file=sys.stderr)
        sys.exit(WRONG_CALL)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="ami-dlms",
        usage="%(prog)s URL COMMAND ... [OPTION ...]",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version="%(prog)s " + VERSION)
    parser.add_argument("url", metavar="URL")
    _add_options(parser, False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", prog="ami-dlms URL")

    def add(name: str, text: str, run: Command) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        _add_options(command, True)
        command.set_defaults(run=run)
        return command

    add("identify", "who is there and what it agrees to", identify.identify)
    command = add("get", "read attributes", members.get)
    command.add_argument("attributes", nargs="+", metavar='"CLASS OBIS ATTRIBUTE"')
    command = add("set", "write an attribute and read it back", members.set)
    command.add_argument("attribute", metavar='"CLASS OBIS ATTRIBUTE"')
    command.add_argument("value", metavar='"TYPE: VALUE"', help="double-long-unsigned: 900")
    command = add("action", "invoke a method, once", members.action)
    command.add_argument("method", metavar='"CLASS OBIS METHOD"')
    command.add_argument("value", nargs="?", metavar='"TYPE: VALUE"', help="long-unsigned: 1")
    command = add("objects", "the objects this client may see", objects.objects)
    command.add_argument("--class", dest="of_class", metavar="NAME", help="only those of a class")
    command = add("profile", "rows of a load profile or event log", profile.profile)
    command.add_argument("obis", metavar="OBIS")
    command.add_argument("--from", dest="start", metavar="DATE [TIME] [OFFSET]")
    command.add_argument("--to", dest="end", metavar="DATE [TIME] [OFFSET]")
    command.add_argument("--last", type=_count, metavar="N", help="the last N rows")
    command = add("clock", "show the clock and how far it is off; set it", clock.clock)
    command.add_argument("--set", metavar="now|DATE TIME [OFFSET]")
    command = add("rekey", "give the meter new keys; they take their place in --keys", rekey.rekey)
    command.add_argument("--agree", action="store_true", help="by agreement; default: by transfer")
    command = add(
        "certificate", "the meter's certificates (suites 1 and 2)", certificates.certificate
    )
    certificates.add_options(command)
    command = add("learn", "look at an unknown meter and write a first model of it", learn.learn)
    command.add_argument("--name", default="unnamed", help="what to call it; default %(default)s")
    command.add_argument("-o", "--output", type=Path, metavar="FILE.yaml", help="default: stdout")
    command = add("notify", "show what a meter sends unasked", notify.notify)
    command.add_argument("--listen", action="store_true", help="listen at URL for meters that push")
    command.add_argument("--seconds", type=_seconds, default=60, metavar="S", help="default 60")
    command.add_argument("--count", type=_whole, default=0, metavar="N", help="stop after N")
    command.add_argument(
        "--peer-title",
        type=_title,
        metavar="HEX",
        help="the meter's system title, where its pushes do not tell it",
    )
    _add_image(add("image", "send a firmware image and activate it", image.image))
    return parser


def _add_image(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", type=Path, metavar="FILE")
    command.add_argument("--identifier", required=True, help="image_identifier: text, or 0x hex")
    command.add_argument("--expect", metavar="IDENTIFIER", help="what the meter will call it")
    command.add_argument("--object", metavar="OBIS", help="default 0.0.44.0.0.255")
    command.add_argument("--resume", action="store_true", help="go on with what the meter has")
    command.add_argument("--no-activate", action="store_true", help="stop once it is verified")
    command.add_argument(
        "--rounds", type=_count, default=3, help="sending blocks that do not stick; %(default)s"
    )
    command.add_argument(
        "--reconnects", type=_whole, default=3, metavar="N", help="default %(default)s"
    )
    command.add_argument(
        "--patience",
        type=_seconds,
        metavar="S",
        help="for verification and activation each; default 600",
    )
    command.add_argument("--poll", type=_seconds, default=2, metavar="S", help="%(default)s")


def _add_options(parser: argparse.ArgumentParser, again: bool) -> None:
    """Options may stand before the command and after it; after it (`again`) they have no default,
    so that they do not take back what stood before."""

    def add(
        name: str, default: object = None, to: argparse.ArgumentParser | None = None, **more: object
    ) -> None:
        value = argparse.SUPPRESS if again else default
        group.add_argument(name, default=value, **more)  # type: ignore[arg-type]

    group = parser.add_argument_group("who asks")
    add(
        "--model",
        metavar="NAME|FILE",
        help="of the meter: what it says is the default for all"
        " that follows; its events and alarms are named",
    )
    add("--client", 0, type=_sap, metavar="SAP", help="default 1; 16 without authentication")
    add("--server", 0, type=_sap, metavar="SAP", help="logical device; default 1")
    add("--sn", False, action="store_true", help="the meter has short names (SN) only")
    add("--auth", choices=list(MECHANISMS), help="default: what the secrets given are for")
    add("--password", metavar="TEXT", help="text, or 0x and hex digits")
    add("--password-file", type=Path, metavar="FILE")
    add("--suite", type=int, choices=[0, 1, 2], help="security suite; default that of --keys, or 0")
    add("--ek", metavar="HEX", help="global unicast encryption key")
    add("--ak", metavar="HEX", help="authentication key")
    add(
        "--keys",
        type=Path,
        metavar="keys.jsonl",
        help="take ek, ak, lls (the password), suite and counter of --serial from there",
    )
    add("--serial", metavar="SERIAL")
    add("--title", type=_title, metavar="HEX", help="own system title; default: one made here once")
    add("--counter", type=_counter, metavar="N", help="own invocation counter: at least N")
    add("--counter-file", type=Path, metavar="FILE", help="where own counters are kept")
    add(
        "--read-counter",
        nargs="?",
        const=b"",
        type=_obis,
        metavar="OBIS",
        help="first read what the meter counted, as public client; default the model's place",
    )
    add("--via", metavar="SERIAL", help="this meter, behind the concentrator at URL")
    add("--local-key", type=Path, metavar="FILE", help="the concentrator's, for --via or itself")
    group = parser.add_argument_group("how it is protected", "With --ek: by service, global key.")
    add("--protection", choices=list(FORMS), help="form of every APDU")
    add("--policy", choices=list(POLICIES), help="default both")
    add("--signed", False, action="store_true", help="general-signing around every APDU")
    add("--key-source", choices=list(KEY_SOURCES), help="of general-ciphering; default identified")
    add("--dialect", choices=list(DIALECTS), help="of general-ciphering and -signing")
    add("--master", metavar="HEX", help="master key (KEK)")
    add("--signing-key", type=Path, metavar="PEM", help="own private key")
    add("--peer-signing", type=Path, metavar="PEM", help="the meter's public key or certificate")
    add("--agreement-key", type=Path, metavar="PEM", help="own private key")
    add("--peer-agreement", type=Path, metavar="PEM", help="the meter's public key or certificate")
    group = parser.add_argument_group("how")
    add("--timeout", 10.0, type=_seconds, metavar="S", help="for one answer; default 10")
    add("--tries", 3, type=_count, metavar="N", help="sending one request; default 3")
    add("--pause", 0.0, type=_pause, metavar="S", help="before each request; default the model's")
    add("--max-pdu", 0, type=_whole, metavar="BYTES", help="largest APDU to accept")
    add("--window", 0, type=_window, metavar="N", help="general blocks at once, 1..63; default 1")
    add("--language", "en", choices=LANGUAGES, help="of events and alarms; default en")
    add("--json", False, action="store_true", help="one JSON document to stdout")
    add("--trace", False, action="store_true", help="every APDU by name to stderr; no secrets")


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 0xFFFF:
        raise argparse.ArgumentTypeError("expected a whole number up to 65535, not %r" % text)
    return int(text)


def _count(text: str) -> int:
    if _whole(text) == 0:
        raise argparse.ArgumentTypeError("expected at least 1, not 0")
    return int(text)


_sap = _count


def _window(text: str) -> int:
    if _count(text) > 63:
        raise argparse.ArgumentTypeError("expected a window 1..63, not %r" % text)
    return int(text)


def _counter(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 0xFFFFFFFF:
        raise argparse.ArgumentTypeError("expected a counter 1..4294967295, not %r" % text)
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds <= 86400:
        raise argparse.ArgumentTypeError("expected seconds, not %r" % text)
    return seconds


def _pause(text: str) -> float:
    return 0.0 if text == "0" else _seconds(text)


def _title(text: str) -> bytes:
    try:
        title = bytes.fromhex(text)
    except ValueError:
        title = b""
    if len(title) != 8:
        raise argparse.ArgumentTypeError("expected 16 hex digits, not %r" % text)
    return title


def _obis(text: str) -> bytes:
    try:
        return obis.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    sys.exit(main())
