"""What `ami-bench uplink` measures, on either runtime and of either of two checkouts: the handshake
of a session, and messages sealed and opened.

Run as a program with a checkout on its path. It takes each line of its input for one round, and
answers with a line of JSON: how many microseconds each step took.
"""

from __future__ import annotations

import json
import sys

from gateway.contract.edhoc.credential import Credential
from gateway.contract.edhoc.frames import SIGN_KEY
from gateway.contract.edhoc.initiator import Initiator
from gateway.contract.edhoc.responder import Responder
from tools.bench.contract_ours import ENOUGH_US, timed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from gateway.contract.sealed import Session
    from hal.ports import Crypto

SIZES = (32, 1024, 16384)  # octets of the content of a message
TOPIC = "ami/v1/cabinet-7/report"
C_I, C_R = b"\x00\x00\x00\x07", b"\x12\x34\x56\x78"


def crypto() -> Crypto:
    if sys.implementation.name == "micropython":
        from hal.micropython.crypto import SystemCrypto as Machine
    else:
        from hal.cpython.crypto import SystemCrypto as Machine
    machine: Crypto = Machine()
    return machine


class Handshake:
    """One that has gone through, whose steps can be taken again."""

    def __init__(self) -> None:
        machine = crypto()
        self._crypto = machine
        self._private, public = machine.ec_generate("P-256")
        self._hes_private, hes_public = machine.ec_generate("P-256")
        self._hes = Credential("hes", b"line-1", hes_public)
        self._peers = [(self._hes.kid, hes_public)]
        self._cabinet = Credential("cabinet-7", bytes(range(8)), public)
        self._initiator, self._responder = self.begun(), self.asked()
        self.message_1 = self._initiator.message_1()
        self.message_2 = self._responder.message_2(self.message_1)
        self.message_3, self.up = self.answered()
        self.down = self.finished()

    def begun(self) -> Initiator:
        ead = [(SIGN_KEY, bytes(64))]
        return Initiator(self._crypto, self._cabinet, self._private, C_I, ead)

    def asked(self) -> Responder:
        return Responder(self._crypto, self._hes, self._hes_private, C_R)

    # A handshake ends once. Here its end is taken again.
    def answered(self) -> tuple[bytes, Session]:
        kept = self._initiator._ephemeral
        try:
            return self._initiator.message_3(self.message_2, self._peers)
        finally:
            self._initiator._ephemeral = kept

    def finished(self) -> Session:
        kept = self._responder._schedule
        try:
            return self._responder.finished(self.message_3)[2]
        finally:
            self._responder._schedule = kept


def steps() -> list[tuple[str, Callable[[], Any]]]:
    """(name, what is timed). The concentrator's are `message_1` and `message_3`, the HES's
    `message_2` and `finished`."""
    shake = Handshake()
    found: list[tuple[str, Callable[[], Any]]] = [
        ("message_1", shake.begun),
        ("message_2", lambda: shake.asked().message_2(shake.message_1)),
        ("message_3", shake.answered),
        ("finished", shake.finished),
    ]
    for size in SIZES:
        plain = bytes(size)
        sealed = shake.up.sealer.seal(TOPIC, plain)
        found.append(("seal %d" % size, _sealing(shake.up, plain)))
        found.append(("open %d" % size, _opening(shake.down, sealed)))
    return found


def _sealing(session: Session, plain: bytes) -> Callable[[], Any]:
    return lambda: session.sealer.seal(TOPIC, plain)


def _opening(session: Session, sealed: bytes) -> Callable[[], Any]:
    def opened() -> None:
        session.opener.number = 0
        session.opener.open(TOPIC, sealed)

    return opened


def main() -> None:
    found = steps()
    times = [int(ENOUGH_US // max(timed(work, 1), 1)) + 1 for _, work in found]
    while sys.stdin.readline():
        report = []  # MicroPython's maps keep no order
        for place in range(len(found)):
            report.append([found[place][0], timed(found[place][1], times[place])])
        print(json.dumps({"steps": report}))
        if hasattr(sys.stdout, "flush"):
            sys.stdout.flush()


if __name__ == "__main__":
    main()
