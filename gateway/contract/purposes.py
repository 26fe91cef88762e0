"""What a key may be trusted for: bits of TrustKey.purposes (trust_change.py).

ORDERS jobs, cancels, commands and the time; PACKAGES; TRUST the trust store; KEYS the meters' keys;
LINE the handshake with the HES; SWITCH jobs that open or close the switch of somebody's supply.
What a key for LINE does is no signature, so it serves nothing else, and EVERYTHING is without it;
nor is SWITCH in it: whoever may cut people off is to be named.
"""

from __future__ import annotations

ORDERS = 1
PACKAGES = 2
TRUST = 4
KEYS = 8
EVERYTHING = ORDERS | PACKAGES | TRUST | KEYS
LINE = 16
SWITCH = 32
NAMES = {
    ORDERS: "orders",
    PACKAGES: "packages",
    TRUST: "trust",
    KEYS: "keys",
    LINE: "line",
    SWITCH: "switch",
}


def purposes_text(purposes: int) -> str:
    return "+".join([NAMES[bit] for bit in sorted(NAMES) if purposes & bit])
