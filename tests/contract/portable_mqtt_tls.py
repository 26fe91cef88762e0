"""TLS with a clock of our own: each thing that can be wrong is told apart, against real brokers
whose certificates openssl's CA has signed.

Environment: TLS_NOW, TLS_PAST and TLS_FUTURE: ports of brokers with a certificate for localhost of
these times, each wanting one of ours; TLS_PLAIN: of one without TLS. TLS_FOLDER and TLS_ELSEWHERE:
the files of the CA and of another one; TLS_SIGN and TLS_SIGN_ELSEWHERE: commands with which they
make board.pem of board.csr there.
"""

from __future__ import annotations

import os

from gateway.contract.line_certificate import LineCertificate
from gateway.contract.meter_keys import Vault
from gateway.kept_clock import KeptClock
from gateway.uplink.certificates import ROUND_MS, ROUNDS, TRIES, Certificates
from hal.ports import PortError
from hal.rt.certificate import Certificate, pem, pem_blocks
from hal.rt.tls_files import TlsFiles
from hal.rt.tls_words import ANY_TIME
from hal.sim.clock import ManualClock
from hal.sim.storage import MemoryStorage
from tests.contract.here import MICROPYTHON, MqttUplink, SystemCrypto
from tests.contract.portable_mqtt import SOON, env, fails
from tests.portable.support import run
from tests.portable.uplink.support import HERE, TRUST, signed

LAST = 0xFFFFFFFF
_2020, _2022, _2030, _2045, _2046 = 1590000000, 1650000000, 1900000000, 2380000000, 2410000000
_NEVER = 3_000_000_000  # 2065


def uplink(
    broker: str = "TLS_NOW", authority: str = "ca", own: str | None = "client", host: str = ""
) -> MqttUplink:
    folder = env("TLS_FOLDER") + "/"
    files = TlsFiles(folder + authority + ".pem")
    if own is not None:
        files = TlsFiles(files.ca, folder + own + ".pem", folder + own + ".key.pem")
    return MqttUplink(host or "localhost", int(env(broker)), "one", None, None, files, 4096)


def connects(link: MqttUplink, bounds: tuple[int, int]) -> None:
    async def body() -> None:
        await link.connect(None, ["n"], SOON, bounds)
        await link.disconnect()

    run(body())


def told(link: MqttUplink, bounds: tuple[int, int], *words: str) -> None:
    """Every one of the words is in the reason."""

    async def body() -> None:
        error = await fails((OSError, PortError), link.connect(None, ["n"], SOON, bounds))
        text = str(error)
        for word in words:
            assert word in text, (word, text)
        assert "within" not in text and "Errno 13" not in text, text

    run(body())


def test_valid_now() -> None:
    connects(uplink(), (_2030, _2030))
    connects(uplink(), ANY_TIME)


def test_the_floor_is_enough_when_the_clock_is_unset() -> None:
    connects(uplink(), (_2022, LAST))
    link = uplink()
    connects(link, (_2030, LAST))
    assert [whose for whose, _ in link.ends] == ["the broker's"], link.ends
    assert _2030 < link.ends[0][1] < _2046


def test_expired_by_our_clock_whatever_the_machines() -> None:
    words = ("expired", '"server"', "2045-01-01", "needs a new one")
    told(uplink(), (_2046, _2046), *words, "valid on 2046")
    told(uplink("TLS_PAST"), (_2030, _2030), "expired", '"past"', "2021-01-01", "valid on 2030")


def test_expired_by_the_floor() -> None:
    told(uplink(), (_2046, LAST), "expired", "clock is unset", "last known time is wrong")
    told(uplink("TLS_PAST"), (_2022, LAST), "expired", "clock is unset", "2021-01-01")


def test_not_yet_valid() -> None:
    told(uplink("TLS_FUTURE"), (_2030, _2030), "not valid yet", "2046-01-01", "clock right?")
    told(uplink(), (_2022, _2022), "not valid yet", "2024-01-01", "valid on 2022")


def test_the_authority_above_has_ended() -> None:
    told(uplink(), (_NEVER, _NEVER), "expired")


def test_what_the_machine_would_refuse() -> None:
    """With a clock of our own that the operating system does not know. mbedTLS on the unix port
    knows the operating system's only, and says so."""
    for broker, bounds in (("TLS_PAST", (_2020, _2020)), ("TLS_FUTURE", (_2046, LAST))):
        if MICROPYTHON:
            told(uplink(broker), bounds, "valid by our clock", "the machine believes")
        else:
            connects(uplink(broker), bounds)


