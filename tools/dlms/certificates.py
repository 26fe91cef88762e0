"""certificate: the X.509 certificates of a meter (class 64, methods 4 to 8; Green Book 9.2.6).

    certificate list                                 which it holds
    certificate request --type signing -o it.csr     what a CA is to sign; --new-key: for a new key
    certificate import it.pem --ca root.pem          checked here before the meter gets it
    certificate export --type signing -o it.pem      checked too where --ca is given

A certificate's key usage tells its type, and its common name the system title of whom it is for, as
16 hex digits.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway.dlms.client.client import Client
from gateway.dlms.data import axdr
from gateway.dlms.errors import ProtocolError
from gateway.dlms.protection.security_setup import SECURITY_SETUP
from gateway.dlms.protection.suites import SUITES
from tools.dlms.failure import DONE, CallProblem, Failed
from tools.dlms.key_files import CURVES, read
from tools.dlms.output import console, print_json, row, say, table, write_file
from tools.dlms.session import Settings, conversation

ENTITIES = ("meter", "client", "ca", "other")  # places are the numbers of certificate_entity
TYPES = ("signing", "agreement", "tls", "other")  # certificate_type
_SUITE, _TITLE, _CERTIFICATES = 3, 5, 6  # attributes
_GENERATE, _REQUEST, _IMPORT, _EXPORT, _REMOVE = 4, 5, 6, 7, 8  # methods
_COMMON_NAME = b"\x06\x03\x55\x04\x03"  # 2.5.4.3


def add_options(command: argparse.ArgumentParser) -> None:
    actions = ("list", "request", "import", "export", "remove")
    command.add_argument("action", choices=actions)
    command.add_argument("file", nargs="?", type=Path, metavar="FILE", help="PEM or DER to import")
    command.add_argument("--type", choices=TYPES[:3], default="signing", help="default %(default)s")
    command.add_argument("--entity", choices=ENTITIES, default="meter", help="default %(default)s")
    command.add_argument("--of", metavar="HEX", help="its system title; default the meter's")
    command.add_argument("--new-key", action="store_true", help="the meter makes a new key first")
    command.add_argument("--ca", action="append", type=Path, default=[], metavar="PEM")
    command.add_argument("-o", "--output", type=Path, metavar="FILE", help="PEM")


async def certificate(options: argparse.Namespace, settings: Settings) -> int:
    run = {
        "list": _list,
        "request": _request,
        "import": _import,
        "export": _export,
        "remove": _remove,
    }[options.action]
    if (options.action == "import") != (options.file is not None):
        raise CallProblem("certificate import takes a FILE, the others take none")
    if options.action in ("request", "export") and options.output is None:
        raise CallProblem("certificate %s: say where to with --output" % options.action)
    authorities = [_loaded(path) for path in options.ca]
    brought = None
    if options.file is not None:
        if not authorities:
            raise CallProblem("certificate import: give --ca, who signed it up to the root")
        brought = _loaded(options.file)
    async with conversation(settings) as client:
        meter = _Meter(client, settings.model.security_setup)
        await meter.look()
        return await run(options, meter, authorities, brought)


class _Meter:
    """The security setup of a meter, with its suite's curve and its system title."""

    def __init__(self, client: Client, name: bytes) -> None:
        self._client = client
        self._name = name
        self.title = b""
        self.curve = ""

    async def look(self) -> None:
        tag, title = axdr.decode(await self._get(_TITLE))
        suite = axdr.decode(await self._get(_SUITE))[1]
        if tag != axdr.OCTET_STRING or len(title) != 8:
            raise ProtocolError("server_system_title: expected 8 octets")
        if type(suite) is not int or not 0 < suite < len(SUITES):
            raise Failed("the meter is of security suite %s, which has no certificates" % suite)
        self.title, self.curve = bytes(title), SUITES[suite].curve

    async def certificates(self) -> list[list[Any]]:
        """[entity, type, serial number, issuer, subject, alternative name] of each."""
        tag, found = axdr.decode(await self._get(_CERTIFICATES))
        rows = []
        for kind, fields in found if tag == axdr.ARRAY else ():
            values = [value for _, value in fields] if kind == axdr.STRUCTURE else []
            if len(values) != 6 or type(values[0]) is not int or type(values[1]) is not int:
                raise ProtocolError("certificates: expected structures of 6 elements")
            rows.append(values[:2] + [_octets(value, "certificates") for value in values[2:]])
        return rows

    async def act(self, method: int, data: Any) -> bytes:
        answer = await self._client.action(
            SECURITY_SETUP, self._name, method, None if data is None else axdr.encode(data)
        )
        return b"" if answer is None else _octets(axdr.decode(answer)[1], "the answer")

    async def _get(self, attribute: int) -> bytes:
        return await self._client.get(SECURITY_SETUP, self._name, attribute)


