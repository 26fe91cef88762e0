"""Bring one meter to the state a package wants, writing no more than differs.

The package's checks are the wanted end state. When all hold at the start nothing is written.
Otherwise the steps run in their order, a set only where the value differs, an action only where its
own check does not hold yet, or another one of its object that no step writes; then every check is
read back, and what must hold of a meter whatever is written to it (conditions.py). What a lost
answer left open, reading tells: so an attempt that begins again never writes a second time what the
first one achieved.

When the meter refuses a step, breaks the protocol, reads back otherwise or does not measure as it
did, what was written is put back as it was read before, and the result says whether that succeeded,
and what cannot be put back. When it falls silent, nothing more can be done to it: the next attempt
goes on from what it finds.

Values that are written one after the other share an exchange (lists; blocks where they are long).
ACCESS is not used: it would save the exchange that reads back, but a value would be read in the
moment it is written, before the meter has had time to do otherwise.
"""

from __future__ import annotations

from gateway.activities import attributes, conditions, identity, protected_objects, readable
from gateway.activities.attributes import same
from gateway.activities.verdict import explained, refused_with
from gateway.contract.limits import MAX_VALUE
from gateway.contract.own_model import OWN_MODEL
from gateway.contract.package import Action
from gateway.contract.result import KO, OK, VALUE, Result
from gateway.dlms import apdu
from gateway.dlms.client.invoking import step_of as method_of
from gateway.dlms.client.refusals import access_refused
from gateway.dlms.client.writing import step_of
from gateway.dlms.data import axdr, obis
from gateway.dlms.errors import AccessRefused, ActionRefused, DlmsError, NoAnswer, ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.activities.attributes import Attributes, Key
    from gateway.contract.model import Model
    from gateway.contract.package import Check, Package, Set
    from gateway.dlms.client.client import Client


INVOKE_TRIES = 3  # how often a method is invoked whose answer is lost and whose check does not hold
_NOT_READ = b"\x00"  # null-data


async def run(client: Client, serial: str, package: Package, model: Model = OWN_MODEL) -> Result:
    """OK applied, OK already-as-wanted, or a KO. Errors other than refused writes come out."""
    refusal = _other_model(package, model) or _malformed(package) or _forbidden(package)
    if refusal is not None:
        return refusal
    wanted = identity.keys(model) + list(conditions.KEYS + _keys(package))
    before = await attributes.read(client, wanted)
    refusal = identity.wrong_meter(before, serial, model)
    refusal = refusal or identity.wrong_target(before, package.targets, model)
    if refusal is not None:
        return refusal
    # All are needed: one that the meter does not let us read is found before anything is written.
    if not _differences(before, package.checks):
        return Result(OK, "already-as-wanted")
    change = _Change(client, package, before)
    try:
        await change.carry_out()
        return await _judge(client, package, before, change)
    except _Refused as refused:
        reason, text = refused.reason, str(refused)
    except NoAnswer:
        raise
    except DlmsError as error:
        if not change.done:
            raise
        reason, text = explained(error, True).reason, str(error)
    return await change.put_back(reason, text)


async def compare(
    client: Client, serial: str, package: Package, model: Model = OWN_MODEL
) -> Result:
    """The dry run: VALUE with the value each check's attribute has now, in their order (null-data
    where the meter does not give it); nothing is written."""
    refusal = _other_model(package, model) or _malformed(package)
    if refusal is not None:
        return refusal
    keys = [_key(check) for check in package.checks]
    found = await attributes.read(client, identity.keys(model) + keys)
    refusal = identity.wrong_meter(found, serial, model)
    refusal = refusal or identity.wrong_target(found, package.targets, model)
    if refusal is not None:
        return refusal
    values = [found.values.get(key, _NOT_READ) for key in keys]
    if sum([len(value) for value in values]) > MAX_VALUE:
        return Result(KO, "value-too-large", "at most %d bytes fit a report" % MAX_VALUE)
    differing = [check for check in package.checks if not found.has(_key(check), check.data)]
    detail = "%d of %d values differ" % (len(differing), len(values))
    return Result(VALUE, "compared", detail, values)


