"""`./tools/demo`: the whole way of use case 10 once, with real processes on this machine.

A broker, a concentrator, a street of virtual meters behind emulated PLC and RF modems that lose
frames, and the HES. The concentrator reaches its modems through serial lines (pseudo-terminals), a
PRIME base node by its USI protocol and a wireless M-Bus module by its HCI. A package is tried dry,
then carried out, read back and reported; a firmware goes to many meters by broadcast; and the audit
trail is checked. After each act the meters are asked directly whether it is true.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from gateway.version import VERSION
from tools.demonstration.acts import Acts, signed
from tools.demonstration.stage import RUNTIMES, Stage, StageProblem
from tools.package.__main__ import EXAMPLES
from tools.package.compile import compile_file

EXAMPLE = EXAMPLES / "measurement-interval.yaml"
WIDTH = 120  # of the report in a file or pipe
LEAST_METERS = 6
LINES = {"cpython": "pyserial", "micropython": "MicroPython's own serial port"}


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0 only if every meter ended as its condition demands."""
    options = _parser().parse_args(arguments)
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    folder = Path(tempfile.mkdtemp(prefix="ami-demo-"))
    began = time.monotonic()
    try:
        with Stage(folder) as stage:
            outcome = _run(stage, options, console)
    except StageProblem as problem:
        console.print(Text("error: %s" % problem, "bold red"))
        return 1
    except KeyboardInterrupt:
        return 130
    outcome["seconds"] = round(time.monotonic() - began, 1)
    if options.json is not None:
        options.json.write_text(json.dumps(outcome, indent=2, ensure_ascii=False) + "\n")
    complaints = outcome["complaints"]
    for complaint in complaints:
        console.print(Text(complaint, "bold red"))
    verdict = (
        "Every meter ended as its condition demands; all were asked directly."
        if not complaints
        else "Not as it must be: %d; logs: %s" % (len(complaints), folder)
    )
    console.print(Text(verdict, "bold red" if complaints else "bold green"))
    console.print("%.0f s" % outcome["seconds"], highlight=False)
    return 1 if complaints else 0


def _run(stage: Stage, options: argparse.Namespace, console: Console) -> dict[str, Any]:
    def say(text: str) -> None:
        console.print(Text("· " + text), soft_wrap=True)

    say("broker: %s" % (options.broker or "an embedded one (amqtt)"))
    stage.start_broker(options.broker)
    stage.start_meters(options.meters, options.seed, options.loss, options.speed)
    say(
        "%d virtual meters, %d %% of frames lost; PRIME base node on %s, IMST radio module on %s"
        % (options.meters, 100 * options.loss, stage.modem("plc"), stage.modem("rf"))
    )
    say("the HES: ami-hes serve")
    stage.start_hes()
    say(
        "the concentrator: ami-gateway on %s, its lines by %s"
        % (options.runtime, LINES[options.runtime])
    )
    stage.start_gateway(options.runtime)
    stage.wait_for_hello()
    with stage.control() as control:
        package = compile_file(EXAMPLE)
        raw = signed(package, stage)
        say("package: %s %s, %d bytes, signed" % (package.name, package.version, len(raw)))
        acts = Acts(stage, control, console)
        outcome: dict[str, Any] = {
            "runtime": options.runtime,
            "seed": options.seed,
            "loss": options.loss,
            "conditions": {meter["serial"]: meter["role"] for meter in control.meters()},
        }
        if not options.quick:
            outcome["dry_run"] = acts.dry_run(package, raw)
        outcome["configuration"] = acts.configuration(package, raw, canary=not options.quick)
        outcome["reading"] = acts.reading()
        if not options.quick:
            outcome["image"] = acts.transfer()
            acts.night()
            acts.network()
            acts.audit(options.runtime)
        outcome["complaints"] = acts.complaints
    return outcome


def _meters(text: str) -> int:
    if not text.isdigit() or not LEAST_METERS <= int(text) <= 2000:
        raise argparse.ArgumentTypeError("expected %d to 2000 meters" % LEAST_METERS)
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "./tools/demo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version="%(prog)s " + VERSION)
    parser.add_argument("--meters", type=_meters, default=24, metavar="N", help="default 24")
    parser.add_argument("--seed", type=int, default=1, help="who has which trouble; default 1")
    parser.add_argument(
        "--loss", type=float, default=0.05, help="of frames, 0..1, for each hop; default 0.05"
    )
    parser.add_argument(
        "--speed", type=float, default=4.0, help="channel times faster than real; default 4"
    )
    parser.add_argument(
        "--runtime",
        choices=RUNTIMES,
        default="cpython",
        help="what the gateway runs on; default cpython",
    )
    parser.add_argument(
        "--broker", metavar="URL", help="use this one, as mqtt://localhost:1883, not an own one"
    )
    parser.add_argument("--quick", action="store_true", help="only the configuration and a reading")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the outcome for machines")
    return parser


if __name__ == "__main__":
    sys.exit(main())
