"""Stands for the `machine` module of the i.MX port where its hardware would be: UARTs are serial
lines of this machine, named by the environment (EVK_UART_1 ..); what the board asks of the chip is
written to the file EVK_LOG, a line each."""

import io
import os
import select
import sys

from hal.micropython.serial import SerialPort

_POLL = 3  # MP_STREAM_POLL, py/stream.h


def note(text):
    with open(os.getenv("EVK_LOG"), "a") as file:
        file.write(text + "\n")


class UART(io.IOBase):
    def __init__(self, number, **settings):
        note("uart %d %r" % (number, sorted(settings.items())))
        opening = SerialPort.open(os.getenv("EVK_UART_%d" % number), settings["baudrate"])
        try:
            opening.send(None)
        except StopIteration as done:
            self._line = done.value._line

    def read(self, size):
        return self._line.read(size)

    def write(self, data):
        return self._line.write(data)

    def ioctl(self, request, flags):
        if request != _POLL:
            return 0
        poller = select.poll()
        poller.register(self._line, flags)
        found = poller.poll(0)
        return found[0][1] if found else 0

    def deinit(self):
        self._line.close()


class WDT:
    def __init__(self, id=0, timeout=5000):
        note("wdt %d" % timeout)

    def feed(self):
        note("feed")


def reset():
    note("reset")
    sys.exit(0)
