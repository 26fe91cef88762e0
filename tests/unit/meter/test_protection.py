"""The meter's own ciphering against the Green Book's published examples."""

from __future__ import annotations

import pytest

from tools.meter.protection import Damaged, counter_of, gmac, gmac_fits, seal, unseal

EK = bytes.fromhex("000102030405060708090A0B0C0D0E0F")
AK = bytes.fromhex("D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF")
METER = bytes.fromhex("4D4D4D0000BC614E")
CLIENT = bytes.fromhex("4D4D4D0000000001")
GET_CLOCK = bytes.fromhex("C0010000080000010000FF0200")
SEALED = bytes.fromhex(
    "C81E3001234567 411312FF935A47566827C467BC 7D825C3BE4A77C3FCC056B6B".replace(" ", "")
)


def test_authenticated_and_encrypted() -> None:
    assert seal(0xC8, METER, 0x01234567, EK, AK, GET_CLOCK) == SEALED
    assert unseal(SEALED, METER, EK, AK) == GET_CLOCK
    assert counter_of(SEALED) == 0x01234567


def test_hls5() -> None:
    stoc = bytes.fromhex("503677524A323146")
    ctos = bytes.fromhex("4B35366956616759")
    reply = gmac(CLIENT, 1, EK, AK, stoc)
    assert reply.hex() == "10000000011a52fe7dd3e72748973c1e28"
    assert gmac(METER, 0x01234567, EK, AK, ctos)[5:].hex() == "fe1466afb3dbcd4f9389e2b7"
    assert gmac_fits(reply, CLIENT, EK, AK, stoc)
    assert not gmac_fits(reply, METER, EK, AK, stoc)
    assert not gmac_fits(reply[:-1], CLIENT, EK, AK, stoc)
    assert not gmac_fits(reply, CLIENT, EK, AK, ctos)


@pytest.mark.parametrize("place", range(2, len(SEALED)))
def test_any_damage_is_seen(place: int) -> None:
    spoilt = bytearray(SEALED)
    spoilt[place] ^= 0x01
    with pytest.raises(Damaged):
        unseal(bytes(spoilt), METER, EK, AK)


@pytest.mark.parametrize("size", range(1, len(SEALED)))
def test_anything_shorter_is_damaged(size: int) -> None:
    with pytest.raises(Damaged):
        unseal(SEALED[:size], METER, EK, AK)
