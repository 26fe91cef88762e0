"""The ports of the runtime we run on, by the names both have."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
MICROPYTHON = sys.implementation.name == "micropython"

if TYPE_CHECKING or not MICROPYTHON:
    from hal.cpython.clock import SystemClock
    from hal.cpython.crypto import SystemCrypto
    from hal.cpython.datagrams import UdpPort
    from hal.cpython.mqtt import MqttUplink
    from hal.cpython.ports import open_port
    from hal.cpython.storage import FolderStorage
    from hal.cpython.udp import UdpLink
else:
    from hal.micropython.clock import SystemClock
    from hal.micropython.crypto import SystemCrypto
    from hal.micropython.datagrams import UdpPort
    from hal.micropython.mqtt import MqttUplink
    from hal.micropython.ports import open_port
    from hal.micropython.storage import FolderStorage
    from hal.micropython.udp import UdpLink

__all__ = (
    "MICROPYTHON",
    "FolderStorage",
    "MqttUplink",
    "SystemClock",
    "SystemCrypto",
    "UdpLink",
    "UdpPort",
    "open_port",
)
