"""The concentrator's own certificates: asked for, taken, tried, fallen back from, and warned of."""

from __future__ import annotations

from gateway.contract.line_certificate import LineCertificate
from gateway.contract.meter_keys import Vault
from gateway.contract.refused import Refused
from gateway.contract.trust_change import TRUST as TRUSTED_FOR
from gateway.kept_clock import KeptClock
from gateway.uplink.certificate_request import key_pem, request
from gateway.uplink.certificates import AGAIN_MS, DAY_S, FILE, ROUND_MS, TRIES, Certificates
from hal.rt import certificate, der
from hal.rt.calendar import day_text, days_to
from hal.rt.certificate import Certificate, pem, pem_blocks
from hal.sim.clock import ManualClock
from hal.sim.storage import MemoryStorage
from tests.portable.support import run
from tests.portable.uplink.support import BOARD_KEY, HERE, HOUR, NOW, TRUST, World, crypto, signed

CRYPTO = crypto()
DAY_MS = 86_400_000


class Files:
    """Those of the settings: `old`, or none."""

    def __init__(self, old: bytes) -> None:
        self.old = old
        self.pair: tuple[bytes, bytes] | None = None

    def chain(self) -> bytes:
        return self.old if self.pair is None else self.pair[0]


class Uplink:
    def __init__(self, old: bytes = b"") -> None:
        self.tls = Files(old)
        self.ends: list[tuple[str, int]] = []


class Board:
    """`told`: the events."""

    def __init__(self, enrols: bool = True, old: bytes = b"") -> None:
        self.enrols = enrols
        self.old = old
        self.clock = ManualClock(NOW)
        self.storage = MemoryStorage()
        self.told: list[str] = []
        self.board_key = BOARD_KEY
        self.boot()

    def boot(self) -> None:
        self.uplink = Uplink(self.old)
        self.certificates = Certificates(
            self.uplink,  # type: ignore[arg-type]
            HERE,
            TRUST,
            self.enrols,
            KeptClock(self.clock, self.storage),
            CRYPTO,
            self.storage,
            Vault(CRYPTO, self.board_key),
            lambda name, detail: self.told.append(name + ": " + detail),
        )

    def request(self) -> bytes:
        return self.certificates.status().request

    def connection(self, works: bool) -> bytes:
        """The leaf that was shown."""
        self.certificates.choose()
        if works:
            self.certificates.connected()
        else:
            self.certificates.failed()
        return (pem_blocks(self.uplink.tls.chain()) or [b""])[0]

    def take(self, leaf: bytes, **changes: object) -> str:
        """The reason of its refusal, or ""."""
        message = LineCertificate(HERE, NOW, NOW + 400 * DAY_S, [leaf])
        for name in changes:
            setattr(message, name, changes[name])
        try:
            self.certificates.take(signed(message.encode()))
        except Refused as refused:
            return refused.reason
        return ""


def public_of(asked: bytes) -> bytes:
    body = der.elements(der.elements(asked)[0][2])
    return certificate.public_key(body[2][2])


def leaf_for(public: bytes, begins: int = 0, ends: int = 0) -> bytes:
    """A certificate that nobody has signed: who signed it is the broker's to judge."""

    def date(seconds: int) -> bytes:
        text = day_text(seconds).replace("-", "")[2:] + "000000Z"
        return der.wrap(der.UTC_TIME, text.encode())

    pair = der.sequence(bytes.fromhex("0603550403"), der.wrap(der.UTF8, HERE.encode()))
    name = der.sequence(der.wrap(der.SET, pair))
    point = der.wrap(der.BIT_STRING, b"\0\x04" + public)
    dates = der.sequence(date(begins or NOW - DAY_S), date(ends or NOW + 365 * DAY_S))
    body = der.sequence(
        der.unsigned(b"\x01"),
        der.sequence(),
        name,
        dates,
        name,
        der.sequence(certificate.EC_P256, point),
    )
    return der.sequence(body, der.sequence(), der.wrap(der.BIT_STRING, b"\0"))


def enrolled() -> tuple[Board, bytes]:
    """With a certificate that has connected."""
    board = Board()
    leaf = leaf_for(public_of(board.request()))
    assert board.take(leaf) == "" and board.connection(True) == leaf
    return board, leaf


