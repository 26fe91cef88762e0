"""IMST HCI and DLMS over wireless M-Bus: captured frames, damage, budget, four conditions."""

from __future__ import annotations

from hal.modem.answer import Answer
from hal.modem.duty import DutyBudget
from hal.modem.wmbus import hci, wmbus
from hal.modem.wmbus.imst import Imst
from hal.modem.wmbus.module import MTU
from hal.ports import (
    BROADCAST,
    Busy,
    DutyCycle,
    ModemReset,
    NoRoute,
    PortError,
    Rx,
    TooLong,
    TxDone,
)
from hal.sim.channel import Rng
from tests.portable.support import raises, random_bytes

METER = "2d2c576866323002"
OWN = "2d43120000000131"
PING = bytes.fromhex("a5810100") + hci.crc16(bytes.fromhex("810100")).to_bytes(2, "little")
CAPTURED = (
    "a5820327442d2c5768663230028d20cb103407201d82040f26a7e808ff3449f9e9d2e4b28bd7e7c6f1c6df3885",
    "a582032d442d2c5768663230028d20cc113407207a8a0a514fee3152ff6b30c18b865e189e5e3ecde8f77142dee9"
    "3cd4578e2b",
    "a5820327442d2c5768663230028d20cd12340720519df247ff65e751662a300bc4e5c67da86477f0182637c1ab",
    "a5820327442d2c5768663230028d20ce13340720cf5fb58233baa470d6ccabe4d7de2e05ddebb50a60542b0ec3",
)
ANSWER = bytes.fromhex("08" + METER + "7d" + "07000000" + "0110" + "c401")


def started() -> Imst:
    driver = Imst(own=OWN)
    driver.start(0)
    assert driver.outgoing() == PING
    return driver


def heard(driver: Imst, payload: bytes, now_ms: int = 0) -> None:
    driver.feed(hci.frame(hci.RADIO, hci.INDICATION, payload), now_ms)


def test_captured_frames() -> None:
    parser = hci.Parser()
    for text in CAPTURED:
        raw = bytes.fromhex(text)
        (frame,) = parser.feed(raw, 0)
        assert (frame.endpoint, frame.message, frame.rssi) == (hci.RADIO, hci.INDICATION, None)
        assert frame.payload == raw[4:-2]
        assert hci.frame(hci.RADIO, hci.INDICATION, frame.payload) == raw
    assert (parser.frames, parser.noise, parser.damaged) == (4, 0, 0)


def test_captured_meters_are_heard_but_not_dlms() -> None:
    driver = started()
    for text in CAPTURED:
        driver.feed(bytes.fromhex(text), 0)
    assert driver.nodes() == [METER]
    assert driver.events() == [] and driver.statistics()["other-telegram"] == 4


def test_crc_and_ping_without_crc() -> None:
    assert hci.crc16(b"123456789") == 0x906E
    (frame,) = hci.Parser().feed(bytes.fromhex("a5010100"), 0)
    assert (frame.endpoint, frame.message, frame.payload) == (hci.DEVICE, hci.PING_REQUEST, b"")


def test_time_and_rssi_fields() -> None:
    raw = hci.frame(hci.RADIO, hci.INDICATION, b"abc", time=0x01020304, rssi=85)
    assert raw[:-2] == bytes.fromhex("a5e20303616263" + "04030201" + "55")
    (frame,) = hci.Parser().feed(raw, 0)
    assert (frame.payload, frame.rssi) == (b"abc", -80)


def test_a_request_byte_for_byte() -> None:
    driver = started()
    handle = driver.send(METER, bytes.fromhex("c00181"), 16, 1, 0)
    (frame,) = hci.Parser().feed(driver.outgoing(), 0)
    assert (frame.endpoint, frame.message) == (hci.RADIO, hci.SEND_REQUEST)
    link = "43" + OWN + "60"
    header = "57686632" + "2d2c" + "3002" + "01000000"
    assert frame.payload.hex() == link + header + "1001" + "c00181"
    driver.feed(hci.frame(hci.RADIO, hci.SEND_RESPONSE), 50)
    (done,) = driver.events()
    assert isinstance(done, TxDone) and (done.handle, done.status) == (handle, 0)


def test_answers_with_short_and_long_header() -> None:
    long = "08" + OWN + "7c" + "57686632" + "2d2c" + "3002" + "07000000" + "0110" + "c401"
    for payload in (ANSWER, bytes.fromhex(long)):
        driver = started()
        raw = hci.frame(hci.RADIO, hci.INDICATION, payload, time=1, rssi=85)
        driver.feed(raw, 0)
        (event,) = driver.events()
        assert isinstance(event, Rx)
        assert (event.address, event.source_sap, event.destination_sap) == (METER, 1, 16)
        assert event.data == b"\xc4\x01" and event.quality.rssi == -80
        assert driver.nodes() == [METER]


