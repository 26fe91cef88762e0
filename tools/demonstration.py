"""`./tools/demo`: the whole way of use case 10 once, with real processes on this machine.

A broker, a concentrator, a street of virtual meters behind emulated PLC and RF modems that lose
frames, and the HES: a configuration is built, signed, ordered, carried out, read back and reported;
then the meters are asked directly whether it is true.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from gateway.uplink import envelope
from tools import judge
from tools.hes import order, report
from tools.hes.store import Store
from tools.hes.watch import watch
from tools.meter.population import NORMAL
from tools.package.__main__ import EXAMPLES
from tools.package.compile import compile_file
from tools.stage import CONCENTRATOR, RUNTIMES, Stage, StageProblem

EXAMPLE = EXAMPLES / "measurement-interval.yaml"
READ = "profile_generic 1.0.99.1.0.255 capture_period"
WIDTH = 120  # of the report in a file or pipe
LIMIT = 600  # seconds for the whole job; far above what it takes


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
        else "%d things are not as they must be; logs: %s" % (len(complaints), folder)
    )
    console.print(Text(verdict, "bold red" if complaints else "bold green"))
    console.print("%.0f s" % outcome["seconds"], highlight=False)
    return 1 if complaints else 0


def _run(stage: Stage, options: argparse.Namespace, console: Console) -> dict[str, Any]:
    def say(text: str) -> None:
        console.print(Text("· " + text), soft_wrap=True)

    say("broker: %s" % (options.broker or "an embedded one (amqtt)"))
    stage.start_broker(options.broker)
    say(
        "%d virtual meters on PLC and RF, %d %% of frames lost"
        % (options.meters, 100 * options.loss)
    )
    stage.start_meters(options.meters, options.seed, options.loss, options.speed)
    say("the HES: ami-hes serve")
    stage.start_hes()
    say("the concentrator: ami-gateway on %s" % options.runtime)
    stage.start_gateway(options.runtime)
    with stage.control() as control:
        meters = control.meters()
        package = compile_file(EXAMPLE)
        raw = envelope.sign(package.to_payload(), stage.key.kid, stage.key.sign)
        say("package: %s %s, %d bytes, signed" % (package.name, package.version, len(raw)))
        store = stage.store()
        now = int(time.time())
        terms = order.Terms(5, now - 60, now + 3600, tries=3, backoff=2)
        serials = [meter["serial"] for meter in meters]
        job = order.configure(store, stage.key, CONCENTRATOR, serials, terms, raw)
        configured = _follow(stage, store, job, console)
        console.print(report.render_report(configured))
        found = judge.complaints(configured, package, control)

        some = [meter["serial"] for meter in meters if meter["role"] == NORMAL][:3]
        say("and a reading: %s" % READ)
        attributes = [order.parse_attribute(READ)]
        job = order.read(store, stage.key, CONCENTRATOR, some, terms, attributes)
        values = _follow(stage, store, job, console)
        console.print(report.render_report(values))
        found += judge.read_complaints(values, control)
    return {
        "runtime": options.runtime,
        "seed": options.seed,
        "loss": options.loss,
        "conditions": {meter["serial"]: meter["role"] for meter in meters},
        "configuration": configured,
        "reading": values,
        "complaints": found,
    }


def _follow(stage: Stage, store: Store, job: bytes, console: Console) -> dict[str, Any]:
    """Live until the job is over. A process that dies, or a job that hangs, ends the demo."""
    over = threading.Event()

    def guard() -> None:
        deadline = time.monotonic() + LIMIT
        while not over.wait(0.5):
            try:
                stage.ensure_running()
                if time.monotonic() > deadline:
                    raise StageProblem("the job is not over after %d s" % LIMIT)
            except StageProblem as problem:
                print("\nerror: %s\nlogs: %s" % (problem, stage.folder), file=sys.stderr)
                stage.__exit__()
                os._exit(1)

    threading.Thread(target=guard, daemon=True).start()
    try:
        return watch(store, job, console)
    finally:
        over.set()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "./tools/demo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--meters", type=int, default=24, metavar="N", help="default 24")
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
    parser.add_argument("--json", type=Path, metavar="FILE", help="the outcome for machines")
    return parser


if __name__ == "__main__":
    sys.exit(main())
