"""Meters of our own model, `ami`: what is so of a meter that no model is named for, and what a
model (model.py) leaves as it is.

It is apart from model.py, so that a street of such meters needs nothing of what reads a model.
"""

from __future__ import annotations

from gateway.contract.model_name import OWN
from gateway.contract.place import NUMBER, Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LN, SN = 0, 1  # referencing

# dialect of general-ciphering and general-signing: the Green Book's figures, or the other one that
# is met in the field
GREEN_BOOK, OTHER = 0, 1

# release: what to do once the conversation is over
NO_RELEASE, RELEASE, RELEASE_UNHEARD = 0, 1, 2
RELEASES = ("none", "answered", "unanswered")

# key_order: ids of global_key_transfer and key_transfer (Blue Book 4.4.7)
UNICAST_KEY, BROADCAST_KEY, AUTHENTICATION_KEY, MASTER_KEY = 0, 1, 2, 3


class _OwnModel:
    """The fields of model.Model."""

    name = OWN
    number = 1
    description = ""
    serial = Place(1, b"\x00\x00\x2a\x00\x00\xff", 2)  # logical device name (Blue Book 6.2.24)
    model = Place(1, b"\x00\x00\x60\x01\x01\xff", 2)  # 0.0.96.1.1.255, device ID 2
    firmware = Place(1, b"\x01\x00\x00\x02\x00\xff", 2)  # active firmware identifier
    client_sap = 1
    server_sap = 1
    public_sap = 16
    referencing = LN
    mechanism = 5  # GMAC
    form = 1  # glo
    policy = 0x30
    dialect = GREEN_BOOK
    association = b"\x00\x00\x28\x00\x00\xff"
    security_setup = b"\x00\x00\x2b\x00\x00\xff"
    key_order = [AUTHENTICATION_KEY, UNICAST_KEY, BROADCAST_KEY, MASTER_KEY]
    max_pdu = 0
    services = 0
    pause_ms = 0
    window = 1
    release = RELEASE
    counter = Place(1, b"\x00\x00\x2b\x01\x00\xff", 2, NUMBER)
    start = 1
    image = b"\x00\x00\x2c\x00\x00\xff"
    broadcast = True
    verify_s = 0
    activate_s = 0
    objects = (
        ("load-profile", 7, b"\x01\x00\x63\x01\x00\xff"),
        ("alarm-register-1", 1, b"\x00\x00\x61\x62\x00\xff"),
        ("alarm-filter-1", 1, b"\x00\x00\x61\x62\x0a\xff"),
        ("alarm-descriptor-1", 1, b"\x00\x00\x61\x62\x14\xff"),
        ("daily-profile", 7, b"\x01\x00\x63\x02\x00\xff"),
        ("billing-profile", 7, b"\x00\x00\x62\x01\x00\xff"),
        ("standard-log", 7, b"\x00\x00\x63\x62\x00\xff"),
        ("fraud-log", 7, b"\x00\x00\x63\x62\x01\xff"),
        ("disconnect-log", 7, b"\x00\x00\x63\x62\x02\xff"),
    )


OWN_MODEL: Any = _OwnModel  # as good as a Model