def test_wrong_authority() -> None:
    words = ("wrong authority", '"another"', "uplink.ca")
    told(uplink(authority="another"), (_2030, _2030), *words)
    # Nor is it taken for a question of dates.
    told(uplink(authority="another"), (_2046, _2046), "expired" if MICROPYTHON else words[0])


def test_wrong_host_name() -> None:
    told(uplink(host="127.0.0.1"), (_2030, _2030), "wrong host name", "127.0.0.1", "uplink.host")


def test_no_certificate_of_ours() -> None:
    told(uplink(own=None), (_2030, _2030), "refuses our certificate", "we show none")


def test_our_certificate_has_expired() -> None:
    words = ("refuses our certificate", '"past-client"', "which has expired", "renew")
    told(uplink(own="past-client"), (_2030, _2030), *words)
    told(uplink(own="past-client"), (_2022, LAST), *words)


def test_our_certificate_is_of_another_authority() -> None:
    words = ("refuses our certificate", '"other-client" by "another"', "which authority")
    told(uplink(own="other-client"), (_2030, _2030), *words)


def test_files_that_are_none() -> None:
    told(uplink(authority="not-a"), ANY_TIME, "expected PEM files", "not-a.pem")
    told(uplink(own="not-a"), ANY_TIME, "expected PEM files", "not-a.pem")
    told(uplink(authority="nowhere"), ANY_TIME, "expected PEM files", "nowhere.pem")


def test_no_tls_there() -> None:
    told(uplink("TLS_PLAIN"), ANY_TIME, "speaks no TLS", "uplink.port")


def test_a_chain_and_its_key_from_memory() -> None:
    folder = env("TLS_FOLDER") + "/"
    link = uplink(own=None)
    files = link.tls
    assert files is not None
    with open(folder + "client.pem", "rb") as chain, open(folder + "client.key.pem", "rb") as key:
        files.pair = (chain.read(), key.read())
    connects(link, (_2030, _2030))


class Board:
    """Certificates of a board that begins with the client certificate; `told`: its events."""

    def __init__(self) -> None:
        self.link = uplink()
        self.told: list[str] = []
        clock = ManualClock(_2030)
        self.clock = clock
        storage = MemoryStorage()
        self.certificates = Certificates(
            self.link,
            HERE,
            TRUST,
            True,
            KeptClock(clock, storage),
            SystemCrypto(),
            storage,
            Vault(SystemCrypto(), bytes(32)),
            lambda name, detail: self.told.append(name),
        )

    def connects(self) -> bool:
        self.certificates.choose()
        try:
            connects(self.link, (_2030, _2030))
        except OSError:
            self.certificates.failed()
            return False
        self.certificates.connected()
        return True

    def enrols(self, folder: str, sign: str) -> bytes:
        """The certificate that it has taken then."""
        with open(env(folder) + "/board.csr", "wb") as file:
            file.write(pem(self.certificates.status().request, "CERTIFICATE REQUEST"))
        assert os.system(env(sign)) == 0, "openssl does not take the request"
        with open(env(folder) + "/board.pem", "rb") as file:
            chain = pem_blocks(file.read())
        message = LineCertificate(HERE, _2030, _2030 + 3600, chain)
        self.certificates.take(signed(message.encode()))
        return chain[0]

    def shown(self) -> bytes:
        assert self.link.tls is not None
        return pem_blocks(self.link.tls.chain())[0]


def test_a_board_gets_a_certificate_of_openssls_ca_and_connects_with_it() -> None:
    board = Board()
    assert board.connects()
    leaf = board.enrols("TLS_FOLDER", "TLS_SIGN")
    assert board.certificates.is_to_switch() and board.connects() and board.shown() == leaf
    assert board.told == ["certificate-taken", "certificate-changed"]
    assert Certificate(leaf).subject == HERE


def test_a_certificate_that_the_broker_refuses_is_fallen_back_from() -> None:
    board = Board()
    assert board.connects()
    before = board.shown()
    leaf = board.enrols("TLS_ELSEWHERE", "TLS_SIGN_ELSEWHERE")
    for _ in range(ROUNDS):
        board.clock.advance(ROUND_MS)
        for _ in range(TRIES):
            assert not board.connects() and board.shown() == leaf
        assert board.connects() and board.shown() == before
    assert board.told == ["certificate-taken", "certificate-refused"]
