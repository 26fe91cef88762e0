"""Unconfirmed ACTIONs to all meters at once (Green Book 9.3.1: service_class unconfirmed in a
pre-established association; 9.2.7: key set "broadcast").

There is no AARQ, so what is said must be understood by every meter from the first APDU on: in
clear, or by service under the global broadcast key and the authentication key that the meters of a
fleet share. The nonce is made of the client's system title, which the meters know beforehand.
"""

from __future__ import annotations

from struct import pack

from gateway.dlms import apdu
from gateway.dlms.data.axdr import put_length
from gateway.dlms.errors import SecurityFailed
from gateway.dlms.protection.policy import AUTHENTICATED_ENCRYPTED
from gateway.dlms.protection.policy import BROADCAST as KEY_SET
from gateway.dlms.protection.security import COUNTER_LIMIT, TAG_SIZE
from gateway.dlms.protection.tags import GLO_OF

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.dlms.protection.keyring import Keys
    from hal.ports import Crypto

CLIENT = 102  # SAP of the pre-established client, by convention (IDIS)


class Broadcast:
    """`keys` with `broadcast` and `ak`, or None: everything goes in clear. `next_counter` gives
    invocation counters never used before with the broadcast key."""

    def __init__(
        self, crypto: Crypto, keys: Keys | None, next_counter: Callable[[], int] | None
    ) -> None:
        self._keys = keys
        self._next_counter = next_counter
        if keys is not None:
            if not keys.broadcast or next_counter is None:
                raise ValueError("a ciphered broadcast needs the broadcast key and its counters")
            self._gcm = crypto.aes_gcm(keys.broadcast)
            self._control = AUTHENTICATED_ENCRYPTED | KEY_SET | keys.suite.number
            self._aad = bytes((self._control,)) + keys.ak

    def action(self, class_id: int, name: bytes, method: int, data: bytes | None) -> bytes:
        """The APDU of one method of one object; `data` is its parameter in A-XDR."""
        plain = apdu.ActionRequest(0, class_id, name, method, data).encode()
        if self._keys is None or self._next_counter is None:
            return plain
        counter = self._next_counter()
        if not 0 <= counter <= COUNTER_LIMIT:
            raise SecurityFailed("the broadcast key's invocation counters are used up; renew it")
        head = pack(">BI", self._control, counter)
        out = bytearray((GLO_OF[apdu.ACTION_REQUEST],))
        put_length(out, len(head) + len(plain) + TAG_SIZE)
        nonce = self._keys.system_title + head[1:]
        return bytes(out) + head + self._gcm.encrypt(nonce, plain, self._aad, TAG_SIZE)
