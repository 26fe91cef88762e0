"""Bring one meter to the state a package wants, writing no more than differs.

The package's checks are the wanted end state. When all hold at the start nothing is written.
Otherwise the steps run in their order, a set only where the value differs, an action only where its
own check does not hold yet; then every check is read back. What a lost answer left open, reading
tells: so an attempt that begins again never writes a second time what the first one achieved.
"""

from __future__ import annotations

from gateway.activities import words
from gateway.activities.identity import wrong_meter, wrong_target
from gateway.activities.words import passing
from gateway.dlms import axdr, obis
from gateway.dlms.errors import AccessRefused, ActionRefused, NoAnswer, ProtocolError
from gateway.jobs.result import KO, OK, Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Protocol

    from gateway.dlms.client import Client

    class Check(Protocol):
        """The attribute has the value `data` (A-XDR)."""

        class_id: int
        obis: bytes
        attribute: int
        data: bytes

    class Package(Protocol):
        """As gateway/uplink/package.py makes it.

        A step is a Check to write (set), or an action: class_id, obis, method, data | None, check.
        """

        @property
        def targets(self) -> Sequence[tuple[str, Sequence[str]]]: ...
        @property
        def steps(self) -> Sequence[Any]: ...
        @property
        def checks(self) -> Sequence[Check]: ...


INVOKE_TRIES = 3  # how often a method is invoked whose answer is lost and whose check does not hold


class _Refused(Exception):
    def __init__(self, reason: str, refusal: Exception) -> None:
        super().__init__(str(refusal))
        self.reason = reason


async def run(client: Client, serial: str, package: Package) -> Result:
    """OK applied, OK already-as-wanted, or a KO. Errors other than refused writes come out."""
    refusal = _malformed(package)
    if refusal is None:
        refusal = await wrong_meter(client, serial)
    if refusal is None:
        refusal = await wrong_target(client, package.targets)
    if refusal is not None:
        return refusal
    # All are read: one that the meter does not let us read is found before anything is written.
    if not await _differences(client, package.checks):
        return Result(OK, "already-as-wanted")
    done = 0
    try:
        for step in package.steps:
            if is_action(step):
                done += await _invoke(client, step)
            else:
                done += await _set(client, step)
    except _Refused as refused:
        return Result(KO, refused.reason, words.one_line(str(refused)))
    differences = await _differences(client, package.checks)
    if differences:
        text = differences[0]
        if len(differences) > 1:
            text = "%d differ; %s" % (len(differences), text)
        return Result(KO, "read-back-differs", words.one_line(text))
    return Result(OK, "applied", "%d of %d steps were needed" % (done, len(package.steps)))


def is_action(step: Any) -> bool:
    return hasattr(step, "method")


def same(wanted: bytes, came: bytes) -> bool:
    """Whether two A-XDR Data are the same value: lengths may be spelt in more than one way."""
    return wanted == came or axdr.decode(wanted) == axdr.decode(came)


async def _differences(client: Client, checks: Sequence[Check]) -> list[str]:
    """The checks that do not hold, in words."""
    differences = []
    for check in checks:
        came = await client.get(check.class_id, check.obis, check.attribute)
        if not same(check.data, came):
            differences.append(
                "%s: expected %s, came %s"
                % (
                    words.attribute(check.class_id, check.obis, check.attribute),
                    words.shown(check.data),
                    words.shown(came),
                )
            )
    return differences


async def _set(client: Client, step: Check) -> int:
    """1 when it was written, 0 when the meter had the value."""
    try:
        came = await client.get(step.class_id, step.obis, step.attribute)
        if same(step.data, came):
            return 0
    except AccessRefused:
        pass  # some attributes can only be written
    try:
        await client.set(step.class_id, step.obis, step.attribute, step.data)
    except AccessRefused as refused:
        raise _Refused("meter-busy" if passing(refused.result) else "write-refused", refused)
    return 1


async def _invoke(client: Client, step: Any) -> int:
    """1 when the method was invoked, 0 when what it does was done already."""
    lost: NoAnswer | None = None
    for _ in range(INVOKE_TRIES):
        # Also after a lost answer: the method may have done its work or not, the check tells.
        if not await _differences(client, [step.check]):
            return 0 if lost is None else 1
        try:
            await client.action(step.class_id, step.obis, step.method, step.data)
            return 1
        except ActionRefused as refused:
            raise _Refused("meter-busy" if passing(refused.result) else "action-refused", refused)
        except NoAnswer as error:
            lost = error
    assert lost is not None
    raise lost


def _malformed(package: Package) -> Result | None:
    """The KO for a package with a value that is no A-XDR: the meter must not be blamed for it."""
    values = list(package.checks)
    for step in package.steps:
        if is_action(step):
            values.append(step.check)
        if step.data is not None:
            values.append(step)
    for value in values:
        try:
            axdr.decode(value.data)
        except ProtocolError as error:
            text = "the data for class %d %s: %s" % (value.class_id, obis.text(value.obis), error)
            return Result(KO, "bad-package", words.one_line(text))
    return None
