"""Stands for the `network` module: a cable that is plugged in, and whose link takes a moment."""

from machine import note


class LAN:
    def __init__(self, id):
        note("lan %d" % id)
        self._asked = 0

    def active(self, is_active):
        note("lan active %r" % is_active)

    def isconnected(self):
        self._asked += 1
        return self._asked > 2

    def ipconfig(self, name):
        return ("192.0.2.2", "255.255.255.0")
