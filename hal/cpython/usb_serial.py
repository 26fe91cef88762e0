"""USB serial adapters of this machine, found by what they say of themselves: the name the system
gives one (ttyUSB0, ttyUSB1) changes with the order of plugging in."""

from __future__ import annotations

import errno

from serial.tools import list_ports


class Adapter:
    """`device` is the system's name for it; vendor and product as 4 hex digits; serial and text may
    be empty."""

    __slots__ = ("device", "product", "serial", "text", "vendor")

    def __init__(self, device: str, vendor: str, product: str, serial: str, text: str) -> None:
        self.device = device
        self.vendor = vendor
        self.product = product
        self.serial = serial
        self.text = text

    @property
    def place(self) -> str:
        """As in a URL after "usb:"."""
        return ":".join([self.vendor, self.product] + ([self.serial] if self.serial else []))


def adapters() -> list[Adapter]:
    """Those plugged in now, by the system's names."""
    found = []
    for port in sorted(list_ports.comports(), key=lambda port: port.device):
        if port.vid is not None and port.pid is not None:
            vendor, product = "%04x" % port.vid, "%04x" % port.pid
            text = port.product or port.description or ""
            found.append(Adapter(port.device, vendor, product, port.serial_number or "", text))
    return found


def device_of(place: str) -> str:
    """The device of "vendor:product[:serial]". OSError ENODEV when it is not plugged in, EEXIST
    when several fit; both say what is there."""
    fitting = [one for one in adapters() if (one.place + ":").startswith(place + ":")]
    if len(fitting) == 1:
        return fitting[0].device
    if fitting:
        there = ", ".join("%s (usb:%s)" % (one.device, one.place) for one in fitting)
        text = "usb:%s: several fit, add the serial number: %s" % (place, there)
        raise OSError(errno.EEXIST, text)
    there = ", ".join("usb:" + one.place for one in adapters()) or "none"
    raise OSError(
        errno.ENODEV, "usb:%s is not plugged in; USB serial adapters: %s" % (place, there)
    )
