from __future__ import annotations


class WrongWork(Exception):
    """What would be measured does not do its work right: its figures would mean nothing."""
