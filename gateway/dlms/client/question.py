"""What a request waits for, and by what its answer is known."""

from __future__ import annotations

from gateway.dlms import apdu
from gateway.dlms.errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gateway.dlms.errors import DlmsError


class Question:
    """An answer of one of `kinds` with this `invoke` (-1: it has none) and `block` (where it has
    one). `step` begins each error. `complaint`: what else came, should no true answer ever come."""

    __slots__ = ("block", "complaint", "invoke", "kinds", "step")

    def __init__(self, kinds: tuple[type, ...], step: str, invoke: int, block: int) -> None:
        self.kinds = kinds
        self.step = step
        self.invoke = invoke
        self.block = block
        self.complaint: DlmsError | None = None

    def is_answered_by(self, answer: Any) -> bool:
        """False for what is late or double; ProtocolError for what can be neither."""
        kinds, invoke, block = self.kinds, self.invoke, self.block
        if invoke < 0:
            return isinstance(answer, kinds) and getattr(answer, "block", block) >= block
        if apdu.AccessResponse in kinds or isinstance(answer, apdu.AccessResponse):
            # the one service with a long invoke-id
            theirs = getattr(answer, "invoke", -1) if isinstance(answer, kinds) else -1
            return theirs >= 0 and theirs & apdu.LONG_ID == invoke & apdu.LONG_ID
        theirs = getattr(answer, "invoke", None)
        if theirs is None or theirs & 0x0F != invoke & 0x0F:
            return False
        if isinstance(answer, apdu.ActionBlockAck) and apdu.ActionBlockAck not in kinds:
            return False  # the last block is out; an earlier one was acknowledged twice
        if isinstance(answer, kinds) and getattr(answer, "result", apdu.SUCCESS) != apdu.SUCCESS:
            return True  # a refusal is one whatever block number it carries
        number = getattr(answer, "block", block)
        if number < block:
            return False
        if not isinstance(answer, kinds) or number > block:
            raise ProtocolError(
                "%s: %s came%s, which does not follow"
                % (self.step, type(answer).__name__, " (block %d)" % number if number else "")
            )
        return True
