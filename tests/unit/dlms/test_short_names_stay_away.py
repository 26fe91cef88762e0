"""A gateway that has no meter with short names only never loads what they need."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT, micropython_environment

SCRIPT = """
import asyncio, sys
from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from gateway.dlms.client.client import SN, Association, Client
from gateway.dlms.errors import DlmsError

class Clock:
    def ticks_ms(self):
        return 0

class Link:
    max_apdu = 500
    def __init__(self, *frames):
        self.frames = list(frames)
    async def send(self, frame):
        pass
    async def receive(self, timeout_ms):
        if not self.frames:
            raise asyncio.TimeoutError
        return self.frames.pop(0)

def loaded():
    return [name for name in sorted(sys.modules) if "short" in name or "base_names" in name
            or name.endswith("client.variables")]

granted = acse.InitiateResponse(acse.GET, 500).encode()
aare = acse.Aare(acse.LN, 0, (1, 0), granted).encode()
# nor does anybody on the line make it
strange = bytes([0x0C, 1, 0, 0x11, 1]), bytes([0x0D, 1, 0]), bytes([0x18, 0, 0, 0])
one = Client(Link(aare, *strange), Clock(), None, Association(16), None, tries=1)
asyncio.run(one.associate())
for call in (one.get(1, bytes(6), 2), one.listen(10)):
    try:
        asyncio.run(call)
    except DlmsError:
        pass
for stranger in strange:
    try:
        apdu.decode(stranger)
    except DlmsError:
        pass
print(loaded())
Client(Link(), Clock(), None, Association(16, referencing=SN), None)
print(len(loaded()))
"""


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
def test_short_names_are_loaded_with_the_first_association_that_has_them(
    runtime: str, micropython: str
) -> None:
    done = subprocess.run(
        [sys.executable if runtime == "cpython" else micropython, "-c", SCRIPT],
        cwd=ROOT,
        env=micropython_environment(),
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout.decode().split("\n")) == (0, ["[]", "4", ""]), done.stderr