def test_telegrams_both_ways() -> None:
    telegram = wmbus.Telegram(bytes.fromhex(METER), 7, 1, 16, b"\xc4\x01")
    assert wmbus.from_meter(telegram) == ANSWER
    down = wmbus.to_meter(bytes.fromhex(OWN), telegram)
    back = wmbus.parse(down, wmbus.CI_TO_METER_LONG, wmbus.CI_TO_METER_SHORT)
    assert back is not None
    assert (back.address.hex(), back.access, back.apdu) == (METER, 7, b"\xc4\x01")
    for size in range(10, 24):
        raises(ValueError, wmbus.parse, down[:size], 0x60, 0x61)
    assert wmbus.parse(down, 0x7C, 0x7D) is None


def test_what_cannot_be_sent_is_refused() -> None:
    driver = started()
    for text in ("", METER[:-1], METER + "00", "zz" * 8, "2d2c-57686632-30"):
        raises(NoRoute, driver.send, text, b"x", 1, 1, 0)
    raises(NoRoute, driver.send, BROADCAST, b"x", 1, 1, 0)
    raises(NoRoute, driver.send, METER, b"x", 1, 1, 0, [METER])
    raises(TooLong, driver.send, METER, bytes(MTU + 1), 1, 1, 0)
    raises(ValueError, driver.send, METER, b"x", 1, 256, 0)
    driver.send(METER, bytes(MTU), 1, 1, 0)
    raises(Busy, driver.send, METER, b"x", 1, 1, 0)


def test_a_module_that_does_not_take_the_frame() -> None:
    driver = started()
    handle = driver.send(METER, b"x", 1, 1, 0)
    driver.tick(4999)
    assert driver.events() == []
    driver.tick(5000)
    (done,) = driver.events()
    assert isinstance(done, TxDone) and (done.handle, done.status) == (handle, 1)
    driver.feed(hci.frame(hci.RADIO, hci.SEND_RESPONSE), 5001)
    assert driver.events() == [] and driver.statistics()["unexpected"] == 1


def test_supervision_pings_resets_and_gives_up() -> None:
    driver = started()
    sent = []
    now = 0
    while not driver.dead:
        now += driver.due_ms(now)
        driver.tick(now)
        for frame in hci.Parser().feed(driver.outgoing(), now):
            sent.append((now, frame.message))
    assert sent == [(60000, 1), (65000, 1), (70000, 1), (75000, hci.RESET_REQUEST)]
    driver.feed(hci.frame(hci.DEVICE, hci.RESET_RESPONSE), now)
    assert not driver.dead
    assert isinstance(driver.events()[0], ModemReset)


def test_duty_cycle_holds_in_any_hour() -> None:
    budget = DutyBudget(10)  # 36 s an hour
    rng = Rng(1)
    spent: list[tuple[int, int]] = []
    refused = 0
    for now in range(0, 4 * 3600000, 5000):
        airtime = rng.between(100, 900)
        try:
            budget.spend(airtime, now)
            spent.append((now, airtime))
        except DutyCycle as wait:
            refused += 1
            assert 0 < wait.wait_ms <= 61 * 60000
    assert refused > 100
    for end in range(0, 4 * 3600000, 60000):
        assert sum([used for at, used in spent if end - 3600000 < at <= end]) <= 36000


def test_duty_cycle_wait_is_long_enough() -> None:
    budget = DutyBudget(10)
    for second in range(36):
        budget.spend(1000, second * 1000)
    wait = raises(DutyCycle, budget.spend, 1000, 40000).wait_ms
    raises(DutyCycle, budget.spend, 1000, 40000 + wait - 1)
    budget.spend(1000, 40000 + wait)
    raises(DutyCycle, DutyBudget(1).spend, 3601, 0)
    raises(ValueError, DutyBudget, 0)


