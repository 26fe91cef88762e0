"""Class 15 (association LN) and class 64 (security setup): who may talk to the meter, and under
which keys."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

from gateway.dlms import acse, axdr, cosem, obis
from tools.meter import kinds
from tools.meter.kinds import Typed
from tools.meter.model import MANAGEMENT, CosemObject, Meter, Refused

NON_ASSOCIATED, PENDING, ASSOCIATED = 0, 1, 2  # association_status
READ, READ_WRITE, NO_ACCESS = 1, 3, 0  # attribute access modes (association LN version 1)
CURRENT = "0.0.40.0.0.255"  # always the association one is in


def name_oid(branch: int, number: int) -> Typed:
    """An object identifier 2.16.756.5.8.branch.number as its 7 BER bytes."""
    return (axdr.OCTET_STRING, b"\x60\x85\x74\x05\x08" + bytes([branch, number]))


class AssociationLN(CosemObject):
    """Class 15: what one client (SAP) may do here, and how far its association has come.

    For LOW authentication `secret` is the password; the management client may change it.
    """

    class_id = 15

    def __init__(
        self, meter: Meter, client_sap: int, mechanism: int, ciphered: bool, secret: bytes = b""
    ) -> None:
        super().__init__(meter, CURRENT)
        self.client_sap = client_sap
        self.mechanism = mechanism
        self.ciphered = ciphered
        self.status = NON_ASSOCIATED
        self.conformance = 0
        self.max_receive = 0
        self.max_send = 0
        # the server puts its own check of f(StoC) here; it returns f(CtoS)
        self.reply: Callable[[bytes], bytes] | None = None
        context = acse.LN_CIPHERED if ciphered else acse.LN
        self.attribute(2, kinds.array(kinds.ANY), get=self._object_list)
        partners = [(axdr.INTEGER, client_sap), (axdr.LONG_UNSIGNED, 1)]
        self.attribute(3, kinds.ANY, (axdr.STRUCTURE, partners))
        self.attribute(4, kinds.OCTETS, name_oid(1, context))
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

    def secret(self) -> bytes:
        return bytes(self.value(7)[1])

    def _set_secret(self, typed: Typed) -> None:
        if self.mechanism != acse.LOW:
            raise Refused("read-write-denied")
        if not 8 <= len(typed[1]) <= 64:
            raise Refused("other-reason")
        self.attributes[7].value = typed

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
            rights = [self._attribute_right(each, index) for index in each.attributes]
            if self.client_sap != MANAGEMENT and not any(
                right[1][1][1] for right in rights if right[1][0][1] != 1
            ):
                continue
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


KEY_TRANSFER = kinds.structure(kinds.enum(0, 1, 2), kinds.octets(24))
UNICAST, BROADCAST, AUTHENTICATION = 0, 1, 2  # key_id
FULL_POLICY = 0x6C  # requests and responses authenticated and encrypted (version 1 bits)


class SecuritySetup(CosemObject):
    """Class 64, suite 0. Holds the keys; new ones come wrapped (RFC 3394) with the master key
    and are used from the next request on. The client's last invocation counter belongs to the
    unicast key."""

    class_id = 64

    def __init__(
        self, meter: Meter, name: str, title: bytes, ek: bytes, ak: bytes, master: bytes
    ) -> None:
        super().__init__(meter, name)
        self.title = title
        self.ek, self.ak, self.broadcast_key = ek, ak, bytes(16)
        self.last_counter = -1  # of the client, accepted last
        self.own_counter = 0  # of the meter, used last
        self._master = master
        self._coming: dict[int, bytes] = {}
        self.attribute(2, kinds.enum(FULL_POLICY), (axdr.ENUM, FULL_POLICY))
        self.attribute(3, kinds.enum(0), (axdr.ENUM, 0))
        self.attribute(4, kinds.OCTETS, (axdr.OCTET_STRING, b""))
        self.attribute(5, kinds.OCTETS, (axdr.OCTET_STRING, title))
        self.attribute(6, kinds.array(kinds.ANY), (axdr.ARRAY, []))
        self.publish(2, 3, 5)
        self.method(1, kinds.enum(FULL_POLICY), lambda _: None)  # nothing stronger to activate
        self.method(2, kinds.array(KEY_TRANSFER, 3), self._key_transfer)

    def _key_transfer(self, typed: Typed) -> None:
        keys = {}
        for entry in typed[1]:
            (_, key_id), (_, wrapped) = entry[1]
            try:
                keys[key_id] = aes_key_unwrap(self._master, wrapped)
            except InvalidUnwrap:
                raise Refused("other-reason") from None
        self._coming = keys

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
        self._coming = {}
