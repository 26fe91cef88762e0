"""Objects by the words that a meter's model has for them, "load-profile" and the like."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.contract.model import Model


def called(model: Model, wanted: str) -> list[tuple[int, bytes]]:
    """(class id, OBIS) of those that the model calls so."""
    return [(class_id, obis) for word, class_id, obis in model.objects if word == wanted]


def unknown(model: Model, wanted: str) -> str:
    """What to tell where it calls none so."""
    text = "model %s has no %s among its objects; add it to the model, or name the object"
    return text % (model.name, wanted)
