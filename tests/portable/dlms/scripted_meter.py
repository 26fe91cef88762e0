"""A DLMS client whose meter is a table: what the activities need of one, on both runtimes."""

from __future__ import annotations

from gateway.dlms import apdu
from gateway.dlms.client.refusals import access_refused
from gateway.dlms.data import axdr
from gateway.dlms.errors import AccessRefused, ActionRefused, NoAnswer

LDN = (1, b"\x00\x00\x2a\x00\x00\xff", 2)
MODEL = (1, b"\x00\x00\x60\x01\x01\xff", 2)
FIRMWARE = (1, b"\x01\x00\x00\x02\x00\xff", 2)


def octets(text):
    return axdr.encode((axdr.OCTET_STRING, text.encode()))


def _number(result):
    return next(n for n, name in apdu.ACCESS_RESULTS.items() if name == result)


class ScriptedMeter:
    """`values`: (class, obis, attribute) -> A-XDR. `methods`: key -> what it does to the meter."""

    def __init__(self, serial="M1", model="AMI-E450", firmware="V02.10.01"):
        self.values = {LDN: octets(serial), MODEL: octets(model), FIRMWARE: octets(firmware)}
        self.methods = {}
        self.refuse_get = {}  # key -> data-access-result
        self.refuse_set = {}
        self.refuse_action = {}
        self.ignore_set = []  # keys whose writes are acknowledged and forgotten
        self.lose_before = 0  # so many ACTIONs are lost on their way there
        self.lose_after = 0  # so many answers of ACTIONs are lost on their way back
        self.done = []  # ("set" | "action", class, index) in order
        self.silent_after = -1  # so many things done, nothing is heard of it any more
        self.then_values = {}  # what other attributes have (None: undefined) once one is written

    async def get(self, class_id, name, attribute):
        key = (class_id, name, attribute)
        result = self.refuse_get.get(key)
        if result is None and key not in self.values:
            result = "object-undefined"
        if result is not None:
            raise access_refused(_number(result), "GET class %d" % class_id)
        return self.values[key]

    async def get_list(self, items):
        found = []
        for class_id, name, attribute, _ in items:
            try:
                found.append((0, await self.get(class_id, name, attribute)))
            except AccessRefused as refused:
                found.append((refused.number, None))
        return found

    async def set_list(self, items):
        results = []
        for (class_id, name, attribute, _), data in items:
            try:
                await self.set(class_id, name, attribute, data)
                results.append(0)
            except AccessRefused as refused:
                results.append(refused.number)
        return results

    async def set(self, class_id, name, attribute, data):
        key = (class_id, name, attribute)
        if key in self.refuse_set:
            result = self.refuse_set[key]
            raise access_refused(_number(result), "SET class %d" % class_id)
        self._happens()
        self.done.append(("set", class_id, attribute))
        if key not in self.ignore_set:
            self.values[key] = data

    def _happens(self):
        if len(self.done) == self.silent_after:
            raise NoAnswer("no answer")
        for key, data in self.then_values.items():
            self.values.pop(key)
            if data is not None:
                self.values[key] = data
        self.then_values = {}

    async def action(self, class_id, name, method, data):
        key = (class_id, name, method)
        if key in self.refuse_action:
            result = self.refuse_action[key]
            raise ActionRefused(result, "ACTION", "ACTION class %d: %s" % (class_id, result))
        if self.lose_before:
            self.lose_before -= 1
            raise NoAnswer("ACTION: no answer")
        self.done.append(("action", class_id, method))
        self.methods[key](self)
        if self.lose_after:
            self.lose_after -= 1
            raise NoAnswer("ACTION: no answer")
