"""NXP's i.MX RT1060 evaluation kit with MicroPython (its board MIMXRT1060_EVK, 1.25 or later): a
Cortex-M7 at 600 MHz, 32 MB of SDRAM as heap, Ethernet, USB for the console, and 8 MB of flash,
which MicroPython mounts as littlefs at /flash.

Put the program there, and start it from main.py:

    mpremote cp -r board gateway hal :/flash/ + cp gateway.json meters.jsonl main.py :/flash/

    # main.py
    import sys
    sys.path.append("/flash/hal/micropython/lib")
    from board import mimxrt1060_evk
    mimxrt1060_evk.main()

meters.jsonl and keys.jsonl belong into /flash/data. Another board is this file with other UARTs
and another LAN; where a UART's pins can be chosen they stand beside its number: (1, {"tx": 33,
"rx": 32}). Not yet run on the hardware: the tests run it on the unix port of MicroPython, with
`machine` and `network` played.
"""

from __future__ import annotations

import time

import machine
import network

import board.heap  # noqa: F401 - before all that is ours
from board import firmware
from hal.micropython.watchdog import BoardWatchdog
from hal.rt import log

SETTINGS = "/flash/gateway.json"
DATA = "/flash/data"

# The Arduino header: RX/TX of UART 1 are D0/D1, of UART 2 D7/D6, of UART 3 D8/D9. As the settings
# call them ("uart:plc"), with the numbers of machine.UART.
UARTS = {"plc": (1, {}), "rf": (2, {}), "optical": (3, {})}

# The chip can wait 128 s at most. A signature on the curve P-256 in Python takes seconds.
WATCHDOG_MS = 120_000
LINK_MS = 20_000  # for cable and DHCP at the start; what comes later is found later
RESTART_MS = 10_000  # after a fault, so that its reason can be read at the console


def main(settings: str = SETTINGS, data: str = DATA) -> None:
    """Never returns: whatever ends the gateway, the board starts anew."""
    try:
        _connect()
        firmware.run("gateway", settings, data, UARTS, BoardWatchdog(WATCHDOG_MS))
        time.sleep_ms(RESTART_MS)
    finally:
        machine.reset()


def _connect() -> None:
    """Ethernet, with an address by DHCP."""
    lan = network.LAN(0)
    lan.active(True)
    began = time.ticks_ms()
    while not lan.isconnected():
        if time.ticks_diff(time.ticks_ms(), began) > LINK_MS:
            log.warning("board", "no Ethernet link yet; going on without")
            return
        time.sleep_ms(100)
    log.info("board", "Ethernet: %s" % lan.ipconfig("addr4")[0])
