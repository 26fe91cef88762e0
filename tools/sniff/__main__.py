"""ami-sniff: what passes on a modem's line, down to COSEM names; and recordings of it."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NoReturn, TextIO

from gateway.version import VERSION
from hal.ports import PortError
from tools.dlms.failure import one_line
from tools.dlms.output import printable
from tools.sniff import framing, keys, source
from tools.sniff.decoder import AUTO, Decoder
from tools.sniff.frame import Chunk
from tools.sniff.keys import KeyProblem, Keys
from tools.sniff.middle import Middle, offered
from tools.sniff.output import JsonLines, Lines
from tools.sniff.pcap import PcapProblem
from tools.sniff.recording import RecordingProblem

DESCRIPTION = """\
Decode what passes on the line of a modem, a meter or a customer port. SOURCE is a file (the bytes
of a line as they are; a recording of --record; Microchip's sniffer file, ATPLSF; a pcap) or a port
to listen to (tcp://host:port, serial:/dev/ttyUSB0?baud=115200, usb:0403:6001).

  ami-sniff capture.bin                                    what is it?
  ami-sniff --keys keys.jsonl --meters meters.jsonl trace.jsonl   deciphered, meters by serial
  ami-sniff -v --ek HEX 'serial:/dev/ttyUSB1?baud=2400&format=8E1'     pushes of a customer port
  ami-sniff meters.pcap --json | jq 'select(.damage)'      TCP and UDP 4059; only what is damaged

In the middle of a line, to record it (stop with Ctrl-C; the gateway's settings then name the port
that is offered instead of the modem's). A recording is all that passed, passwords sent in clear
included: only you may read the file.

  ami-sniff --record trace.jsonl --offer pty:/run/ami/modem serial:/dev/ttyS1?baud=115200
  ami-replay --help                                        a regression test of trace.jsonl

A line a frame: time (or @offset in the file), > to the modem or < from it, its layers, what it
says, as much as fits; all of it with -v and --json. What is damaged is in red, with the CRC
expected and the one that came. What no tag proves is marked NOT AUTHENTICATED. Keys, passwords and
values that may be secret are never shown. AMI_SNIFF_EK and AMI_SNIFF_AK stand in for --ek and --ak.
Exit status 0: decoded; 1: the source cannot be read, or was lost, or nothing in it is recognised;
2: the command is not right.
"""

_LONGEST_S = 366 * 86400


class WrongCall(Exception):
    """The command line is not right."""


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return asyncio.run(_run(options))
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads on
        return 0
    except (WrongCall, KeyProblem, argparse.ArgumentTypeError) as problem:
        return _failed(str(problem), 2)
    except (PcapProblem, RecordingProblem, PortError) as problem:
        return _failed(str(problem), 1)
    except OSError as error:
        name = getattr(error, "filename", None)
        text = one_line(error) if name is None else error.strerror
        return _failed("%s: %s" % (name or options.source, text), 1)


def _failed(line: str, status: int) -> int:
    print("ami-sniff: %s" % printable(line), file=sys.stderr)
    return status


async def _run(options: argparse.Namespace) -> int:
    known = _keys(options)
    shown = JsonLines(options.verbose) if options.json else Lines(options.verbose)
    chunks, format = _chunks(options)
    decoder = Decoder(format, known)
    shown.begin()
    left = options.count or None
    try:
        async for chunk in chunks:
            frames = decoder.feed(chunk)[:left]
            for frame in frames:
                shown.frame(frame)
            if left is not None:
                left -= len(frames)
                if not left:
                    break
        else:
            for frame in decoder.end():
                shown.frame(frame)
    except asyncio.CancelledError:  # Ctrl-C
        for frame in decoder.end():
            shown.frame(frame)
        raise
    finally:
        await chunks.aclose()  # type: ignore[attr-defined]
        shown.end(decoder)
    if not decoder.recognised:
        formats = ", ".join(framing.FORMATS)
        line = "%s: not recognised: no frames of %s; name its --format if you know it"
        return _failed(line % (options.source, formats), 1)
    return 0


def _chunks(options: argparse.Namespace) -> tuple[AsyncIterator[Chunk], str]:
    if options.record is not None or options.offer is not None:
        if options.record is None or options.offer is None:
            raise WrongCall("--record FILE and --offer URL go together")
        if not source.is_url(options.source):
            raise WrongCall("--record: expected the modem's port, got %r" % options.source)
        if options.record.exists():
            raise WrongCall("%s is there already; it would be overwritten" % options.record)
        offered(options.offer)
        return _recorded(options, _recording(options.record)), options.format
    if source.is_url(options.source):
        return source.listen(options.source, options.seconds), options.format
    capture = source.Capture(Path(options.source))
    return _read(capture), capture.format if options.format == AUTO else options.format


async def _read(capture: source.Capture) -> AsyncIterator[Chunk]:
    for chunk in capture.chunks():
        yield chunk


def _recording(path: Path) -> TextIO:
    """A new file that only its owner may read."""
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8")


async def _recorded(options: argparse.Namespace, file: TextIO) -> AsyncIterator[Chunk]:
    with file:
        middle = Middle(options.source, offered(options.offer), file)
        passing = middle.run(options.seconds)
        print("ami-sniff: recording; the gateway's port is %s" % options.offer, file=sys.stderr)
        try:
            async for chunk in passing:
                yield chunk
        finally:
            await passing.aclose()  # type: ignore[attr-defined]
            if middle.missed:
                text = "ami-sniff: %d chunks were recorded and not shown" % middle.missed
                print(text, file=sys.stderr)


def _keys(options: argparse.Namespace) -> Keys:
    known = keys.read(options.keys, options.meters, options.board_key)
    ek = options.ek or os.environ.get("AMI_SNIFF_EK", "")
    ak = options.ak or os.environ.get("AMI_SNIFF_AK", "")
    if ak and not ek:
        raise WrongCall("--ak deciphers nothing without --ek")
    if ek:
        known.add(keys.given(ek, ak), [])
    known.titles += options.title
    return known


class _Parser(argparse.ArgumentParser):
    """Complains in one line."""

    def error(self, message: str) -> NoReturn:
        print("ami-sniff: %s; see %s --help" % (message, self.prog), file=sys.stderr)
        sys.exit(2)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="ami-sniff",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version="%(prog)s " + VERSION)
    add = parser.add_argument
    add("source", metavar="SOURCE", help="a file or a port")
    add("--format", choices=(AUTO, *framing.FORMATS), default=AUTO, help="default auto")
    add("-v", "--verbose", action="store_true", help="all layers, byte by byte")
    add("--json", action="store_true", help="an object a line; at the end the summary")
    add("--count", type=_count, default=0, metavar="N", help="stop after N frames")
    add("--seconds", type=_seconds, default=0, metavar="S", help="listen or record for so long")
    add("--record", type=Path, metavar="FILE", help="write down what passes either way")
    add("--offer", metavar="URL", help="for the gateway: pty:/path/of/link or tcp://host:port")
    group = parser.add_argument_group("keys to decipher with")
    add = group.add_argument
    add("--keys", type=Path, metavar="FILE", help="keys.jsonl of an inventory")
    add("--meters", type=Path, metavar="FILE", help="its meters.jsonl: whose address is whose")
    add("--board-key", type=Path, metavar="FILE", help="where the keys are wrapped")
    add("--ek", metavar="HEX", help="or one meter's encryption key")
    add("--ak", metavar="HEX", help="and authentication key; without it nothing is authenticated")
    add(
        "--title",
        type=_title,
        action="append",
        default=[],
        metavar="HEX",
        help="system title of whoever does not tell it: a client whose AARQ was not captured, a"
        " meter that leaves it empty",
    )
    return parser


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 1 << 31:
        raise argparse.ArgumentTypeError("expected a number from 1 on, not %r" % text)
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds <= _LONGEST_S:
        raise argparse.ArgumentTypeError("expected seconds, not %r" % text)
    return seconds


def _title(text: str) -> bytes:
    try:
        title = bytes.fromhex(text)
    except ValueError:
        title = b""
    if len(title) != 8:
        raise argparse.ArgumentTypeError("expected 16 hex digits, not %r" % text)
    return title


if __name__ == "__main__":
    sys.exit(main())
