"""What the modem is busy with, or will be next: a frame of the host's, or a step of the search."""

from __future__ import annotations

from hal.modem.mam import frames
from hal.modem.mam.search import LOOK, POLL, WAKE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.modem.mam.routes import Node, Via
    from hal.modem.mam.search import Step

_LARGEST_ANSWER = 128
_STREAMED = (0xE0, 0x40)  # general-block-transfer; in its control byte: more blocks follow at once


class Request:
    """`step`: of the search; else it is the host's frame `handle`, for `node` or for all. answered:
    the modem waits for an answer. vias: the way to go now, and (to all) those to go after it.
    deadline, limit: when to look after it, and when to give up on a modem that stays busy."""

    __slots__ = (
        "answered",
        "confirmed",
        "deadline",
        "frame",
        "handle",
        "limit",
        "node",
        "step",
        "vias",
    )

    def __init__(
        self, frame: bytes, node: Node | None, step: Step | None, handle: int, answered: bool
    ) -> None:
        self.frame = frame
        self.node = node
        self.step = step
        self.handle = handle
        self.answered = answered
        self.vias: list[Via] = []
        self.confirmed = False
        self.deadline = 0
        self.limit = 0

    def looks(self) -> bool:
        """Whether it asks who can be heard from somewhere."""
        return self.step is not None and self.step.kind == LOOK

    def target(self) -> bytes:
        """The last address of its path."""
        if self.node is None or (self.step is not None and self.step.kind != POLL):
            return frames.TO_ALL
        return self.node.address

    def encode(self) -> bytes:
        """For the way to go now."""
        if self.step is not None:
            return self.frame
        return frames.data_request(
            list(self.vias[0]) + [self.target()],
            frames.REQUEST if self.answered else frames.SEND,
            frames.DLMS,
            frames.DSAP_APPLICATION,
            self.frame,
            _LARGEST_ANSWER,
        )


def of_host(
    node: Node | None, source_sap: int, destination_sap: int, data: bytes | memoryview, handle: int
) -> Request:
    """A frame for a node, which answers unless more blocks follow at once; None: for all."""
    streamed = len(data) > 1 and data[0] == _STREAMED[0] and data[1] & _STREAMED[1] != 0
    apdu = bytes((source_sap, destination_sap)) + bytes(data)
    return Request(apdu, node, None, handle, node is not None and not streamed)


def of_search(step: Step) -> Request:
    request = Request(step.request, step.node, step, 0, step.kind != WAKE)
    request.vias = [step.via]
    return request
