"""The other end of each modem's line, with meters behind a simulated channel."""

from tools.emulator.amber import AmberEmulator
from tools.emulator.dlmsotcp import DlmsOTcpEmulator
from tools.emulator.imst import ImstEmulator
from tools.emulator.mam import MamEmulator
from tools.emulator.prime import PrimeEmulator

__all__ = [
    "AmberEmulator",
    "DlmsOTcpEmulator",
    "ImstEmulator",
    "MamEmulator",
    "PrimeEmulator",
]
