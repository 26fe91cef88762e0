"""Class 15 (association LN) and class 64 (security setup): who may talk to the meter, and under
which keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

from gateway.dlms.apdu import acse
from gateway.dlms.data import axdr, cosem, obis
from tools.meter import kinds, protection
from tools.meter.certificates import Certificates
from tools.meter.kinds import Typed
from tools.meter.model import MANAGEMENT, CosemObject, Meter, Refused
from tools.meter.protection import AUTHENTICATED, ENCRYPTED, Demand

if TYPE_CHECKING:
    from tools.meter.device import MeterKeys

NON_ASSOCIATED, PENDING, ASSOCIATED = 0, 1, 2  # association_status
READ, READ_WRITE, NO_ACCESS = 1, 3, 0  # attribute access modes (association LN version 1)
BY_SECRET = (acse.LOW, acse.HIGH, acse.HIGH_MD5, acse.HIGH_SHA1, acse.HIGH_SHA256)
CURRENT = "0.0.40.0.0.255"  # always the association one is in


def name_oid(branch: int, number: int) -> Typed:
    """An object identifier 2.16.756.5.8.branch.number as its 7 BER bytes."""
    return (axdr.OCTET_STRING, b"\x60\x85\x74\x05\x08" + bytes([branch, number]))


class AssociationLN(CosemObject):
    """Class 15: what one client (SAP) may do here, and how far its association has come.

    `secret` is the password of LOW authentication, or what HLS 2, 3, 4 and 6 hash; the management
    client may change it.
    """

    class_id = 15
    ciphered_context, plain_context = acse.LN_CIPHERED, acse.LN
    vaa_name = acse.VAA_LN
    least = acse.GET  # the service without which there is no use in it
    services = (
        acse.GENERAL_PROTECTION
        | acse.GENERAL_BLOCK_TRANSFER
        | acse.ACCESS
        | acse.BLOCK_GET
        | acse.BLOCK_SET
        | acse.BLOCK_ACTION
        | acse.MULTIPLE_REFERENCES
        | acse.DATA_NOTIFICATION
        | acse.GET
        | acse.SET
        | acse.SELECTIVE_ACCESS
        | acse.ACTION
    )

    def __init__(
        self, meter: Meter, client_sap: int, mechanism: int, ciphered: bool, secret: bytes = b""
    ) -> None:
        super().__init__(meter, CURRENT)
        self.client_sap = client_sap
        self.mechanism = mechanism
        self.ciphered = ciphered
        self.signed = False  # though nothing is ciphered
        self.status = NON_ASSOCIATED
        self.conformance = 0
        self.max_receive = 0
        self.max_send = 0
        # the server puts its own check of f(StoC) here; it returns f(CtoS)
        self.reply: Callable[[bytes], bytes] | None = None
        self.attribute(2, kinds.array(kinds.ANY), get=self._object_list)
        partners = [(axdr.INTEGER, client_sap), (axdr.LONG_UNSIGNED, 1)]
        self.attribute(3, kinds.ANY, (axdr.STRUCTURE, partners))
        self.attribute(4, kinds.OCTETS, name_oid(1, self.context))
        self.attribute(5, kinds.ANY, get=self._context_info)
        self.attribute(6, kinds.OCTETS, name_oid(2, mechanism))
        self.attribute(
            7, kinds.OCTETS, (axdr.OCTET_STRING, secret), set=self._set_secret, secret=True
        )
        self.attribute(8, kinds.enum(0, 1, 2), get=lambda: (axdr.ENUM, self.status))
        self.attribute(9, kinds.NAME, (axdr.OCTET_STRING, obis.parse("0.0.43.0.0.255")))
        self.attribute(10, kinds.array(kinds.ANY), (axdr.ARRAY, []))
        self.attribute(
            11, kinds.ANY, (axdr.STRUCTURE, [(axdr.UNSIGNED, 0), (axdr.OCTET_STRING, b"")])
        )
        self.publish(2, 3, 4, 5, 6, 8, 9, 10, 11)
        self.method(1, kinds.OCTETS, self._reply_to_hls)

    @property
    def context(self) -> int:
        """The application context's number."""
        return self.ciphered_context if self.ciphered else self.plain_context

    def secret(self) -> bytes:
        return bytes(self.value(7)[1])

    def _set_secret(self, typed: Typed) -> None:
        self._check_secret(typed[1])
        self.attributes[7].value = typed

    def _check_secret(self, secret: bytes) -> None:
        if self.mechanism not in BY_SECRET:
            raise Refused("read-write-denied")
        if not 8 <= len(secret) <= 64:
            raise Refused("other-reason")

    def _reply_to_hls(self, typed: Typed) -> Typed:
        if self.reply is None:
            raise Refused("read-write-denied")
        return (axdr.OCTET_STRING, self.reply(typed[1]))

    def _context_info(self) -> Typed:
        fields = [
            (axdr.BIT_STRING, format(self.conformance, "024b")),
            (axdr.LONG_UNSIGNED, self.max_receive),
            (axdr.LONG_UNSIGNED, self.max_send),
            (axdr.UNSIGNED, 6),
            (axdr.INTEGER, 0),
            (axdr.OCTET_STRING, b""),
        ]
        return (axdr.STRUCTURE, fields)

    def _object_list(self) -> Typed:
        """Every object this client can read anything but the name of, with its access rights."""
        rows = []
        for each in [self, *self.meter.objects.values()]:
            if not self.sees(each):
                continue
            rights = [self._attribute_right(each, index) for index in each.attributes]
            methods = [
                (axdr.STRUCTURE, [(axdr.INTEGER, index), (axdr.ENUM, 1)])
                for index in each.methods
                if self.client_sap == MANAGEMENT
            ]
            access = [(axdr.ARRAY, rights), (axdr.ARRAY, methods)]
            row = [
                (axdr.LONG_UNSIGNED, each.class_id),
                (axdr.UNSIGNED, cosem.CLASSES[each.class_id].version),
                (axdr.OCTET_STRING, each.logical_name),
                (axdr.STRUCTURE, access),
            ]
            rows.append((axdr.STRUCTURE, row))
        return (axdr.ARRAY, rows)

    def sees(self, each: CosemObject) -> bool:
        """Whether it can read anything but the name of the object."""
        return self.client_sap == MANAGEMENT or any(
            attribute.public and not attribute.secret
            for index, attribute in each.attributes.items()
            if index != 1
        )

    def _attribute_right(self, each: CosemObject, index: int) -> Typed:
        attribute = each.attributes[index]
        management = self.client_sap == MANAGEMENT
        readable = not attribute.secret and (management or attribute.public)
        mode = NO_ACCESS
        if readable:
            mode = READ_WRITE if management and attribute.writable else READ
        elif management and attribute.writable:
            mode = 2  # write only
        selectors: Typed = (axdr.NULL, None)
        if each.class_id == 7 and index == 2:
            selectors = (axdr.ARRAY, [(axdr.INTEGER, 1), (axdr.INTEGER, 2)])
        return (axdr.STRUCTURE, [(axdr.INTEGER, index), (axdr.ENUM, mode), selectors])


