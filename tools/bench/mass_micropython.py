"""An image for many meters by the real gateway under MicroPython with a small heap: real processes,
a broker, an HES, and an emulated base node whose channel is faster than real."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tools.bench import mass_channel
from tools.bench.mass_transfer import FIRMWARE, image
from tools.bench.wrong import WrongWork
from tools.bootstrap import VENV
from tools.demonstration.stage import CONCENTRATOR, Stage, StageProblem
from tools.hes.orders import order
from tools.package import image as image_package

HEAP = "2m"
METERS, SIZE = 300, 16384
LOSS = 0.02
SPEED = 20  # times faster than real that the channel is
LIMIT_S = 900
SCENE = """\
population:
  meters: %d
  shares: {plc: 1}
plc: {rate: %d, overhead: %d, latency: %dms, hops: [%s], loss: %d %%}
"""


class _Stage(Stage):
    def __enter__(self) -> _Stage:
        return self

    def start_district(self, meters: int, seed: int) -> None:
        scene = self.folder / "district.yaml"
        hops = ", ".join("%d %%" % share for share in mass_channel.HOPS)
        scene.write_text(
            SCENE
            % (
                meters,
                mass_channel.RATE,
                mass_channel.OVERHEAD,
                mass_channel.LATENCY_MS,
                hops,
                100 * LOSS,
            )
        )
        command = [sys.executable, "-m", "tools.meter", "population", "--scenario", str(scene)]
        command += ["--inventory", str(self.data), "--seed", str(seed), "--control", "0"]
        command += ["--speed", str(SPEED), "--plc-pty", str(self.folder / "plc")]
        self._ports = json.loads(self._start("meters", command))

    def start_watched(self, micropython: Path) -> None:
        url = "serial:%s?baud=%d" % (self.folder / "plc", mass_channel.BAUD)
        settings = {
            "concentrator": CONCENTRATOR,
            "system_title": "414d490000000001",
            "uplink": {"host": self._broker.hostname, "port": self._broker.port},
            "signers": [{"kid": self.key.kid.hex(), "key": self.key.public.hex()}],
            "hes_keys": self.hes_keys(),
            "modems": [{"driver": "prime-usi", "url": url}],
        }
        path = self.folder / "gateway.json"
        path.write_text(json.dumps(settings) + "\n")
        self.enrol(path)
        command = [str(micropython), "-X", "heapsize=" + HEAP, "-m", "tools.bench.mass_heap"]
        self._start("gateway", [*command, str(path), str(self.data)], wait=False)

    def cpu_s(self) -> float:
        """Processor time of the gateway so far."""
        stat = Path("/proc/%d/stat" % self._processes["gateway"].pid).read_text()
        ticks = stat.rpartition(")")[2].split()[11:13]  # utime, stime
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def measure(meters: int = METERS, size: int = SIZE, seed: int = 1) -> dict[str, Any]:
    """code, live and heap in bytes, seconds, and cpu_s of the gateway. WrongWork when not every
    meter has the image in the end, as when the gateway runs out of memory."""
    with tempfile.TemporaryDirectory() as folder, _Stage(Path(folder)) as stage:
        try:
            stage.start_broker()
            stage.start_district(meters, seed)
            stage.start_hes()
            stage.start_watched(VENV / "bin" / "micropython")
            stage.wait_for_hello()
            began = time.monotonic()
            job = _order(stage, meters, size)
            store = stage.store()
            stage.wait_for("the job's end", LIMIT_S, lambda: store.reports.finished(job))
        except StageProblem as error:
            raise WrongWork("MicroPython: %s" % error) from error
        seconds = time.monotonic() - began
        outcomes = Counter(row.outcome for row in store.reports.meters(job))
        if outcomes != {"OK": meters}:
            raise WrongWork("MicroPython: the transfer ended with %s" % outcomes)
        found = {"meters": meters, "size": size, "seconds": seconds, "cpu_s": stage.cpu_s()}
        return {**found, **_told(stage)}


def _order(stage: Stage, meters: int, size: int) -> bytes:
    content = image(size)
    described = image_package.describe(
        content, "firmware", "1", "", ["AMI-E450"], FIRMWARE, FIRMWARE, "ciphered"
    )
    now = int(time.time())
    return order.transfer_image(
        stage.store().orders,
        stage.key,
        CONCENTRATOR,
        ["AMI%010d" % number for number in range(1, meters + 1)],
        order.Terms(5, now, now + 86400, 3, 600),
        image_package.signed(described, content, stage.key),
    )


def _told(stage: Stage) -> dict[str, int]:
    """What mass_heap.py has said last."""
    found = {}
    for line in (stage.folder / "gateway.log").read_text(errors="replace").splitlines():
        word, *numbers = line.split()
        if word == "code":
            found["code"] = int(numbers[0])
        elif word == "heap":
            found["live"], found["heap"] = int(numbers[0]), int(numbers[1])
    return found
