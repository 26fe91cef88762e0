"""Amber (Würth) command mode: frames of the manual, data, parameters, damage, four conditions."""

from __future__ import annotations

from hal.modem.answer import Answer
from hal.modem.wmbus import amber_frames as frames
from hal.modem.wmbus import wmbus
from hal.modem.wmbus.amber import Amber
from hal.ports import Busy, DutyCycle, ModemReset, PortError, Rx, TxDone
from hal.sim.channel import Rng
from tests.portable.support import raises, random_bytes

METER = "2d2c576866323002"
OWN = "2d43120000000131"
ASK = bytes.fromhex("ff0a02008077")
ANSWER = bytes.fromhex("08" + METER + "7d" + "07000000" + "0110" + "c401")
TAKEN = frames.frame(0x80, b"\x00")


def memory(rssi: int) -> bytes:
    """All parameters, as a module answers ASK."""
    values = bytearray(0x80)
    values[frames.RSSI_ENABLE] = rssi
    return frames.frame(0x8A, b"\x00\x80" + bytes(values))


def started(rssi: int = 1) -> Amber:
    driver = Amber(own=OWN, bit_rate=4800, duty_permille=100)
    driver.start(0)
    assert driver.outgoing() == ASK
    driver.feed(memory(rssi), 0)
    assert driver.events() == []
    return driver


def sent(driver: Amber) -> tuple[int, bytes]:
    ((command, content),) = frames.Parser().feed(driver.outgoing(), 0)
    return command, content


def answered(driver: Amber, command: int, content: bytes) -> Answer:
    driver.feed(frames.frame(command, content), 1)
    (answer,) = driver.events()
    assert isinstance(answer, Answer)
    return answer


def test_frames_of_the_manual() -> None:
    assert frames.frame(frames.GET, b"\x00\x80") == ASK
    assert frames.frame(frames.FACTORY_RESET).hex() == "ff1100ee"
    assert frames.frame(frames.RESET).hex() == "ff0500fa"
    assert frames.frame(frames.SERIAL_NUMBER).hex() == "ff0b00f4"
    assert frames.frame(frames.FIRMWARE).hex() == "ff0c00f3"
    assert frames.frame(frames.RSSI).hex() == "ff0d00f2"
    assert frames.frame(frames.SET_CHANNEL, b"\x0b").hex() == "ff06010bf3"
    assert frames.frame(frames.SET_CHANNEL | 0x80, b"\x0b").hex() == "ff86010b73"
    version = frames.Parser().feed(bytes.fromhex("ff8c0302000674"), 0)
    assert version == [(0x8C, b"\x02\x00\x06")]
    raises(ValueError, frames.frame, 0, bytes(255))
    assert (frames.dbm(0), frames.dbm(20), frames.dbm(0xF4)) == (-74, -64, -80)


def test_a_request_byte_for_byte() -> None:
    driver = started()
    handle = driver.send(METER, bytes.fromhex("c00181"), 16, 1, 0)
    link = "43" + OWN + "60" + "57686632" + "2d2c" + "3002" + "01000000" + "1001" + "c00181"
    assert sent(driver) == (frames.DATA, bytes.fromhex(link))
    raises(Busy, driver.send, METER, b"x", 16, 1, 0)
    driver.feed(TAKEN, 50)
    (done,) = driver.events()
    assert isinstance(done, TxDone) and (done.handle, done.status) == (handle, 0)
    driver.send(METER, b"x", 16, 1, 0)
    driver.feed(frames.frame(0x80, b"\x01"), 60)
    (done,) = driver.events()
    assert isinstance(done, TxDone) and done.status == 1


def test_answers_with_and_without_rssi() -> None:
    for enabled, tail, rssi in ((1, b"\xf4", -80), (0, b"", None)):
        driver = started(enabled)
        driver.feed(frames.frame(frames.DATA_INDICATION, ANSWER + tail), 0)
        (event,) = driver.events()
        assert isinstance(event, Rx)
        assert (event.address, event.source_sap, event.destination_sap) == (METER, 1, 16)
        assert (event.data, event.quality.rssi) == (b"\xc4\x01", rssi)
        assert driver.nodes() == [METER]


