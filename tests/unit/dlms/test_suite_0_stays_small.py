"""A board whose meters are of suite 0 never loads signatures, key agreement and their envelopes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT, micropython_environment

SCRIPT = """
import sys
from gateway.dlms.client.client import Client
from gateway.dlms.errors import SecurityFailed
from gateway.dlms.protection import hls, security_setup
from gateway.dlms.protection.keyring import Keys
from gateway.dlms.protection.security import Ciphering
if sys.implementation.name == "micropython":
    from hal.micropython.crypto import SystemCrypto
else:
    from hal.cpython.crypto import SystemCrypto

def side(own, peer):
    keys = Keys(own, bytes(16), bytes(16))
    return Ciphering(SystemCrypto(), keys, lambda: 7, peer)

client, meter = side(b"CLIENT01", b"METER001"), side(b"METER001", b"CLIENT01")
request = bytes([0xC0, 1, 0xC1]) + bytes(300)
assert meter.unprotect(client.protect(request)) == request
for stranger in (b"\\xdd\\x00\\x00", b"\\xdf\\x00\\x00"):  # nor does anybody on the line make it
    try:
        meter.unprotect(stranger)
    except SecurityFailed:
        continue
    raise AssertionError("taken")
there = [name for name in ("enveloping", "envelope", "public_key", "key_agreement")
         if "gateway.dlms.protection." + name in sys.modules]
print("loaded:", there)
"""


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
def test_nothing_of_suites_1_and_2_is_imported(runtime: str, micropython: str) -> None:
    done = subprocess.run(
        [sys.executable if runtime == "cpython" else micropython, "-c", SCRIPT],
        cwd=ROOT,
        env=micropython_environment(),
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout.decode().strip()) == (0, "loaded: []"), done.stderr
