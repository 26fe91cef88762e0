"""What is read of a certificate, and what is said of a chain's dates."""

from __future__ import annotations

from hal.rt import certificate, der
from hal.rt.calendar import day_text
from hal.rt.certificate import Certificate
from hal.rt.tls_words import ANY_TIME, chain_fault

EC_PUBLIC = certificate.EC_P256
POINT = bytes(range(64))


def name(text: str) -> bytes:
    pair = der.sequence(bytes.fromhex("0603550403"), der.wrap(der.UTF8, text.encode()))
    return der.sequence(der.wrap(der.SET, pair))


def made(
    begins: bytes = b"240101000000Z",
    ends: bytes = b"20500203040506Z",
    subject: str = "board",
    version: bool = True,
) -> bytes:
    """A certificate that nobody has signed."""

    def date(text: bytes) -> bytes:
        return der.wrap(der.UTC_TIME if len(text) == 13 else der.GENERALIZED_TIME, text)

    fields = [
        der.unsigned(b"\x01"),
        der.sequence(bytes.fromhex("06082a8648ce3d040302")),
        name("ca"),
        der.sequence(date(begins), date(ends)),
        name(subject),
        der.sequence(EC_PUBLIC, der.wrap(der.BIT_STRING, b"\0\x04" + POINT)),
    ]
    if version:
        fields.insert(0, der.wrap(der.CONTEXT_0, der.unsigned(b"\x02")))
    return der.sequence(der.sequence(*fields), der.sequence(), der.wrap(der.BIT_STRING, b"\0"))


def test_what_is_read() -> None:
    for version in (True, False):
        found = Certificate(made(version=version))
        assert (found.subject, found.issuer, found.public) == ("board", "ca", POINT)
        assert found.not_before == 1704067200 and found.not_after == 2527473906
    assert Certificate(made(b"490101000000Z", b"99991231235959Z")).not_after == 253402300799
    assert Certificate(made(b"500101000000Z")).not_before == -631152000
    assert Certificate(made(subject="a\x1b[2Jb")).subject == "a?[2Jb"


def test_days() -> None:
    for seconds, text in (
        (0, "1970-01-01"),
        (951782399, "2000-02-28"),
        (951782400, "2000-02-29"),
        (951868800, "2000-03-01"),
        (4107542399, "2100-02-28"),
        (4107542400, "2100-03-01"),
        (253402300799, "9999-12-31"),
    ):
        assert day_text(seconds) == text, text


def test_what_is_none_is_refused_whatever_it_is() -> None:
    good = made()
    for size in range(len(good)):
        _is_refused(good[:size])
    for place in range(len(good)):
        for value in (0, 0x30, 0x7F, 0x80, 0x84, 0xFF):
            changed = good[:place] + bytes((value,)) + good[place + 1 :]
            try:
                Certificate(changed)
            except der.DerError:
                pass  # and nothing else
    for date in (b"2401010000Z", b"240101000000+", b"24010100000xZ", b"20240101000000"):
        _is_refused(made(date))


def _is_refused(raw: bytes) -> None:
    try:
        Certificate(raw)
    except der.DerError:
        return
    raise AssertionError("taken: " + raw.hex())


def test_pem() -> None:
    raw = made()
    text = b"what openssl says\n" + certificate.pem(raw) + certificate.pem(b"\x30\0") + b"more"
    assert certificate.pem_blocks(text) == [raw, b"\x30\0"]
    assert certificate.pem_blocks(text, "CERTIFICATE REQUEST") == []
    assert max([len(line) for line in text.split(b"\n")]) == 64
    for bad in (
        b"-----BEGIN CERTIFICATE-----\nAAAA\n",
        b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----",
    ):
        try:
            certificate.pem_blocks(bad)
        except der.DerError:
            continue
        raise AssertionError(bad)


def test_long_and_short_lengths() -> None:
    for size in (0, 1, 127, 128, 255, 256, 65535):
        raw = der.wrap(der.OCTET_STRING, bytes(size))
        tag, begins, ends = der.take(raw)
        assert (tag, ends - begins, ends) == (der.OCTET_STRING, size, len(raw)), size
    assert der.unsigned(b"\0\0\x80") == b"\x02\x02\x00\x80" and der.unsigned(b"\0") == b"\x02\x01\0"


def test_a_chain_is_judged_by_the_bounds() -> None:
    begins, ends = 1704067200, 2527473906
    chain = [made(), made(b"200101000000Z", b"20600101000000Z", "ca")]
    for now in (begins, ends):
        assert chain_fault(chain, (now, now)) == ""
    assert chain_fault(chain, ANY_TIME) == chain_fault(chain, (ends, 0xFFFFFFFF)) == ""
    assert chain_fault(chain, (0, begins)) == ""
    for bounds, word in (
        ((begins - 1, begins - 1), "not valid yet"),
        ((0, begins - 1), "not valid yet"),
        ((ends + 1, ends + 1), "has expired"),
        ((ends + 1, 0xFFFFFFFF), "the clock is unset"),
    ):
        text = chain_fault(chain, bounds)
        assert word in text and '"board"' in text, text
        above = chain_fault([chain[1], chain[0]], bounds)
        assert "a certificate above the broker's" in above, above
    assert "cannot be read" in chain_fault([b"\x30\0"], ANY_TIME)
