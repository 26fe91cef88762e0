"""What goes wrong in the store."""

from __future__ import annotations


class StoreProblem(Exception):
    """The store cannot do what was asked; the text says what to do."""


class Illegal(StoreProblem):
    """What people ordered does not fit the state; the text names both."""


class DatabaseTrouble(StoreProblem):
    """The database cannot be used for now: locked, full, unreachable. What was asked is not done,
    and may be asked again.
    """
