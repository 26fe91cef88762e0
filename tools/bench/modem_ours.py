"""What `ami-bench modem` measures, on either runtime: exchanges of each driver, from send() to the
echo as an event, with a modem that answers at once and costs nothing.

Run as a program it measures itself (`micropython -m tools.bench.modem_ours 5`: five rounds) and
prints one line of JSON: exchanges a second by driver, and how large one is.
"""

from __future__ import annotations

import json
import sys

from hal.modem import usi
from hal.modem.dlmsotcp import DlmsOTcp
from hal.modem.mam import frames as mam_frames
from hal.modem.mam.mam import MetersAndMore
from hal.modem.prime import api
from hal.modem.prime.prime import Prime
from hal.modem.prime.walk import LIST_RECORD, LIST_RESPONSE
from hal.modem.wmbus import amber_frames, hci, wmbus
from hal.modem.wmbus.amber import Amber
from hal.modem.wmbus.imst import Imst
from hal.modem.wrapper import wrap
from hal.ports import Rx, TxDone
from tools.bench.rounds import measure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from hal.modem.attached import Driver

APDU = bytes(range(100))
PLC_NODE = "0080e1000001"
MAM_NODE = "02000000000a"
RF_NODE = "2d2c576866323002"
_FOREVER_MS = 10**12
_EXCHANGE_MS = 2000


class Case:
    """A driver that knows its node, and what its modem says to each request to that. frames: how
    many go over the line in an exchange. bit_rate: of its channel at its best."""

    def __init__(
        self, name: str, driver: Driver, node: str, answers: bytes, frames: int, bit_rate: int
    ) -> None:
        self.name = name
        self.frames = frames
        self.bit_rate = bit_rate
        self._driver = driver
        self._node = node
        self._answers = answers
        self._now = 1000000
        self.octets = self.exchange()

    def exchange(self) -> int:
        """One request and its echo: bytes over the line. ValueError when it is not done right."""
        driver = self._driver
        self._now += _EXCHANGE_MS
        driver.tick(self._now)
        driver.send(self._node, APDU, 16, 1, self._now)
        request = driver.outgoing()
        driver.feed(self._answers, self._now)
        done, rx = driver.events()
        if isinstance(done, Rx):
            done, rx = rx, done
        if not isinstance(done, TxDone) or not isinstance(rx, Rx) or rx.data != APDU:
            raise ValueError("%s: the exchange is not done right" % self.name)
        return len(request) + len(self._answers)


def _prime() -> Case:
    driver = Prime(silence_ms=_FOREVER_MS, refresh_ms=_FOREVER_MS)
    driver.start(0)
    record = b"\x00\x00\x00\x05" + bytes(17) + bytes.fromhex(PLC_NODE)
    page = bytes((LIST_RESPONSE, 0x82, 0x50, 1, LIST_RECORD)) + record
    driver.feed(usi.frame(usi.PRIME_GET_RESPONSE_ENHANCED, page), 0)
    driver.outgoing()
    driver.events()
    confirm = bytes((api.CL432_DATA_CONFIRM, 1, 16, 0, 5, 0))
    echo = bytes((api.CL432_DATA_INDICATION, 16, 1, 0, 0, 0, 5, 0, len(APDU))) + APDU + b"\x00"
    answers = usi.frame(usi.PRIME_API, confirm) + usi.frame(usi.PRIME_API, echo)
    return Case("prime-usi", driver, PLC_NODE, answers, 3, 130000)


def _dlms_o_tcp() -> Case:
    driver = DlmsOTcp(silence_ms=_FOREVER_MS)
    driver.start(0)
    node = b"\x01\x00\x05\x00\x01\x00" + bytes.fromhex(PLC_NODE)
    driver.feed(wrap(0, 1, node), 0)
    driver.outgoing()
    driver.events()
    return Case("dlms-o-tcp", driver, PLC_NODE, wrap(5, 16, APDU), 2, 130000)