class _Refused(Exception):
    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class _Change:
    """What is done to one meter, and what it takes to undo it."""

    def __init__(self, client: Client, package: Package, before: Attributes) -> None:
        self._client = client
        self._package = package
        self._before = before
        self._now = dict(before.values)  # as far as we know
        self._written: list[Key] = []  # in order
        self._invoked: list[str] = []  # in words: what has or may have been done
        self.done = 0  # steps that were needed

    async def carry_out(self) -> None:
        """All steps. _Refused, NoAnswer and the errors of the client come out."""
        waiting: list[tuple[Key, bytes]] = []  # sets that may share an exchange
        try:
            for step in self._package.steps:
                if not isinstance(step, Action):
                    if _key(step) in [key for key, _ in waiting]:
                        await self._set(waiting)
                        waiting = []
                    waiting.append((_key(step), step.data))
                    continue
                await self._set(waiting)
                waiting = []
                await self._invoke(step)
            await self._set(waiting)
        except NoAnswer as error:
            if self.done:
                raise NoAnswer("%s; %s had been done" % (error, self.words()))
            raise

    def words(self) -> str:
        return "%d of %d steps" % (self.done, len(self._package.steps))

    async def put_back(self, reason: str, text: str) -> Result:
        """The KO, after what was written has been restored as far as it can be."""
        if self._written or self._invoked:
            text += "; " + await self._restore()
        return Result(KO, reason, readable.one_line(text))

    async def _set(self, wanted: list[tuple[Key, bytes]]) -> None:
        """Write what differs; none of `wanted` twice."""
        unknown = [key for key, _ in wanted if key not in self._now]
        unknown = [key for key in unknown if key not in self._before.refused]
        if unknown:  # since a method was invoked
            self._now.update((await attributes.read(self._client, unknown)).values)
        items = []
        for key, data in wanted:
            known = self._now.get(key)
            if known is None or not same(data, known):
                items.append((key, data))
        if not items:
            return
        results = await self._client.set_list([(key + (None,), data) for key, data in items])
        refusal: AccessRefused | None = None
        for (key, data), result in zip(items, results):  # noqa: B905
            if result == apdu.SUCCESS:
                self._written.append(key)
                self._now[key] = data
                self.done += 1
            elif refusal is None:
                refusal = access_refused(result, step_of(*key))
        if refusal is not None:
            raise _Refused(refused_with(refusal.result, "write-refused"), str(refusal))

    async def _invoke(self, step: Action) -> None:
        """Once, unless what it does was done already."""
        lost: NoAnswer | None = None
        for _ in range(INVOKE_TRIES):
            # Also after a lost answer: the method may have done its work or not, the check tells.
            if await self._has_worked(step, lost is not None):
                if lost is not None:
                    self._note(step)
                return
            try:
                await self._client.action(step.class_id, step.obis, step.method, step.data)
                self._note(step)
                return
            except ActionRefused as refused:
                if lost is not None:
                    if await self._has_worked(step, True):  # the first one was heard
                        self._note(step)
                        return
                    self._invoked.append("%s may have been done" % _method(step))
                raise _Refused(refused_with(refused.result, "action-refused"), str(refused))
            except NoAnswer as error:
                lost = error
        assert lost is not None
        raise lost

    def _note(self, step: Action) -> None:
        self._invoked.append("%s has been done" % _method(step))
        self.done += 1
        self._now = {}  # a method may change anything

    async def _has_worked(self, step: Action, asked: bool) -> bool:
        """Whether its check holds, and what else only a method of its object can bring about: a
        corrected calendar has the name of the one that is active."""
        if not await self._hold([step.check]):
            return False
        others = _brought_about(self._package, step)
        known = {} if asked else self._now
        for check in others:
            if _key(check) in known and not same(check.data, known[_key(check)]):
                return False
        return await self._hold([check for check in others if _key(check) not in known])

    async def _hold(self, checks: Sequence[Check]) -> bool:
        if not checks:
            return True
        found = await attributes.read(self._client, [_key(check) for check in checks])
        return not _differences(found, checks)

    async def _restore(self) -> str:
        """What was written is written back, the last first; what came of it, in words."""
        items: list[tuple[Key, bytes]] = []
        lost = list(self._invoked)
        for key in reversed(self._written):
            if key in self._before.values:
                if key not in [item[0] for item in items]:
                    items.append((key, self._before.values[key]))
            else:
                lost.append("the former %s is not known" % readable.attribute(*key))
        try:
            if items:
                await self._client.set_list([(key + (None,), data) for key, data in items])
            found = await attributes.read(self._client, [key for key, _ in items])
            for key, data in items:
                if not found.has(key, data):
                    lost.append("%s does not take its former value" % readable.attribute(*key))
        except (DlmsError, OSError) as error:
            lost.append("putting back failed: %s" % error)
        if lost:
            return "not all is as before: %s" % "; ".join(lost)
        return "restored, %d values are as before" % len(items)