def _octets(value: Any, where: str) -> bytes:
    if value is None:
        return b""
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise ProtocolError("%s: expected an octet-string" % where)
    return bytes(value)


# ---------------------------------------------------------------- what is done


async def _list(options: argparse.Namespace, meter: _Meter, *_: Any) -> int:
    rows = await meter.certificates()
    named = [
        {
            "entity": _word(ENTITIES, entity),
            "type": _word(TYPES, kind),
            "serial_number": serial.hex(),
            "subject": _name(subject),
            "issuer": _name(issuer),
        }
        for entity, kind, serial, issuer, subject, _alternative in rows
    ]
    if options.json:
        print_json(named)
        return DONE
    made = table("of", "type", "serial number", "subject", "issuer")
    for each in named:
        row(made, *each.values())
    console().print(made)
    return DONE


async def _request(options: argparse.Namespace, meter: _Meter, *_: Any) -> int:
    kind = (axdr.ENUM, TYPES.index(options.type))
    if options.new_key:
        await meter.act(_GENERATE, kind)
    raw = await meter.act(_REQUEST, kind)
    try:
        request = x509.load_der_x509_csr(raw)
        proven = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm):
        raise Failed("the meter's answer is no certificate signing request") from None
    if not proven:
        raise Failed("the request is not signed by the key that it is for")
    _check_key(request.public_key(), meter.curve, "the request")
    if _common_name(request.subject).lower() != meter.title.hex():
        raise Failed(
            "the request is for %r, and the meter's system title is %s"
            % (_common_name(request.subject), meter.title.hex())
        )
    write_file(options.output, request.public_bytes(Encoding.PEM))
    _told(options, "request", options.output)
    return DONE


async def _import(
    options: argparse.Namespace,
    meter: _Meter,
    authorities: list[x509.Certificate],
    brought: x509.Certificate,
) -> int:
    _check(brought, meter.curve, authorities)
    if not _is_authority(brought):
        title = _common_name(brought.subject)
        if not _is_title(title):
            raise Failed("its common name %r is no system title of 16 hex digits" % title)
    await meter.act(_IMPORT, (axdr.OCTET_STRING, brought.public_bytes(Encoding.DER)))
    issuer = brought.issuer.public_bytes()
    for found in await meter.certificates():
        if int.from_bytes(found[2], "big") == brought.serial_number and found[3] == issuer:
            _told(options, "imported", options.file)
            return DONE
    raise Failed("the meter took the certificate, but does not list it")


async def _export(
    options: argparse.Namespace, meter: _Meter, authorities: list[x509.Certificate], _: Any
) -> int:
    raw = await meter.act(_EXPORT, _identification(options, meter))
    try:
        found = x509.load_der_x509_certificate(raw)
    except ValueError:
        raise Failed("the meter's answer is no certificate") from None
    if authorities:
        _check(found, meter.curve, authorities)
    title = options.of.lower() if options.of else meter.title.hex()
    if options.entity in ("meter", "client") and _common_name(found.subject).lower() != title:
        raise Failed("it is for %r, not for %s" % (_common_name(found.subject), title))
    write_file(options.output, found.public_bytes(Encoding.PEM))
    _told(options, "exported" if authorities else "exported, not checked (no --ca)", options.output)
    return DONE


