"""The other end of each modem's line, with meters behind a simulated channel."""

from tools.emulator.imst import ImstEmulator
from tools.emulator.prime import PrimeEmulator

__all__ = ["ImstEmulator", "PrimeEmulator"]