def test_rssi_is_learnt_anew_after_a_reset() -> None:
    driver = started(1)
    driver.set("45", b"\x00", 0)
    assert sent(driver) == (frames.SET, b"\x45\x01\x00")
    assert answered(driver, 0x89, b"\x00").value == b""
    driver.get("45", 0)
    driver.outgoing()
    assert answered(driver, 0x8A, b"\x45\x01\x00").value == b"\x00"
    driver.feed(frames.frame(frames.DATA_INDICATION, ANSWER + b"\xf4"), 0)
    (event,) = driver.events()
    assert isinstance(event, Rx) and event.data == b"\xc4\x01"  # not yet
    driver.reset(0)
    assert driver.outgoing().hex() == "ff0500fa"
    driver.feed(frames.frame(0x85, b"\x00"), 100)
    (event,) = driver.events()
    assert isinstance(event, ModemReset)
    assert driver.due_ms(100) == 1000
    driver.tick(1100)
    assert driver.outgoing() == ASK
    driver.feed(memory(0), 1200)
    driver.feed(frames.frame(frames.DATA_INDICATION, ANSWER), 1300)
    (event,) = driver.events()
    assert isinstance(event, Rx) and event.data == b"\xc4\x01"


def test_parameters() -> None:
    driver = started()
    for name, command in (("serial", 0x0B), ("firmware", 0x0C), ("rssi", 0x0D)):
        driver.get(name, 0)
        assert sent(driver) == (command, b"")
        assert answered(driver, command | 0x80, b"\x01\x02").value == b"\x01\x02"
    for name, command, value in (
        ("mode", 4, b"\x09"),
        ("channel", 6, b"\x0b"),
        ("factory", 17, b""),
    ):
        driver.set(name, value, 0)
        assert sent(driver) == (command, value)
        assert answered(driver, command | 0x80, b"\x00").value == b""
    driver.get("00.80", 0)
    assert driver.outgoing() == ASK
    assert len(answered(driver, 0x8A, b"\x00\x80" + bytes(128)).value or b"") == 128
    driver.get("7f", 0)
    assert sent(driver) == (frames.GET, b"\x7f\x01")
    driver.feed(frames.frame(0x8A, b"\x10\x01\x00"), 0)
    assert driver.events() == []  # of another parameter
    assert answered(driver, 0x8A, b"\x7f\x01").value is None
    driver.set("46", b"\x03", 0)
    assert answered(driver, 0x89, b"\x02").value is None
    for wrong in ("", "x", "80", "7f.2", "00.0", "00.81", "1.x", "-1"):
        raises(PortError, driver.get, wrong, 0)
        raises(PortError, driver.set, wrong, b"x", 0)
    raises(PortError, driver.set, "45", b"xx", 0)
    raises(PortError, driver.set, "mode", b"", 0)
    raises(PortError, driver.set, "factory", b"x", 0)


def test_supervision_asks_resets_and_gives_up() -> None:
    driver = started()
    asked = []
    now = 0
    while not driver.dead:
        now += driver.due_ms(now)
        driver.tick(now)
        for command, _ in frames.Parser().feed(driver.outgoing(), now):
            asked.append((now, command))
    assert asked == [
        (60000, frames.GET),
        (65000, frames.GET),
        (70000, frames.GET),
        (75000, frames.RESET),
    ]


def test_the_budget_of_its_band() -> None:
    driver = Amber()
    assert driver.capabilities.duty_permille == 10
    driver.start(0)
    count = 0
    try:
        while True:
            driver.send(METER, bytes(200), 16, 1, 0)
            driver.feed(TAKEN, 0)
            count += 1
    except DutyCycle as spent:
        assert 0 < spent.wait_ms <= 61 * 60000
    assert count == 36000 // wmbus.airtime_ms(200 + wmbus.TO_METER_OVERHEAD, 16384)