async def _remove(options: argparse.Namespace, meter: _Meter, *_: Any) -> int:
    await meter.act(_REMOVE, _identification(options, meter))
    _told(options, "removed", "%s %s" % (options.entity, options.type))
    return DONE


def _identification(options: argparse.Namespace, meter: _Meter) -> Any:
    """certificate_identification by entity."""
    try:
        title = bytes.fromhex(options.of) if options.of else meter.title
    except ValueError:
        raise CallProblem("--of: expected 16 hex digits") from None
    fields = [
        (axdr.ENUM, ENTITIES.index(options.entity)),
        (axdr.ENUM, TYPES.index(options.type)),
        (axdr.OCTET_STRING, title),
    ]
    return (axdr.STRUCTURE, [(axdr.ENUM, 0), (axdr.STRUCTURE, fields)])


def _told(options: argparse.Namespace, what: str, which: object) -> None:
    if options.json:
        print_json({"certificate": what, "file": str(which)})
    else:
        say("%s: %s" % (which, what))


# ---------------------------------------------------------------- what is checked


def _check(found: x509.Certificate, curve: str, authorities: list[x509.Certificate]) -> None:
    """Failed unless it is valid now, of the suite's curve, for one use, and signed in a chain that
    ends at one of the authorities that signed itself."""
    _check_key(found.public_key(), curve, "the certificate")
    _check_time(found)
    if not _is_authority(found):
        usage = _usage(found)
        if usage is None or usage.digital_signature == usage.key_agreement:
            raise Failed(
                "key usage: expected either digitalSignature or keyAgreement, by which the meter"
                " tells what it is for"
            )
    here = found
    for _ in range(len(authorities) + 1):
        signers = [each for each in authorities if _signed_by(here, each)]
        if not signers:
            raise Failed("no --ca has signed %r" % _named(here.subject))
        signer = signers[0]
        _check_time(signer)
        if signer.subject == signer.issuer:
            return
        here = signer
    raise Failed("the chain does not end at a root among --ca")


def _signed_by(found: x509.Certificate, signer: x509.Certificate) -> bool:
    usage = _usage(signer)
    if not _is_authority(signer) or (usage is not None and not usage.key_cert_sign):
        return False
    try:
        found.verify_directly_issued_by(signer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _check_time(found: x509.Certificate) -> None:
    now = datetime.now(UTC)
    if not found.not_valid_before_utc <= now <= found.not_valid_after_utc:
        raise Failed(
            "%r is valid from %s to %s, not now"
            % (_named(found.subject), found.not_valid_before_utc, found.not_valid_after_utc)
        )


def _check_key(key: object, curve: str, what: str) -> None:
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != CURVES[curve]:
        raise Failed("%s: expected a key on %s, the curve of the meter's suite" % (what, curve))


def _is_authority(found: x509.Certificate) -> bool:
    try:
        return found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _usage(found: x509.Certificate) -> x509.KeyUsage | None:
    try:
        return found.extensions.get_extension_for_class(x509.KeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return None


def _common_name(name: x509.Name) -> str:
    return "".join(str(each.value) for each in name.get_attributes_for_oid(NameOID.COMMON_NAME))


def _is_title(text: str) -> bool:
    return len(text) == 16 and all(c in "0123456789abcdefABCDEF" for c in text)


def _named(name: x509.Name) -> str:
    return name.rfc4514_string()


def _name(der: bytes) -> str:
    """The common name inside the DER of a Name; in hex where there is none."""
    at = der.find(_COMMON_NAME) + len(_COMMON_NAME)
    if at < len(_COMMON_NAME) or at + 2 > len(der):
        return der.hex()
    return der[at + 2 : at + 2 + der[at + 1]].decode("utf-8", "replace")


def _word(words: tuple[str, ...], number: int) -> str:
    return words[number] if 0 <= number < len(words) else str(number)


def _loaded(path: Path) -> x509.Certificate:
    raw = read(path)
    try:
        if b"BEGIN CERTIFICATE" in raw:
            return x509.load_pem_x509_certificate(raw)
        return x509.load_der_x509_certificate(raw)
    except ValueError:
        raise CallProblem("%s: expected a certificate, PEM or DER" % path) from None
