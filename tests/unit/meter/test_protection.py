"""The meter's own ciphering against published examples."""

from __future__ import annotations

import pytest

from tools.meter import protection
from tools.meter.device import MeterKeys
from tools.meter.protection import Damaged, Demand, Guard

EK = bytes.fromhex("000102030405060708090A0B0C0D0E0F")
AK = bytes.fromhex("D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF")
METER = bytes.fromhex("4D4D4D0000000001")
CLIENT = bytes.fromhex("4D4D4D0000BC614E")
GET_CLOCK = bytes.fromhex("C0010000080000010000FF0200")
SEALED = bytes.fromhex("C81E3001234567411312FF935A47566827C467BC7D825C3BE4A77C3FCC056B6B")


class Own:
    """Secrets of the Green Book's meter."""

    def __init__(self, title: bytes = METER) -> None:
        self.suite = 0
        self.title = title
        self.ek, self.ak, self.master = EK, AK, b""
        self.signing = self.agreement = self.client_signing = self.client_agreement = b""
        self.last_counter = self.last_transaction = -1
        self.demand = Demand()
        self.counter = 0

    def next_counter(self) -> int:
        return self.counter


def test_authenticated_and_encrypted() -> None:
    own = Own()
    assert Guard(own, CLIENT).open(SEALED) == GET_CLOCK
    assert own.last_counter == 0x01234567


def test_hls5() -> None:
    stoc = bytes.fromhex("503677524A323146")
    ctos = bytes.fromhex("4B35366956616759")
    meter, client = CLIENT, METER  # the example's titles are the other way round
    own = Own(meter)
    own.counter = 0x01234567
    reply = protection.gmac(own, client, 1, stoc)
    assert reply.hex() == "10000000011a52fe7dd3e72748973c1e28"
    proof = protection.proof_of_meter(own, protection.GMAC, b"", client, ctos, stoc)
    assert proof.hex() == "1001234567fe1466afb3dbcd4f9389e2b7"

    def fits(title: bytes, stoc: bytes, reply: bytes) -> bool:
        return protection.proof_of_client(own, protection.GMAC, b"", title, ctos, stoc, reply)

    assert fits(client, stoc, reply)
    assert not fits(meter, stoc, reply)
    assert not fits(client, stoc, reply[:-1])
    assert not fits(client, ctos, reply)


def test_keys_agreed_on() -> None:
    """Green Book 8 table C.2: One-Pass Diffie-Hellman, client's side."""
    keys = MeterKeys(METER, EK, AK, b"", 1)
    ephemeral = bytes.fromhex("47DAB03842E5B6E74828EF4F449B378D7DD1A5DAE1FFCA5AE0B0BE0AD18EC57E")
    static = bytes.fromhex(
        "A653565B0E06070BAE9FBE140A5D2156812AEE2DD525053E3EFC850BF13BFDFF"
        "CB240BC7B77BFF5883344E7275908D2287BEFA3725017295A096989D2338290B"
    )
    private = protection.private_key(keys.suite, ephemeral)
    key = protection.agree(1, private, static, 0, CLIENT + METER)
    assert key.hex() == "59a71fd81c929a86a99438da17a66c05"


@pytest.mark.parametrize("place", range(len(SEALED)))
def test_any_damage_is_seen(place: int) -> None:
    spoilt = bytearray(SEALED)
    spoilt[place] ^= 0x01
    own = Own()
    with pytest.raises(Damaged):
        Guard(own, CLIENT).open(bytes(spoilt))
    assert own.last_counter == -1


@pytest.mark.parametrize("size", range(1, len(SEALED)))
def test_anything_shorter_is_damaged(size: int) -> None:
    with pytest.raises(Damaged):
        Guard(Own(), CLIENT).open(SEALED[:size])
