"""A concentrator with Linux: three UARTs, Ethernet with the cellular router behind it, systemd.
Console script `ami-gateway`, which serves any machine with CPython as well.

Another board is this file with other devices. A machine that lacks one of them is none the worse,
as long as its settings do not name it.
"""

from __future__ import annotations

import sys

from board import service, systemd

# As the settings call them ("uart:plc"), and the device of each.
UARTS = {
    "plc": "/dev/ttyS1",  # the PLC modem
    "rf": "/dev/ttyS2",  # the radio
    "optical": "/dev/ttyS3",  # the probe at the door, or a service plug
}

DESCRIPTION = """\
The firmware of the concentrator, as a service on this machine.

It takes signed jobs from the HES over MQTT, works them on the meters, and reports. Everything it
must remember is in the data folder: the ledger, packages, invocation counters, and the inventory
(meters.jsonl, keys.jsonl) that commissioning put there. It may be killed at any moment.

As a service of systemd, with its settings and data in /var/lib/ami-gateway:

  mkdir -p /var/lib/ami-gateway && cp gateway.json /var/lib/ami-gateway/
  ami-gateway --settings /var/lib/ami-gateway/gateway.json --unit \\
      > /etc/systemd/system/ami-gateway.service
  systemctl enable --now ami-gateway
"""


def main(arguments: list[str] | None = None) -> int:
    """Exit status: see board.service.main."""
    parser = service.parser("ami-gateway", DESCRIPTION)
    parser.add_argument(
        "--unit",
        action="store_true",
        help="print the systemd unit for this installation and these settings, and end",
    )
    options = parser.parse_args(arguments)
    return service.main("ami-gateway", options, UARTS, systemd.unit if options.unit else None)


if __name__ == "__main__":
    sys.exit(main())
