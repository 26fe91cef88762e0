"""TLS with a clock of our own: each thing that can be wrong is told apart, against real brokers
whose certificates openssl's CA has signed.

Environment: TLS_FOLDER (of the CA's files), and TLS_NOW, TLS_PAST and TLS_FUTURE: ports of brokers
with a certificate for localhost of these times, each wanting one of ours.
"""

from __future__ import annotations

from hal.ports import PortError
from hal.rt.tls_files import TlsFiles
from hal.rt.tls_words import ANY_TIME
from tests.contract.here import MICROPYTHON, MqttUplink
from tests.contract.portable_mqtt import SOON, env, fails
from tests.portable.support import run

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
