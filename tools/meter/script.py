"""Class 9, script table: executing a script really does to the meter what its actions say."""

from __future__ import annotations

from gateway.dlms.data import axdr, obis
from tools.meter import kinds
from tools.meter.kinds import Typed
from tools.meter.model import MANAGEMENT, CosemObject, Meter, Refused

WRITE_ATTRIBUTE, EXECUTE_METHOD = 1, 2  # service_id
ACTION = kinds.structure(
    kinds.enum(WRITE_ATTRIBUTE, EXECUTE_METHOD),
    kinds.LONG_UNSIGNED,
    kinds.NAME,
    kinds.INTEGER,
    kinds.ANY,
)
SCRIPT = kinds.structure(kinds.LONG_UNSIGNED, kinds.array(ACTION, 32))
MOST_ACTIONS = 64  # of one execution, those of scripts that it executes included


class ScriptTable(CosemObject):
    """Class 9. An action that is refused ends the script there, and is the script's own result."""

    class_id = 9

    def __init__(self, meter: Meter, name: str, scripts: list[Typed]) -> None:
        super().__init__(meter, name)
        self._left = 0  # actions the running execution may still perform; 0: none is running
        self.attribute(2, kinds.array(SCRIPT, 64), (axdr.ARRAY, scripts), writable=True)
        self.method(1, kinds.LONG_UNSIGNED, lambda typed: self.execute(typed[1]))

    def execute(self, identifier: int) -> None:
        """Run one script; Refused "object-undefined" if there is none of this identifier."""
        for script in self.value(2)[1]:
            (_, known), (_, actions) = script[1]
            if known == identifier:
                break
        else:
            raise Refused("object-undefined")
        outermost = self._left == 0
        if outermost:
            self._left = MOST_ACTIONS
        try:
            for action in actions:
                self._left -= 1
                if self._left == 0:
                    raise Refused("other-reason")
                self._perform(action)
        finally:
            if outermost:
                self._left = 0

    def _perform(self, action: Typed) -> None:
        (_, service), (_, class_id), (_, name), (_, index), parameter = action[1]
        target = self.meter.find(class_id, obis.text(name))
        if service == WRITE_ATTRIBUTE:
            target.write(index, parameter, MANAGEMENT)
        else:
            target.invoke(index, parameter, MANAGEMENT)


def run_script(meter: Meter, name: bytes, selector: int) -> None:
    """What calendars and monitors do when they are due: script 0 or an unknown one is no action
    at all."""
    try:
        table = meter.find(9, obis.text(name))
        assert isinstance(table, ScriptTable)
        table.execute(selector)
    except Refused:
        pass
