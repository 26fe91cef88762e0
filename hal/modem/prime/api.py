"""PRIME API: the numbers of USI protocol 30, and what the base node's results mean.

    2B / 2C  reset: - / result
    2D / 2E  get: PIB(2) / result PIB(2) size(1) value
    2F / 30  get a list: PIB(2) / result PIB(2) size(2) value
    31 / 32  set: PIB(2) size(1) value / result
    35 / 36  release: node(2) / node(2) result
    37 / 39  data: dLSAP sLSAP node(2) size(2) data link-class / dLSAP sLSAP node(2) status
    38       data came: dLSAP sLSAP node(2) from(2) size(2) data link-class
    3A / 3B  node joined: size id node(2) EUI48 [ae] / left: node(2)
    3D..4E   upgrade of the nodes' own firmware: not used
    4F       network event: kind EUI48 SID LNID(2) LSID ALV-RX ALV-TX ALV-time [channels (4)]

Source: Microchip's public PRIME host software and base node application (PRIME 1.3 and 1.4);
computed, not seen on a wire.
"""

from __future__ import annotations

from hal.ports import PortError

MLME_RESET_REQUEST = 0x2B
MLME_RESET_CONFIRM = 0x2C
MLME_GET_REQUEST = 0x2D
MLME_GET_CONFIRM = 0x2E
MLME_LIST_GET_REQUEST = 0x2F
MLME_LIST_GET_CONFIRM = 0x30
MLME_SET_REQUEST = 0x31
MLME_SET_CONFIRM = 0x32
CL432_RELEASE_REQUEST = 0x35
CL432_RELEASE_CONFIRM = 0x36
CL432_DATA_REQUEST = 0x37
CL432_DATA_INDICATION = 0x38
CL432_DATA_CONFIRM = 0x39
CL432_JOIN_INDICATION = 0x3A
CL432_LEAVE_INDICATION = 0x3B
NETWORK_EVENT = 0x4F

ANSWERS = (
    MLME_RESET_CONFIRM,
    MLME_GET_CONFIRM,
    MLME_LIST_GET_CONFIRM,
    MLME_SET_CONFIRM,
    CL432_RELEASE_CONFIRM,
    CL432_DATA_INDICATION,
    CL432_DATA_CONFIRM,
    CL432_JOIN_INDICATION,
    CL432_LEAVE_INDICATION,
    NETWORK_EVENT,
)

# PIB attributes
PIB_MAC_STATE = 0x0024
PIB_MAC_LISTS = range(0x0050, 0x005B)  # those that only 2F gives
PIB_432_NODES = 0x8250

# Kinds of network events
EVENT_REGISTER = 0
EVENT_UNREGISTER = 1
EVENT_PROMOTE = 2
EVENT_DEMOTE = 3
EVENT_ALIVE = 4
EVENT_REBOOT = 5
EVENTS = ("registered", "unregistered", "promoted", "demoted", "alive", "rebooted")
EVENT_SIZE = 15  # with its command; newer firmware adds 4 bytes on channels

# Status of a data confirm
STATUS_OK = 0x00
STATUS_TIMEOUT = 0x02
STATUS_BAD_ADDRESS = 0xC0
STATUS_BAD_HANDLE = 0xC1
STATUS_PREVIOUS_PENDING = 0xC2

BROADCAST_NODE = 0x0FFF
MAX_PAYLOAD = 1021

_RESULTS = {
    0: "done",
    1: "failed or rejected",
    2: "timeout",
    4: "no such device",
    8: "no subnetwork",
    9: "no switch",
    10: "redundant",
    11: "no such attribute",
    12: "out of range",
    13: "read only",
}


def mlme_result(result: int) -> str:
    """The name of a result of reset, get or set."""
    return _RESULTS.get(result, "result %d" % result)


def pib(parameter: str) -> int:
    """A PIB attribute of 4 hex digits. PortError."""
    try:
        number = bytes.fromhex(parameter)
    except ValueError:
        number = b""
    if len(parameter) != 4 or len(number) != 2:
        raise PortError("PRIME parameters are PIB attributes in 4 hex digits, not %r" % parameter)
    return int.from_bytes(number, "big")