UNICAST, BROADCAST, AUTHENTICATION, MASTER = 0, 1, 2, 3  # key_id
KEY_TRANSFER = kinds.structure(kinds.enum(0, 1, 2, 3), kinds.octets(24, 40))
KEY_AGREEMENT = kinds.structure(kinds.enum(0, 1, 2, 3), kinds.octets(128, 192))
# security_policy (version 1): bits for requests and for responses
AUTHENTICATE, ENCRYPT, SIGN = 0x24, 0x48, 0x90
FULL_POLICY = AUTHENTICATE | ENCRYPT


class SecuritySetup(CosemObject):
    """Class 64, suites 0 to 2. Holds the keys; new ones come wrapped (RFC 3394) with the master
    key, or follow from an agreement, and are used from the next request on. The client's last
    invocation counter belongs to the unicast key.

    `secrets`: what device.MeterKeys holds."""

    class_id = 64

    def __init__(self, meter: Meter, name: str, secrets: MeterKeys, demand: Demand) -> None:
        super().__init__(meter, name)
        self.suite = secrets.suite
        self.title = secrets.title
        self.ek, self.ak, self.master = secrets.ek, secrets.ak, secrets.master
        self.broadcast_key = bytes(len(secrets.ek))
        self.signing, self.agreement = secrets.signing, secrets.agreement
        self.client_signing = secrets.client_public("signing")
        self.client_agreement = secrets.client_public("agreement")
        self.demand = demand
        self.last_counter = -1  # of the client, accepted last
        self.last_transaction = -1  # of the client's general-ciphering and -signing
        self.own_counter = 0  # of the meter, used last
        self._coming: dict[int, bytes] = {}
        policy = AUTHENTICATE * bool(demand.policy & AUTHENTICATED)
        policy |= ENCRYPT * bool(demand.policy & ENCRYPTED) | SIGN * demand.signed
        self.attribute(2, kinds.enum(*range(0, 256, 4)), (axdr.ENUM, policy))
        self.attribute(3, kinds.enum(0, 1, 2), (axdr.ENUM, self.suite))
        self.attribute(4, kinds.OCTETS, (axdr.OCTET_STRING, b""))
        self.attribute(5, kinds.OCTETS, (axdr.OCTET_STRING, self.title))
        self.attribute(6, kinds.array(kinds.ANY), (axdr.ARRAY, []))
        self.publish(2, 3, 5)
        self.method(1, kinds.enum(*range(0, 256, 4)), self._activate)
        self.method(2, kinds.array(KEY_TRANSFER, 4), self._key_transfer)
        if self.suite:
            self.method(3, kinds.array(KEY_AGREEMENT, 4), self._key_agreement)
            Certificates(self)

    def _activate(self, typed: Typed) -> None:
        """Security can only be strengthened; the new policy holds from the next request on."""
        policy, wanted = self.value(2)[1], typed[1]
        if wanted & policy != policy or (wanted & SIGN and not self.client_signing):
            raise Refused("read-write-denied")
        self.put(2, typed)
        bits = AUTHENTICATED * bool(wanted & AUTHENTICATE) | ENCRYPTED * bool(wanted & ENCRYPT)
        self.demand = replace(self.demand, policy=bits, signed=bool(wanted & SIGN))

    def _key_transfer(self, typed: Typed) -> None:
        keys = {}
        for entry in typed[1]:
            (_, key_id), (_, wrapped) = entry[1]
            try:
                keys[key_id] = aes_key_unwrap(self.master, wrapped)
            except InvalidUnwrap:
                raise Refused("other-reason") from None
            if len(keys[key_id]) != len(self.ek):
                raise Refused("other-reason")
        self._coming = keys

    def _key_agreement(self, typed: Typed) -> Typed:
        """Ephemeral Unified Model C(2e, 0s): both sides' ephemeral keys, each signed with its
        key_id before it."""
        client = bytes(self.value(4)[1])
        keys, answers = {}, []
        for entry in typed[1]:
            (_, key_id), (_, data) = entry[1]
            theirs, signature = data[: len(data) // 2], data[len(data) // 2 :]
            try:
                if not protection.signature_fits(
                    self.suite, self.client_signing, bytes([key_id]) + theirs, signature
                ):
                    raise Refused("other-reason")
                ephemeral = protection.generate(self.suite)
                purposes = protection.FOR_WRAPPING if key_id == MASTER else protection.FOR_CIPHERING
                keys[key_id] = protection.agree(
                    self.suite, ephemeral, theirs, purposes[self.suite], client + self.title
                )
                ours = protection.public_of(ephemeral)
                signed = protection.sign(self.suite, self.signing, bytes([key_id]) + ours)
            except protection.Damaged:
                raise Refused("other-reason") from None
            fields = [(axdr.ENUM, key_id), (axdr.OCTET_STRING, ours + signed)]
            answers.append((axdr.STRUCTURE, fields))
        self._coming = keys
        return (axdr.ARRAY, answers)

    def next_counter(self) -> int:
        """The meter's own invocation counter: never the same twice."""
        self.own_counter += 1
        return self.own_counter

    def apply_new_keys(self) -> None:
        """Called by the server once the answer to key_transfer is ciphered."""
        if UNICAST in self._coming:
            self.ek = self._coming[UNICAST]
            self.last_counter = -1
        self.ak = self._coming.get(AUTHENTICATION, self.ak)
        self.broadcast_key = self._coming.get(BROADCAST, self.broadcast_key)
        self.master = self._coming.get(MASTER, self.master)
        self._coming = {}
