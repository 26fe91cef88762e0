"""What meters in the field do beside the standard, and the client gets along with."""

from __future__ import annotations

from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from gateway.dlms.client.client import HIGH_MD5, Association
from gateway.dlms.data import axdr
from gateway.dlms.errors import (
    ActionRefused,
    AssociationRefused,
    NoAnswer,
    ProtocolError,
    SecurityFailed,
)
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