async def _judge(client: Client, package: Package, before: Attributes, change: _Change) -> Result:
    """Reads back: every check, and that the meter is otherwise as it was."""
    keys = [_key(check) for check in package.checks]
    after = await attributes.read(client, list(conditions.KEYS) + keys)
    differences = _differences(after, package.checks)
    if differences:
        text = differences[0]
        if len(differences) > 1:
            text = "%d differ; %s" % (len(differences), text)
        raise _Refused("read-back-differs", text)
    ordered = [_key(step) for step in package.steps if not isinstance(step, Action)]
    acted = [(step.class_id, step.obis) for step in package.steps if isinstance(step, Action)]
    ordered += [key for key in conditions.KEYS if (key[0], key[1]) in acted]
    broken = conditions.broken(before, after, ordered)
    if broken:
        raise _Refused("condition-broken", broken)
    return Result(OK, "applied", change.words() + " were needed")


def _brought_about(package: Package, step: Action) -> list[Check]:
    """The checks of the object whose method it is, but for its own, that no step writes."""
    written = [_key(each) for each in package.steps if not isinstance(each, Action)]
    written.append(_key(step.check))
    own = (step.class_id, step.obis)
    checks = [check for check in package.checks if (check.class_id, check.obis) == own]
    return [check for check in checks if _key(check) not in written]


def _method(step: Action) -> str:
    return method_of(step.class_id, step.obis, step.method)


def _key(named: Check | Set) -> Key:
    return (named.class_id, named.obis, named.attribute)


def _keys(package: Package) -> tuple[Key, ...]:
    """Of all attributes that checks and steps name."""
    keys = [_key(check) for check in package.checks]
    for step in package.steps:
        keys.append(_key(step.check if isinstance(step, Action) else step))
    return tuple(keys)


def _differences(found: Attributes, checks: Sequence[Check]) -> list[str]:
    """The checks that do not hold, in words."""
    differences = []
    for check in checks:
        came = found.value(_key(check))
        if not same(check.data, came):
            differences.append(
                "%s: %s" % (readable.attribute(*_key(check)), readable.difference(check.data, came))
            )
    return differences


def _other_model(package: Package, model: Model) -> Result | None:
    """The KO for a package that was compiled for another model: its objects mean other things."""
    if package.model in ("", model.name):
        return None
    text = "the package is for meters of model %s, the inventory calls this one %s"
    return Result(KO, "wrong-model", text % (package.model, model.name))


def _forbidden(package: Package) -> Result | None:
    """The KO for a step that touches the switch or billing data without saying so."""
    for number, step in enumerate(package.steps, 1):
        word = protected_objects.touches(step, isinstance(step, Action))
        if word and word not in package.permits:
            text = "step %d touches the meter's %s; a package that means it permits %r" % (
                number,
                word,
                word,
            )
            return Result(KO, "not-permitted", text)
    return None


def _malformed(package: Package) -> Result | None:
    """The KO for a package with a value that is no A-XDR: the meter must not be blamed for it."""
    values = [(check.class_id, check.obis, check.data) for check in package.checks]
    for step in package.steps:
        if isinstance(step, Action):
            values.append((step.check.class_id, step.check.obis, step.check.data))
        if step.data is not None:
            values.append((step.class_id, step.obis, step.data))
    for class_id, name, data in values:
        try:
            axdr.decode(data)
        except ProtocolError as error:
            text = "the data for class %d %s: %s" % (class_id, obis.text(name), error)
            return Result(KO, "bad-package", readable.one_line(text))
    return None
