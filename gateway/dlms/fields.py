"""What records without dataclasses need: `==` and a repr over the names in FIELDS."""

from __future__ import annotations


class Fields:
    """Subclasses list their attributes in FIELDS, in the order of the standard. Byte strings are
    shown by their length only: they may hold keys and secrets. They can be changed, so there is no
    hash of them: as keys of a dict they would be lost."""

    __slots__ = ()
    FIELDS: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return False
        return all(getattr(self, name) == getattr(other, name) for name in self.FIELDS)

    def __repr__(self) -> str:
        shown = []
        for name in self.FIELDS:
            value = getattr(self, name)
            if isinstance(value, (bytes, bytearray)):
                value = f"<{len(value)} bytes>"
            shown.append(f"{name}={value}")
        return "{}({})".format(type(self).__name__, ", ".join(shown))