def test_the_budget_says_when_there_is_room() -> None:
    budget = DutyBudget(10)
    assert budget.total_ms == budget.left_ms(0) == 36000 and budget.wait_ms(36000, 0) == 0
    for minute in range(4):
        budget.spend(9000, minute * 60000 + 5000)
    now = 200000
    for airtime, minute in ((1, 61), (9000, 61), (9001, 62), (36000, 64), (99999, 64)):
        wait = budget.wait_ms(airtime, now)
        assert wait == minute * 60000 - now, airtime
        assert budget.left_ms(now + wait - 1) < min(airtime, 36000)
        assert budget.left_ms(now + wait) >= min(airtime, 36000)
        budget._slots = [(0, 9000), (1, 9000), (2, 9000), (3, 9000)]
    driver = Imst(bit_rate=4800, duty_permille=100)
    assert driver.capabilities.budget is not None
    frame = wmbus.airtime_ms(100 + wmbus.TO_METER_OVERHEAD, 4800)
    assert driver.capabilities.budget.airtime_ms(100) == frame
    assert Imst(duty_permille=1000).capabilities.budget is None, "no limit"


def test_the_driver_keeps_its_budget() -> None:
    driver = Imst(bit_rate=2400, duty_permille=1)  # 3.6 s an hour
    driver.start(0)
    sent = 0
    try:
        while True:
            driver.send(METER, bytes(200), 1, 1, sent)
            driver.feed(hci.frame(hci.RADIO, hci.SEND_RESPONSE), sent)
            sent += 1
    except DutyCycle:
        pass
    airtime = wmbus.airtime_ms(200 + wmbus.TO_METER_OVERHEAD, 2400)
    assert sent == 3600 // airtime
    assert driver.statistics()["duty-left-ms"] == 3600 - sent * airtime
    driver.tick(2 * 3600000)
    assert driver.statistics()["duty-left-ms"] == 3600


def test_link_modes_have_their_budget() -> None:
    for bit_rate, permille in wmbus.MODES.values():
        driver = Imst(OWN, bit_rate, permille)
        assert driver.capabilities.duty_permille == permille
        driver.start(0)
        assert driver.statistics()["duty-left-ms"] == 3600 * permille
    assert wmbus.MODES["N2"][1] == 100 and wmbus.MODES["S2"][1] == 10


def test_configuration_and_information() -> None:
    driver = started()
    token = driver.get("config", 0)
    (frame,) = hci.Parser().feed(driver.outgoing(), 0)
    assert (frame.endpoint, frame.message, frame.payload) == (hci.DEVICE, 5, b"")
    driver.feed(hci.frame(hci.DEVICE, 6, b"\x03\x00\x02\x00"), 10)
    (answer,) = driver.events()
    assert isinstance(answer, Answer)
    assert (answer.token, answer.value) == (token, b"\x03\x00\x02\x00")
    driver.set("config", b"\x00\x02\x04\x00", 20)
    (frame,) = hci.Parser().feed(driver.outgoing(), 0)
    assert (frame.message, frame.payload) == (3, b"\x00\x02\x04\x00")
    driver.feed(hci.frame(hci.DEVICE, 4), 30)
    (answer,) = driver.events()
    assert isinstance(answer, Answer) and answer.value == b""
    driver.get("info", 40)
    assert hci.Parser().feed(driver.outgoing(), 0)[0].message == 0x0F
    driver.feed(hci.frame(hci.DEVICE, 4), 50)  # not an answer to this
    driver.feed(hci.frame(hci.DEVICE, 0x10, b"abc"), 60)
    (answer,) = driver.events()
    assert isinstance(answer, Answer) and answer.value == b"abc"
    raises(PortError, driver.get, "0024", 70)
    raises(PortError, driver.set, "info", b"x", 70)
    raises(PortError, driver.set, "config", b"", 70)
    raises(PortError, driver.set, "config", bytes(251), 70)


def test_reset_and_kick() -> None:
    driver = started()
    heard(driver, ANSWER)
    driver.events()
    driver.kick(METER, 0)
    assert driver.nodes() == []
    raises(NoRoute, driver.kick, METER, 0)
    raises(NoRoute, driver.kick, "x", 0)
    for text in CAPTURED:
        driver.feed(bytes.fromhex(text), 0)
    assert driver.nodes() == [METER]
    driver.send(METER, b"x", 1, 1, 0)
    driver.outgoing()
    driver.reset(0)
    (frame,) = hci.Parser().feed(driver.outgoing(), 0)
    assert (frame.endpoint, frame.message) == (hci.DEVICE, 7)
    driver.feed(hci.frame(hci.DEVICE, 8), 10)
    assert isinstance(driver.events()[0], ModemReset)
    driver.send(METER, b"x", 1, 1, 20)  # the frame before is lost


