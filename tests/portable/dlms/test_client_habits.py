"""What meters in the field do beside the standard, and the client gets along with."""

from __future__ import annotations

from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from gateway.dlms.client.client import HIGH_MD5, PROPOSED, Association, Client
from gateway.dlms.data import axdr
from gateway.dlms.errors import (
    ActionRefused,
    AssociationRefused,
    LinkSilent,
    NoAnswer,
    ProtocolError,
    SecurityFailed,
    ServiceRefused,
)
from hal.rt import log
from tests.portable.dlms.test_client import (
    CALENDAR,
    CRYPTO,
    HIGH,
    TIMEOUT,
    Meter,
    Script,
    aare,
    client,
    fails,
    invoke_of,
    open_client,
    open_high,
)
from tests.portable.support import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# field case rlre-short-lengths: 63 24 for 40 bytes, BE 22 for 35
SHORT_RLRE = bytes.fromhex(
    "6324800100be220421281f300000800125072ef10cca4da2b804fdc16d41c6b9e76230caba9761b518fd"
)
# field case aare-no-mechanism: a challenge, and no mechanism-name
NO_MECHANISM = bytes.fromhex(
    "6135a109060760857405080101a203020100a305a10302010eaa0a80085345525645522d31"
    "be10040e0800065f1f0400001e1d04c80007"
)
SECRET = b"0123456789abcdef"


# ---------------------------------------------------------------- the end of an association


def test_an_rlre_with_wrong_lengths_is_one() -> None:
    for raw, said in (
        (SHORT_RLRE, "normal"),
        (b"\x63", "normal"),
        (b"\x63\x05\x80\x01\x01", "not-finished"),
    ):
        link, meter = Script(), Meter()
        made = open_high(link, meter)
        before = link.clock.ticks_ms()
        link.then(raw)
        assert run(made.release()) == said
        assert link.clock.ticks_ms() - before < 10
    raw_error = fails_to_decode(SHORT_RLRE)
    assert "left over" in str(raw_error)  # it is wrong all the same, for who looks at it


def fails_to_decode(raw: bytes) -> ProtocolError:
    try:
        apdu.decode(raw)
    except ProtocolError as error:
        return error
    raise AssertionError("no error")


def test_a_broken_rlre_amid_requests_is_dropped() -> None:
    link = Script()
    made = open_client(link)
    link.then(lambda sent: [SHORT_RLRE, apdu.GetResponse(invoke_of(sent), 0, b"\x11\x05").encode()])
    assert run(made.get(20, CALENDAR, 2)) == b"\x11\x05"


def test_an_rlre_that_does_not_come_is_not_waited_for_long() -> None:
    link = Script()
    made = open_client(link)
    link.then()
    before = link.clock.ticks_ms()
    assert run(made.release()) == ""
    assert link.clock.ticks_ms() - before <= 510
    # a slow path has more time
    link = Script()
    made = client(link)

    def slowly(sent: bytes) -> list[bytes]:
        link.clock.advance(200)
        return [aare().encode()]

    link.then(slowly)
    run(made.associate())
    link.then()
    before = link.clock.ticks_ms()
    run(made.release())
    assert 900 <= link.clock.ticks_ms() - before <= TIMEOUT


# ---------------------------------------------------------------- its beginning


def prove(challenges: list[bytes]) -> Any:
    """Pass 4 of HLS with MD5, to the challenge of the AARQ."""

    def answer(sent: bytes) -> list[bytes]:
        proof = CRYPTO.digest("md5", challenges[-1] + SECRET)
        data = axdr.encode((axdr.OCTET_STRING, proof))
        return [apdu.ActionResponse(invoke_of(sent), 0, data).encode()]

    return answer


def test_a_challenge_without_the_name_of_the_mechanism_goes_on() -> None:
    challenges: list[bytes] = []

    def on_aarq(sent: bytes) -> list[bytes]:
        challenges.append(apdu.decode(sent).value)
        return [NO_MECHANISM]

    link = Script()
    link.then(on_aarq)
    link.then(prove(challenges))
    made = client(link, Association(1, 1, HIGH_MD5, SECRET))
    run(made.associate())
    assert made.conformance == 0x1E1D and len(link.sent) == 2
    # who cannot answer our challenge has proven nothing
    link = Script()
    link.then(on_aarq)
    link.then(prove([b"another challenge"]))
    fails(SecurityFailed, client(link, Association(1, 1, HIGH_MD5, SECRET), tries=1).associate())
    # and who sends none at all skips its authentication
    link = Script()
    link.then(aare())
    error = fails(
        SecurityFailed, client(link, Association(1, 1, HIGH_MD5, SECRET), tries=1).associate()
    )
    assert "skips its own authentication" in str(error)