def test_a_request_is_what_the_standard_says() -> None:
    private, public = CRYPTO.ec_generate("P-256")
    asked = request("street-1", private, public, CRYPTO)
    parts = der.elements(asked)
    assert len(asked) < 300 and public_of(asked) == public
    numbers = der.elements(parts[2][1][1:])
    signature = b"".join([(bytes(32) + number[1])[-32:] for number in numbers])
    assert CRYPTO.ecdsa_verify("P-256", public, parts[0][2], signature)
    assert b"street-1" in asked
    inside = der.elements(pem_blocks(key_pem(private, public), "EC PRIVATE KEY")[0])
    assert inside[1][1] == private and inside[3][1][-64:] == public


def test_it_asks_until_there_is_one_and_over_restarts() -> None:
    board = Board()
    asked = board.request()
    assert asked and board.request() == asked
    board.boot()
    assert board.request() == asked
    private = board.storage.read(FILE)
    assert b"PRIVATE" not in private
    leaf = leaf_for(public_of(asked))
    assert board.take(leaf) == "" and board.certificates.is_to_switch()
    assert board.request() == b"" and [text.split(":")[0] for text in board.told] == [
        "certificate-taken"
    ]
    board.boot()
    assert board.connection(True) == leaf and not board.certificates.is_to_switch()
    assert board.told[-1].startswith("certificate-changed")
    board.boot()
    assert board.connection(True) == leaf and board.request() == b""
    status = board.certificates.status()
    assert status.until == Certificate(leaf).not_after and len(status.digest) == 32


def test_who_does_not_enrol_asks_for_nothing() -> None:
    board = Board(enrols=False)
    assert board.request() == b"" and board.storage.names() == []
    assert board.take(leaf_for(bytes(64))) == "unknown-key"


def test_what_is_not_taken() -> None:
    board = Board()
    public = public_of(board.request())
    good = leaf_for(public)
    _, other = CRYPTO.ec_generate("P-256")
    for leaf, changes, reason in (
        (good, {"concentrator": "c-0043"}, "wrong-concentrator"),
        (good, {"not_after": NOW - 1}, "expired"),
        (good, {"issued": NOW + 3 * HOUR}, "not-yet-valid"),
        (leaf_for(other), {}, "unknown-key"),
        (leaf_for(public, ends=NOW - 2 * DAY_S), {}, "expired"),
        (leaf_for(public, begins=NOW + 2 * DAY_S), {}, "not-yet-valid"),
        (b"\x30\0", {}, "malformed"),
        (good, {"chain": [good, b"x"]}, "malformed"),
    ):
        assert board.take(leaf, **changes) == reason, reason
    try:
        board.certificates.take(signed(b"\x81\x01", b"nobody"))
    except Refused as refused:
        assert refused.reason == "unknown-signer"
    assert board.request() and board.told == []


def test_one_that_does_not_connect_is_given_up_for_the_one_before() -> None:
    board, old = enrolled()
    board.clock.advance(340 * DAY_MS)
    new = leaf_for(public_of(board.request()), ends=NOW + 700 * DAY_S)
    assert board.take(new) == ""
    for turn in range(2):
        assert board.certificates.is_to_switch()
        for _ in range(TRIES):
            assert board.connection(False) == new
        assert board.connection(True) == old
        assert not board.certificates.is_to_switch()
        refused = [text for text in board.told if text.startswith("certificate-refused")]
        assert len(refused) == turn
        board.clock.advance(ROUND_MS)
    assert board.connection(True) == old
    assert board.request() == b""
    board.clock.advance(AGAIN_MS)
    again = board.request()
    assert again and public_of(again) != Certificate(new).public


def test_while_nothing_connects_nothing_is_given_up() -> None:
    board, old = enrolled()
    board.clock.advance(340 * DAY_MS)
    new = leaf_for(public_of(board.request()), ends=NOW + 700 * DAY_S)
    board.take(new)
    shown = [board.connection(False) for _ in range(4 * (TRIES + 1))]
    assert shown == ([new] * TRIES + [old]) * 4
    # The line comes back just as it is the old one's turn: the new one has its turn again.
    for _ in range(TRIES):
        board.connection(False)
    assert board.connection(True) == old
    board.clock.advance(ROUND_MS)
    assert board.certificates.is_to_switch() and board.connection(True) == new
    assert [text for text in board.told if text.startswith("certificate-refused")] == []