def test_damage_is_counted_and_the_next_frame_found() -> None:
    good = frames.frame(frames.DATA_INDICATION, ANSWER)
    broken = good[:20] + bytes((good[20] ^ 1,)) + good[21:]
    for kind, raw in (("damaged", broken), ("noise", b"\x00\x01\x02"), ("noise", b"\x7e" * 20)):
        parser = frames.Parser()
        assert len(parser.feed(good + raw + good, 0)) == 2, kind
        assert getattr(parser, kind) > 0, kind
    for cut in range(1, len(good)):
        parser = frames.Parser()
        assert parser.feed(good[:cut], 0) == []
        found = parser.feed(good, 1) + parser.feed(good, 2) + parser.feed(b"", 2000)
        assert 1 <= len(found) <= 2, cut


def test_a_frame_that_never_ends_is_given_up_in_time() -> None:
    driver = started(0)
    driver.feed(b"\xff\x03\xf0" + frames.frame(frames.DATA_INDICATION, ANSWER), 1000)
    assert driver.events() == [] and driver.due_ms(1000) == 1000
    driver.tick(2000)
    assert len(driver.events()) == 1 and driver.statistics()["stalled"] == 1


def test_what_was_not_asked_is_counted() -> None:
    driver = started()
    driver.feed(TAKEN, 0)
    driver.feed(frames.frame(0x8E), 0)
    driver.feed(frames.frame(0x20), 0)
    driver.feed(frames.frame(frames.DATA_INDICATION, b"\xf4"), 0)
    driver.feed(frames.frame(frames.DATA_INDICATION), 0)
    assert driver.events() == []
    counts = driver.statistics()
    assert counts["unexpected"] == 3 and counts["malformed"] == 2


def test_random_bytes_between_frames() -> None:
    parser = frames.Parser()
    good = frames.frame(frames.DATA_INDICATION, ANSWER)
    found = 0
    for seed in range(100):
        heard = parser.feed(random_bytes(seed, 30), seed * 10000)
        heard += parser.feed(good, seed * 10000 + 1) + parser.feed(b"", seed * 10000 + 5000)
        found += ANSWER in [content for _, content in heard]
    assert found >= 97  # an XOR of one byte is right by chance now and then


def play(condition: str) -> tuple[int, int, Amber]:
    """Echoes of a meter over a line in this condition: (echoes, requests settled, driver)."""
    rng = Rng(7, condition)
    module = frames.Parser()
    driver = Amber(own=OWN, duty_permille=1000, answer_ms=2000)
    driver.start(0)
    late: list[tuple[int, bytes]] = []
    echoes = settled = 0
    for now in range(0, 200000, 100):
        driver.tick(now)
        if now >= 10000 and now % 500 == 0:
            try:
                driver.send(METER, now.to_bytes(4, "big"), 16, 1, now)
            except Busy:
                pass
        delay = rng.between(1, 3) * 300 if condition == "delayed" else 0
        for command, content in module.feed(driver.outgoing(), now):
            replies = [memory(0)]
            if command == frames.DATA:
                request = wmbus.parse(content, 0x60, 0x61)
                assert request is not None and request.address.hex() == METER
                answer = wmbus.Telegram(request.address, request.access, 1, 16, request.apdu)
                echo = frames.frame(frames.DATA_INDICATION, wmbus.from_meter(answer))
                replies = [TAKEN, echo]
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
        assert echoes == settled == driver.statistics()["sent"] == 380
    echoes, settled, driver = play("delayed")
    assert driver.statistics()["sent"] - 1 <= settled and echoes >= settled - 1
    assert driver.statistics()["failed"] == 0
    echoes, settled, driver = play("lossy")
    count = driver.statistics()["sent"]
    assert count - 1 <= settled <= count and 0.7 < echoes / count < 0.9
    assert driver.statistics()["failed"] > 0 and not driver.dead