def test_a_second_aarq_does_not_hide_why_the_first_was_in_vain() -> None:
    link = Script()
    link.then(aare())
    link.then(acse.Aare(1, 1, (1, 1), b""))  # it does not take a second one
    error = fails(SecurityFailed, client(link, Association(1, 1, HIGH_MD5, SECRET)).associate())
    assert "skips its own authentication" in str(error)
    link = Script()
    link.then(aare())
    link.then()
    link.then()
    error = fails(NoAnswer, client(link, Association(1, 1, HIGH_MD5, SECRET)).associate())
    assert "tried 3 times" in str(error) and "skips its own authentication" in str(error)
    link = Script()
    link.then(acse.Aare(1, 1, (1, 1), b""))
    fails(AssociationRefused, client(link, HIGH).associate())
    assert len(link.sent) == 1


# ---------------------------------------------------------------- answers


def test_a_refused_action_without_its_optional_flag_tells_the_refusal() -> None:
    link = Script()
    made = open_client(link)
    link.then(lambda sent: [bytes((0xC7, 1, invoke_of(sent), 3))])
    error = fails(ActionRefused, made.action(20, CALENDAR, 1, b"\x0f\x00"))
    assert error.result == "read-write-denied"
    link.then(lambda sent: [bytes((0xC7, 1, invoke_of(sent), 0))])  # of success, half is nothing
    fails(ProtocolError, made.action(20, CALENDAR, 1, b"\x0f\x00"))


# ---------------------------------------------------------------- octets behind a value

TIME = b"\x09\x0c" + bytes.fromhex("07eb0105020c000aff800000")
CLOCK = b"\x00\x00\x01\x00\x00\xff"


def test_stray_octets_behind_a_value_are_passed_over() -> None:
    link = Script()
    made = open_client(link)
    # field case get-stray-octets
    link.then(lambda sent: [apdu.GetResponse(invoke_of(sent), 0, TIME + b"\0\0").encode()])
    said, found = heard(lambda: run(made.get(8, CLOCK, 2)))
    assert found == TIME and len(said) == 1
    assert "clock.time of 0.0.1.0.0.255" in said[0] and "2 stray bytes" in said[0]
    # in blocks
    link.then(lambda sent: [apdu.GetBlock(invoke_of(sent), False, 1, 0, TIME[:9]).encode()])
    link.then(lambda sent: [apdu.GetBlock(invoke_of(sent), True, 2, 0, TIME[9:] + b"\0").encode()])
    assert run(made.get(8, CLOCK, 2)) == TIME
    # what a method returns
    link.then(lambda sent: [apdu.ActionResponse(invoke_of(sent), 0, TIME + b"\0\0").encode()])
    assert run(made.action(8, CLOCK, 1, b"\x0f\x00")) == TIME
    # what is no Data at all is for who decodes it
    link.then(lambda sent: [apdu.GetResponse(invoke_of(sent), 0, TIME[:-1]).encode()])
    assert run(made.get(8, CLOCK, 2)) == TIME[:-1]


def test_stray_octets_in_a_list_are_found_at_their_object() -> None:
    link = Script()
    made = open_client(link)
    values = [b"\x11\x01", TIME + b"\0\0", b"\x11\x03"]
    items = [(1, CALENDAR, 2, None), (8, CLOCK, 2, None), (1, CALENDAR, 2, None)]
    joined = b"\x03" + b"".join([b"\0" + value for value in values])
    link.then(lambda sent: [bytes((0xC4, 3, invoke_of(sent))) + joined])
    for value in values:
        link.then(lambda sent, v=value: [apdu.GetResponse(invoke_of(sent), 0, v).encode()])
    said, found = heard(lambda: run(made.get_list(items)))
    assert found == [(0, values[0]), (0, TIME), (0, values[2])]
    assert "clock.time of 0.0.1.0.0.255: 2 stray bytes" in said[-1]


def test_stray_octets_behind_the_rows_of_a_profile() -> None:
    row = axdr.encode((axdr.STRUCTURE, [(axdr.LONG_UNSIGNED, 5)]))
    rows = axdr.encode((axdr.ARRAY, [axdr.decode(row)] * 2))
    compact = ((axdr.STRUCTURE, [axdr.LONG_UNSIGNED]), [axdr.decode(row)] * 2)
    for value in (rows, axdr.encode((axdr.COMPACT_ARRAY, compact))):
        link = Script()
        made = open_client(link)
        link.then(lambda sent, v=value: [apdu.GetResponse(invoke_of(sent), 0, v + b"\0").encode()])

        async def read(made: Client = made) -> list[Any]:
            found = []
            async for each in made.read_profile(CALENDAR):
                found.append(each)
            return found

        said, found = heard(lambda read=read: run(read()))
        assert found == [[(axdr.LONG_UNSIGNED, 5)]] * 2
        assert "profile_generic.buffer of 0.0.13.0.0.255: 1 stray bytes" in said[0]


def heard(call: Any) -> tuple[list[str], Any]:
    """(what the log says meanwhile, what it returns)."""
    said: list[str] = []
    before = log.warning
    log.warning = lambda where, text: said.append(text)
    try:
        return said, call()
    finally:
        log.warning = before