def test_renewed_in_time() -> None:
    board, leaf = enrolled()
    board.clock.advance(304 * DAY_MS)
    assert board.request() == b""
    board.clock.advance(2 * DAY_MS)
    asked = board.request()
    assert asked and public_of(asked) != Certificate(leaf).public
    # Of a short one, a third of its life is left for that.
    board = Board()
    leaf = leaf_for(public_of(board.request()), ends=NOW + 8 * DAY_S)
    board.take(leaf)
    board.connection(True)
    board.clock.advance(4 * DAY_MS)
    assert board.request() == b""
    board.clock.advance(2 * DAY_MS)
    assert board.request() != b""


def test_word_of_what_ends_is_given_30_7_and_1_days_before_each_once() -> None:
    board = Board(enrols=False, old=pem(leaf_for(bytes(64), ends=NOW + 40 * DAY_S)))
    board.connection(True)
    for _ in range(45 * 4):
        board.certificates.status()
        board.clock.advance(DAY_MS // 4)
    told = [text for text in board.told if "ours" in text]
    assert len(told) == 4 and "has ended" in told[3] and len(board.told) == 4, board.told
    assert "29 days" in told[0] and "6 days" in told[1] and "0 days" in told[2]
    day = day_text(NOW + 40 * DAY_S)
    assert len([text for text in told if day in text]) == 4
    board.uplink.ends = [("the broker's", board.clock.unix_time() + 10 * DAY_S)]
    assert board.certificates.status().broker > 0
    assert "the broker's ends in 10 days" in board.told[-1]
    assert days_to(1970, 1, 2) == 1


def test_a_damaged_file_leaves_the_settings_certificate() -> None:
    board, _ = enrolled()
    raw = board.storage.read(FILE)
    for damaged in (b"", raw[:-1], raw[:40] + b"\xff" + raw[41:]):
        board.storage.replace(FILE, damaged)
        board.boot()
        assert board.connection(True) == b""
        assert board.told[-1].startswith("certificate-damaged")
        assert board.request()


def test_another_board_key_leaves_it_too() -> None:
    board, _ = enrolled()
    asked = board.request()
    board.board_key = bytes(32)
    board.boot()
    assert board.connection(True) == b"" and "another board key" in board.told[-1]
    assert board.request() not in (b"", asked)


def test_a_session_tells_asks_and_connects_anew() -> None:
    async def scenario() -> None:
        world = World()
        world.line.tls = Files(b"")
        told: list[str] = []
        certificates = Certificates(
            world.line,
            HERE,
            world.session.trust.of(TRUSTED_FOR),
            True,
            world.kept,
            CRYPTO,
            world.storage,
            Vault(CRYPTO, BOARD_KEY),
            lambda name, detail: told.append(name),
        )
        world.session.watch(certificates)
        await world.start()
        asked = [message for name, message in world.hes.heard if name == "certificates"]
        assert len(asked) == 1 and asked[0].until == 0
        leaf = leaf_for(public_of(asked[0].request))
        message = LineCertificate(HERE, NOW, NOW + HOUR, [leaf])
        connections = len(world.line.attempts)
        world.hes.tell("certificate", signed(message.encode()))
        await world.clock.run(20_000)
        assert len(world.line.attempts) == connections + 1
        assert told == ["certificate-taken", "certificate-changed"]
        (*_, last) = [message for name, message in world.hes.heard if name == "certificates"]
        assert last.until == Certificate(leaf).not_after and last.request == b""
        # The HES has no word of it yet: what comes again is no fault.
        world.hes.tell("certificate", signed(message.encode()))
        await world.clock.run(20_000)
        assert len(world.line.attempts) == connections + 1 and world.refusals() == []
        # One that does not get through leaves the line as it was.
        world.line.up = False
        world.line.cut()
        await world.clock.run(300_000)
        world.line.up = True
        await world.clock.run(300_000)
        assert world.session.online and told == ["certificate-taken", "certificate-changed"]
        await world.stop()

    run(scenario())


def test_without_tls_a_certificate_is_refused() -> None:
    world = World()
    message = LineCertificate(HERE, NOW, NOW + HOUR, [leaf_for(bytes(64))])
    world.give("certificate", signed(message.encode()))
    assert world.refusals() == ["unknown-key"]
