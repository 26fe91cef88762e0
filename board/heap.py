"""Imported before all else on the unix port of MicroPython: compiling the modules leaves garbage
between what stays, and without an early collection no large message finds room in one piece.
"""

from __future__ import annotations

import gc

GC_BYTES = 65536  # collect after so much, before the heap is in pieces

gc.threshold(GC_BYTES)  # type: ignore[attr-defined]