# ---------------------------------------------------------------- agreed, and not kept

TWO = [(20, CALENDAR, 2, None), (20, CALENDAR, 3, None)]


def get_answer(data: bytes = b"\x11\x05") -> Any:
    return lambda sent: [apdu.GetResponse(invoke_of(sent), 0, data).encode()]


def test_lists_that_are_agreed_and_dropped_go_one_by_one() -> None:
    link = Script()
    made = open_client(link)
    for _ in range(3):
        link.then()
    for _ in range(4):
        link.then(get_answer())
    assert run(made.get_list(TWO)) == [(0, b"\x11\x05")] * 2
    assert [frame[1] for frame in link.sent] == [3, 3, 3, 1, 1]
    assert run(made.get_list(TWO)) == [(0, b"\x11\x05")] * 2  # remembered
    assert made.unkept == acse.MULTIPLE_REFERENCES
    link.then(aare())  # in the next association too
    run(made.associate())
    assert not made.conformance & acse.MULTIPLE_REFERENCES


def test_a_meter_that_is_silent_to_all_is_no_matter_of_lists() -> None:
    link = Script()
    made = open_client(link)
    for _ in range(4):
        link.then()
    error = fails(NoAnswer, made.get_list(TWO))
    assert "GET of 2 attributes" in str(error) and "sent 3 times" in str(error)
    assert made.unkept == 0 and made.conformance & acse.MULTIPLE_REFERENCES
    link.then(lambda sent: (_ for _ in ()).throw(LinkSilent("HDLC")))
    fails(LinkSilent, made.get_list(TWO))


def test_lists_that_are_agreed_and_refused_go_one_by_one() -> None:
    for refusal in (
        lambda sent: [apdu.GetResponse(invoke_of(sent), 250, None).encode()],
        lambda sent: [apdu.ExceptionResponse(2, 2).encode()],
        lambda sent: [bytes((0xC4, 3, invoke_of(sent), 9))],
    ):
        link = Script()
        made = open_client(link)
        link.then(refusal)
        link.then(get_answer())
        link.then(get_answer(b"\x11\x06"))
        assert run(made.get_list(TWO)) == [(0, b"\x11\x05"), (0, b"\x11\x06")]
        assert made.unkept == acse.MULTIPLE_REFERENCES
    link = Script()
    made = open_client(link)
    link.then(apdu.ExceptionResponse(1, 5))  # of the keys, not of lists
    link.then()
    link.then()
    fails(ServiceRefused, made.get_list(TWO))
    assert made.unkept == 0


def test_written_and_invoked_one_by_one_too() -> None:
    link = Script()
    made = open_client(link)
    for _ in range(3):
        link.then()
    for _ in range(2):
        link.then(lambda sent: [apdu.SetResponse(invoke_of(sent), 0).encode()])
    assert run(made.set_list([(target, b"\x11\x05") for target in TWO])) == [0, 0]
    methods = [((20, CALENDAR, 1), b"\x0f\x00")] * 2
    made = open_client(link)
    link.then(apdu.ExceptionResponse(2, 2))  # so it has invoked none
    for _ in range(2):
        link.then(lambda sent: [apdu.ActionResponse(invoke_of(sent), 0).encode()])
    assert run(made.action_list(methods)) == [(0, None)] * 2
    made = open_client(link)
    link.then()  # it may have
    fails(NoAnswer, made.action_list(methods))


def test_access_that_is_dropped_goes_by_other_services() -> None:
    link = Script()
    made = open_client(link, aare(PROPOSED & ~acse.MULTIPLE_REFERENCES))
    for _ in range(3):
        link.then()
    for _ in range(2):
        link.then(get_answer())
    gets = [apdu.AccessGet(20, CALENDAR, 2), apdu.AccessGet(20, CALENDAR, 3)]
    assert run(made.access(gets)) == [(0, b"\x11\x05")] * 2
    assert made.unkept == acse.ACCESS


def test_general_blocks_that_are_dropped_are_done_without() -> None:
    link = Script()
    made = open_client(link, aare(PROPOSED), window=4)
    for _ in range(3):
        link.then()
    link.then(get_answer())
    assert run(made.get(20, CALENDAR, 2)) == b"\x11\x05"
    assert [frame[0] for frame in link.sent] == [0xE0] * 3 + [0xC0]
    link.then(get_answer())
    assert run(made.get(20, CALENDAR, 2)) == b"\x11\x05"
    assert made.unkept == acse.GENERAL_BLOCK_TRANSFER


def test_a_pause_before_each_request() -> None:
    link = Script()
    made = client(link, pause_ms=250)
    link.then(aare())
    times = []

    async def sleep_ms(duration: int) -> None:
        times.append(duration)

    link.clock.sleep_ms = sleep_ms  # type: ignore[method-assign]
    run(made.associate())
    link.then(get_answer())
    run(made.get(20, CALENDAR, 2))
    assert times == [250, 250]