def test_damage_is_counted_and_the_next_frame_found() -> None:
    good = bytes.fromhex(CAPTURED[0])
    broken = good[:20] + b"\x00" + good[21:]
    cases = (("damaged", broken), ("noise", b"\x00\x01\x02"), ("noise", b"\xa5\x90\x00"))
    for kind, raw in cases:
        parser = hci.Parser()
        assert len(parser.feed(good + raw + good, 0)) == 2, kind
        assert getattr(parser, kind) > 0, kind
    for cut in range(1, len(good)):
        parser = hci.Parser()
        assert parser.feed(good[:cut], 0) == []
        frames = parser.feed(good, 1) + parser.feed(good, 2) + parser.feed(b"", 2000)
        assert 1 <= len(frames) <= 2, cut


def test_a_frame_that_never_ends_is_given_up_in_time() -> None:
    driver = started()
    noise = bytes.fromhex("a58203f0")  # announces 240 bytes
    driver.feed(noise + hci.frame(hci.RADIO, hci.INDICATION, ANSWER), 1000)
    assert driver.events() == []
    assert driver.due_ms(1000) == 500
    driver.tick(1500)
    assert len(driver.events()) == 1 and driver.statistics()["stalled"] == 1


def test_malformed_telegrams_are_counted() -> None:
    driver = started()
    heard(driver, b"")
    heard(driver, ANSWER[:9])
    heard(driver, ANSWER[:14])
    driver.feed(hci.frame(3, 9), 0)
    assert driver.events() == []
    counts = driver.statistics()
    assert counts["malformed"] == 3 and counts["unexpected"] == 1


def test_meters_heard_are_bounded() -> None:
    driver = started()
    for index in range(2100):
        heard(driver, b"\x44" + (index + 1).to_bytes(8, "big") + b"\x8d")
    assert len(driver.nodes()) == 2000


def test_random_bytes_between_frames() -> None:
    parser = hci.Parser()
    good = bytes.fromhex(CAPTURED[0])
    found = 0
    for seed in range(100):
        frames = parser.feed(random_bytes(seed, 30), seed * 10000)
        frames += parser.feed(good, seed * 10000 + 1) + parser.feed(b"", seed * 10000 + 5000)
        found += good[4:-2] in [frame.payload for frame in frames]
    assert found >= 98  # noise may look like a frame without CRC that reaches into a good one


def play(condition: str) -> tuple[int, int, Imst]:
    """Echoes of a meter over a line in this condition: (echoes, requests settled, driver)."""
    rng = Rng(7, condition)
    module = hci.Parser()
    driver = Imst(own=OWN, duty_permille=1000, answer_ms=2000)
    driver.start(0)
    late: list[tuple[int, bytes]] = []
    echoes = settled = 0
    for now in range(0, 200000, 100):
        driver.tick(now)
        if now % 500 == 0:
            try:
                driver.send(METER, now.to_bytes(4, "big"), 16, 1, now)
            except Busy:
                pass
        delay = rng.between(1, 3) * 300 if condition == "delayed" else 0
        for frame in module.feed(driver.outgoing(), now):
            if frame.message != hci.SEND_REQUEST or frame.endpoint != hci.RADIO:
                continue
            request = wmbus.parse(frame.payload, 0x60, 0x61)
            assert request is not None and request.address.hex() == METER
            answer = wmbus.Telegram(request.address, request.access, 1, 16, request.apdu)
            replies = (
                hci.frame(hci.RADIO, hci.SEND_RESPONSE),
                hci.frame(hci.RADIO, hci.INDICATION, wmbus.from_meter(answer), now, 85),
            )
            late += [(now + delay, r) for r in replies if condition != "lossy" or rng.chance(0.8)]
        arrived = [entry[1] for entry in late if entry[0] <= now]
        late = [entry for entry in late if entry[0] > now]
        for data in arrived:
            step = 1 if condition == "bytewise" else len(data)
            for start in range(0, len(data), step):
                driver.feed(data[start : start + step], now)
        for event in driver.events():
            if isinstance(event, Rx):
                assert (event.address, event.source_sap, event.destination_sap) == (METER, 1, 16)
                echoes += 1
            elif isinstance(event, TxDone):
                settled += 1
    return echoes, settled, driver


def test_four_conditions_of_the_line() -> None:
    for condition in ("clean", "bytewise"):
        echoes, settled, driver = play(condition)
        assert echoes == settled == driver.statistics()["sent"] == 400
    echoes, settled, driver = play("delayed")
    assert driver.statistics()["sent"] - 1 <= settled and echoes >= settled - 1
    assert driver.statistics()["failed"] == 0
    echoes, settled, driver = play("lossy")
    sent = driver.statistics()["sent"]
    assert sent - 1 <= settled <= sent and 0.7 < echoes / sent < 0.9
    assert driver.statistics()["failed"] > 0 and not driver.dead
