"""The real gateway in simulated time: a night on the wire passes in minutes.

`run()` drives a coroutine on a SimulatedLoop; SimulatedClock is the gateway's clock there, Wire a
serial line, District a whole concentrator with its meters and its HES.
"""

from tools.emulator.damage import Damage
from tools.emulator.wire import Wire
from tools.simulation.clock import SimulatedClock
from tools.simulation.loop import NothingLeft, SimulatedLoop, TimeStandsStill, run

__all__ = [
    "Damage",
    "NothingLeft",
    "SimulatedClock",
    "SimulatedLoop",
    "TimeStandsStill",
    "Wire",
    "run",
]
