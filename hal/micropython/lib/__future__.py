"""Accepts `from __future__ import annotations`; MicroPython never evaluates annotations anyway."""

annotations = None
