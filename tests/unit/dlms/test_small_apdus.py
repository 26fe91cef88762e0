"""Paths that carry 125 bytes, as Meters and More does: associations of every kind, then every
service in blocks, and what cannot fit is refused in words. The link asserts that neither side sends
more."""

from __future__ import annotations

import asyncio

import pytest

from gateway.dlms.apdu import acse
from gateway.dlms.client.association import HIGH_ECDSA, HIGH_GMAC, HIGH_SHA256, LOW
from gateway.dlms.errors import NotSupported
from gateway.dlms.protection.policy import (
    AUTHENTICATED_ENCRYPTED,
    DED,
    GENERAL_CIPHERING,
    GENERAL_GLO,
    GLO,
    IDENTIFIED,
    ONE_PASS,
    STATIC,
    WRAPPED,
    Protection,
)
from hal.modem.mam.frames import MTU
from tests.unit.dlms.test_protections import association, client_keys, exercise, meter, over
from tests.unit.meter.links import MemoryLink
from tools.meter.model import MANAGEMENT
from tools.meter.server import CONFORMANCE

WITHOUT_GENERAL_BLOCKS = CONFORMANCE & ~acse.GENERAL_BLOCK_TRANSFER


def play(mechanism: int, suite: int, how: Protection, conformance: int = CONFORMANCE) -> MemoryLink:
    server = meter(suite, mechanism)
    server.conformance = conformance
    link = MemoryLink(server, MANAGEMENT, MTU)
    asyncio.run(exercise(over(link, association(mechanism, client_keys(suite), how))))
    return link


@pytest.mark.parametrize("conformance", [CONFORMANCE, WITHOUT_GENERAL_BLOCKS])
@pytest.mark.parametrize("suite", [0, 1, 2])
@pytest.mark.parametrize("form", [GLO, GENERAL_GLO])
def test_what_most_meters_use_needs_no_general_blocks(
    form: str, suite: int, conformance: int
) -> None:
    link = play(HIGH_GMAC, suite, Protection(form, AUTHENTICATED_ENCRYPTED), conformance)
    assert max(len(frame) for frame in link.sent) <= MTU


@pytest.mark.parametrize("mechanism", [LOW, HIGH_GMAC, HIGH_SHA256])
@pytest.mark.parametrize("suite", [0, 1])
def test_a_dedicated_key_fits_the_aarq(suite: int, mechanism: int) -> None:
    play(mechanism, suite, Protection(DED, AUTHENTICATED_ENCRYPTED))


@pytest.mark.parametrize("suite", [1, 2])
@pytest.mark.parametrize("mechanism", [HIGH_GMAC, HIGH_ECDSA])
def test_signed_general_ciphering_goes_in_general_blocks_from_the_hls_reply_on(
    mechanism: int, suite: int
) -> None:
    for source in (IDENTIFIED, WRAPPED, ONE_PASS, STATIC):
        how = Protection(GENERAL_CIPHERING, AUTHENTICATED_ENCRYPTED, source, signed=True)
        link = play(mechanism, suite, how)
        assert link.sent[1][0] == 0xE0  # the HLS reply


def test_an_aarq_that_does_not_fit_is_refused_in_words() -> None:
    with pytest.raises(NotSupported, match=r"association of client 1: 128 bytes, .* 125"):
        play(HIGH_GMAC, 2, Protection(DED, AUTHENTICATED_ENCRYPTED))


def test_the_meter_is_told_how_much_the_path_carries() -> None:
    server = meter(0, LOW, ciphered=False)
    link = MemoryLink(server, MANAGEMENT, MTU)
    client = over(link, association(LOW, None))
    asyncio.run(client.associate())
    aarq = acse.Aarq.decode(link.sent[0])
    assert acse.InitiateRequest.decode(aarq.user_information).max_pdu == MTU