def _meters_and_more() -> Case:
    driver = MetersAndMore(silence_ms=_FOREVER_MS, refresh_ms=_FOREVER_MS)
    node = bytes.fromhex(MAM_NODE)
    parser = usi.Parser()
    driver.start(0)
    found = False
    now = 0
    while now < 600000:
        for frame in parser.feed(driver.outgoing()):
            path, service, attribute, dsap, _, _, _ = mam_frames.parse_request(frame.data)
            said = [bytes((mam_frames.DATA_CONFIRM,)) + path[-1] + bytes((dsap, 0, 0))]
            if attribute == mam_frames.ADDRESS_REQUEST and not found:
                found = True
                said.append(_told(node, mam_frames.ADDRESS_RESPONSE, mam_frames.record(node)))
            elif path[-1] == node and attribute == mam_frames.TCT_SET_REQUEST:
                said.append(_told(node, mam_frames.ACKNOWLEDGE, b"\x00\xff\xff\xff"))
            elif service != mam_frames.SEND:
                silence = (mam_frames.EVENT_INDICATION, mam_frames.EVENT_TIMEOUT, 0)
                said.append(bytes(silence))
            for data in said:
                driver.feed(usi.frame(usi.METERS_AND_MORE, data), now)
        now += driver.due_ms(now)
        driver.tick(now)
    driver.events()
    driver.outgoing()
    confirm = bytes((mam_frames.DATA_CONFIRM,)) + node + bytes((0, 0, 0))
    echo = mam_frames.Indication(node, 19, 0, b"\x01\x10" + APDU).encode()
    answers = usi.frame(usi.METERS_AND_MORE, confirm) + usi.frame(usi.METERS_AND_MORE, echo)
    return Case("meters-and-more", driver, MAM_NODE, answers, 3, 4800)


def _told(node: bytes, attribute: int, apdu: bytes) -> bytes:
    return mam_frames.Indication(node, attribute, mam_frames.DSAP_MANAGEMENT, apdu).encode()


def _echo() -> bytes:
    return wmbus.from_meter(wmbus.Telegram(bytes.fromhex(RF_NODE), 1, 1, 16, APDU))


def _imst() -> Case:
    driver = Imst(duty_permille=1000, silence_ms=_FOREVER_MS)
    driver.start(0)
    driver.outgoing()
    taken = hci.frame(hci.RADIO, hci.SEND_RESPONSE)
    answers = taken + hci.frame(hci.RADIO, hci.INDICATION, _echo(), 0, 85)
    return Case("imst", driver, RF_NODE, answers, 3, 4800)


def _amber() -> Case:
    driver = Amber(duty_permille=1000, silence_ms=_FOREVER_MS)
    driver.start(0)
    settings = amber_frames.frame(amber_frames.GET | 0x80, b"\x00\x80" + bytes(0x80))
    driver.feed(settings, 0)
    driver.outgoing()
    taken = amber_frames.frame(amber_frames.DATA | 0x80, b"\x00")
    answers = taken + amber_frames.frame(amber_frames.DATA_INDICATION, _echo())
    return Case("amber", driver, RF_NODE, answers, 3, 4800)


MAKERS: list[Callable[[], Case]] = [_prime, _dlms_o_tcp, _meters_and_more, _imst, _amber]


def main(rounds: int) -> dict[str, object]:
    """runtime, and a row for each driver."""
    rows = []
    for make in MAKERS:
        case = make()
        speed = measure([case.exchange], rounds)[0]
        # per cent of one core while its channel is full of nothing but these exchanges
        seconds_on_air = 8 * case.octets / case.bit_rate
        share = 100 / speed.median / seconds_on_air
        rows.append(
            {
                "driver": case.name,
                "exchanges": speed.record(),
                "frames": case.frames,
                "octets": case.octets,
                "bit_rate": case.bit_rate,
                "share": share,
            }
        )
    version = ".".join([str(part) for part in sys.implementation.version[:3]])
    return {"runtime": "%s %s" % (sys.implementation.name, version), "rows": rows}


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
