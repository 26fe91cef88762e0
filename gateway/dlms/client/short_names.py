"""The services over an Exchange with a meter that knows its attributes and methods by short names
only (SN; Green Book 9.3.14 to 9.3.16): asked for, as everywhere, by class, logical name and member.

What a member is called in short follows from the base name of its object, which stands in the
object list of the association (class 12). That list is read once, when a name is first needed, and
kept as 11 bytes an object (base_names.py).

A GET is a Read, a SET a Write, selective access is parameterized access. A method that returns
something is invoked by a Read with parameterized access (selector 0), any other by a Write; where
the meter has no such variable to write, by a Read too, as some peers do with every method.
"""

from __future__ import annotations

from gateway.dlms.apdu import acse
from gateway.dlms.apdu.parts import SUCCESS, access_result_name
from gateway.dlms.client import invoking, reading, writing
from gateway.dlms.client.base_names import NEXT, BaseNames, methods_of, returns
from gateway.dlms.client.refusals import Broken, access_refused, action_refused
from gateway.dlms.client.unkept import together
from gateway.dlms.client.variables import Pieces, Variables
from gateway.dlms.data import cosem, obis
from gateway.dlms.errors import AccessRefused, ActionRefused, NotSupported, ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.dlms.apdu.action import Method
    from gateway.dlms.apdu.parts import DataResult, Selection, Target
    from gateway.dlms.apdu.short import Variable
    from gateway.dlms.client.exchange import Exchange
    from gateway.dlms.client.reading import Rows
    from gateway.dlms.errors import DlmsError

ASSOCIATION_SN = 12
CURRENT_ASSOCIATION = b"\x00\x00\x28\x00\x00\xff"
REPLY_TO_HLS = 8

_OBJECT_LIST, _BUFFER = 2, 2
_METHOD_SELECTOR = 0
_NULL = b"\x00"
_UNDEFINED, _INCONSISTENT = 4, 9  # data-access-results
_NOT_TO_BE_WRITTEN = (3, 4, 13)  # read-write-denied, object-undefined, scope-of-access-violated
_LIST_READ = "GET association_sn.object_list of 0.0.40.0.0.255"


class ShortNames:
    """The services of a client, as its methods of the same names have them. `failed` closes the
    association after a protocol error."""

    def __init__(self, exchange: Exchange, failed: Callable[[DlmsError], Awaitable[None]]) -> None:
        self._exchange = exchange
        self._variables = Variables(exchange)
        self._failed = failed
        self._names: BaseNames | None = None
        self._by_read = False  # the meter takes methods by Read only

    # ------------------------------------------------------------ reading

    async def get(
        self, class_id: int, name: bytes, attribute: int, selection: Selection | None
    ) -> bytes:
        step = reading.step_of(class_id, name, attribute)
        self._variables.need_read(selection, step)
        variable = await self._attribute(class_id, name, attribute, step)
        ((result, data),) = await self._variables.read([(variable, selection)], step)
        if data is None:
            raise access_refused(result, step)
        return data

    async def get_list(self, items: list[Target]) -> list[DataResult]:
        variables, places, refused = await self._attributes(items, "GET")
        found: list[DataResult] = [(result, None) for result in refused]
        done = 0
        while done < len(variables):
            wanted = self._variables.as_many(variables[done:], None)
            step = self._list_step("GET", items[places[done]], len(wanted))
            for _, selection in wanted:
                self._variables.need_read(selection, step)
            for answer in await self._read(wanted, step):
                found[places[done]] = answer
                done += 1
        return found

    async def _read(self, wanted: list[Variable], step: str) -> list[DataResult]:
        """Of all, or of the first one where the meter knows no lists."""
        first = wanted[0]
        if len(wanted) == 1:
            return [await self._read_one(first, step)]
        return await together(
            self._exchange,
            wanted,
            lambda _, items: self._variables.read(items, step),
            lambda _, item: self._read_one(item, step),
        )

    async def _read_one(self, item: Variable, step: str) -> DataResult:
        try:
            (answer,) = await self._variables.read([item], step)
        except AccessRefused as refused:
            return refused.number, None
        return answer

    def rows(self, name: bytes, selection: Selection | None) -> Rows:
        step = reading.step_of(7, name, _BUFFER)

        async def begin() -> tuple[Pieces, bytes]:
            self._variables.need_read(selection, step)
            variable = await self._attribute(7, name, _BUFFER, step)
            return await self._variables.begin((variable, selection), step)

        return reading.Rows(begin, step, self._failed)

    # ------------------------------------------------------------ writing

    async def set(
        self,
        class_id: int,
        name: bytes,
        attribute: int,
        data: bytes,
        selection: Selection | None,
        confirmed: bool,
    ) -> None:
        step = writing.step_of(class_id, name, attribute)
        variable = await self._attribute(class_id, name, attribute, step)
        if not confirmed:
            await self._variables.tell((variable, selection), data, step)
            return
        self._variables.need_write(selection, step)
        result = (await self._variables.write([(variable, selection)], [data], step))[0]
        if result != SUCCESS:
            raise access_refused(result, step)

    async def set_list(self, items: list[tuple[Target, bytes]]) -> list[int]:
        targets = [target for target, _ in items]
        variables, places, results = await self._attributes(targets, "SET")
        done = 0
        while done < len(variables):
            values = [items[place][1] for place in places[done:]]
            wanted = self._variables.as_many(variables[done:], values)
            step = self._list_step("SET", targets[places[done]], len(wanted))
            for _, selection in wanted:
                self._variables.need_write(selection, step)
            for result in await self._write(wanted, values[: len(wanted)], step):
                results[places[done]] = result
                done += 1
        return results

    async def _write(self, wanted: list[Variable], values: list[bytes], step: str) -> list[int]:
        """Of all, or of the first one where the meter knows no lists."""
        first, value = wanted[0], values[0]
        if len(wanted) == 1:
            return [await self._write_one(first, value, step)]
        return await together(
            self._exchange,
            wanted,
            lambda _, items: self._variables.write(items, values, step),
            lambda _, item: self._write_one(item, value, step),
        )

    async def _write_one(self, item: Variable, value: bytes, step: str) -> int:
        try:
            (result,) = await self._variables.write([item], [value], step)
        except AccessRefused as refused:
            return refused.number
        return result

    # ------------------------------------------------------------ methods

    async def action(
        self, class_id: int, name: bytes, method: int, data: bytes | None, confirmed: bool
    ) -> bytes | None:
        step = invoking.step_of(class_id, name, method)
        variable = await self._method(class_id, name, method, step)
        parameters = _NULL if data is None else data
        if not confirmed:
            await self._variables.tell((variable, None), parameters, step)
            return None
        if self._by_read or returns(class_id, method):
            return await self._returned((variable, (_METHOD_SELECTOR, parameters)), step)
        self._variables.need_write(None, step)
        item: Variable = (variable, None)
        try:
            (result,) = await self._variables.write_once([item], [parameters], step, False)
        except Broken as failed:
            result = failed.result
        if result in _NOT_TO_BE_WRITTEN and await self._read_instead(variable, parameters, step):
            return None
        if result != SUCCESS:
            raise action_refused(result, step)
        return None

    async def _read_instead(self, variable: int, parameters: bytes, step: str) -> bool:
        """Invoke by a Read what a Write has not invoked, for it was refused; False where that is
        refused as well."""
        if not self._exchange.agreed(acse.READ | acse.PARAMETERIZED_ACCESS):
            return False
        try:
            await self._returned((variable, (_METHOD_SELECTOR, parameters)), step)
        except ActionRefused as refused:
            if refused.number == SUCCESS:
                raise
            return False
        self._by_read = True
        return True

    async def _returned(self, item: Variable, step: str) -> bytes | None:
        self._variables.need_read(item[1], step)
        try:
            ((result, data),) = await self._variables.read_once([item], step, False)
        except Broken as failed:
            name = access_result_name(failed.result)
            text = "%s: done, but its answer broke off: %s" % (step, name)
            raise ActionRefused(name, step, text, SUCCESS)
        if result != SUCCESS:
            raise action_refused(result, step)
        return None if data == _NULL else data

    async def action_list(self, items: list[tuple[Method, bytes | None]]) -> list[DataResult]:
        """One by one: what has been invoked is known then, whatever happens to the next."""
        found: list[DataResult] = []
        for (class_id, name, method), data in items:
            try:
                found.append((SUCCESS, await self.action(class_id, name, method, data, True)))
            except ActionRefused as refused:
                found.append((refused.number, None))
        return found

    # ------------------------------------------------------------ names

    async def _attribute(self, class_id: int, name: bytes, attribute: int, step: str) -> int:
        """The attribute's short name. AccessRefused where the meter has no such object."""
        if attribute < 1:
            raise NotSupported("%s: with short names attributes count from 1" % step)
        found = await self._object(class_id, name)
        if isinstance(found, int):
            raise access_refused(found, step)
        base, version = found
        offset = NEXT * (attribute - 1)
        # Behind an object's attributes come its methods, and then other objects: reading there
        # might invoke one.
        methods = methods_of(class_id, version)
        if methods is not None:
            room = methods[0]
        elif attribute <= 2 or self._names is None:
            room = 2 * NEXT  # every class has two attributes
        else:
            room = self._names.next_base(base) - base
        if offset >= room:
            raise access_refused(_UNDEFINED, step)
        return _short_name(base + offset, step)

    async def _method(self, class_id: int, name: bytes, method: int, step: str) -> int:
        """The method's short name. ActionRefused where the meter has no such object, or the class
        no such method."""
        found = await self._object(class_id, name)
        if isinstance(found, int):
            raise action_refused(found, step)
        base, version = found
        methods = methods_of(class_id, version)
        if methods is None:
            raise NotSupported(
                "%s: the short names of the methods of class %d version %d are not known here"
                % (step, class_id, version)
            )
        offset, first, last = methods
        if not first <= method <= last:
            raise action_refused(_UNDEFINED, step)
        return _short_name(base + offset + NEXT * (method - first), step)

    async def _attributes(
        self, items: list[Target], verb: str
    ) -> tuple[list[Variable], list[int], list[int]]:
        """The variables of those that the meter has and their places among `items`; for each of
        `items` the result that is certain without asking (SUCCESS: none)."""
        variables: list[Variable] = []
        places: list[int] = []
        results: list[int] = []
        for class_id, name, attribute, selection in items:
            step = "%s %s of %s" % (
                verb,
                cosem.attribute_name(class_id, attribute),
                obis.text(name),
            )
            await self._object(class_id, name)  # that the object list is refused is no result
            try:
                variable = await self._attribute(class_id, name, attribute, step)
            except AccessRefused as refused:
                results.append(refused.number)
                continue
            places.append(len(results))
            variables.append((variable, selection))
            results.append(SUCCESS)
        return variables, places, results

    async def _object(self, class_id: int, name: bytes) -> tuple[int, int] | int:
        """(base name, version), or the data-access-result that says why there is none."""
        if (class_id, name) == (ASSOCIATION_SN, CURRENT_ASSOCIATION):
            return acse.VAA_SN, 4  # no list is needed: its members are where the last version says
        if self._names is None:
            self._names = await self._read_names()
        found = self._names.find(class_id, name)
        if found is not None:
            return found
        return _INCONSISTENT if self._names.named(name) else _UNDEFINED

    async def _read_names(self) -> BaseNames:
        async def begin() -> tuple[Pieces, bytes]:
            self._variables.need_read(None, _LIST_READ)
            variable = acse.VAA_SN + NEXT * (_OBJECT_LIST - 1)
            return await self._variables.begin((variable, None), _LIST_READ)

        limit = self._exchange.max_value
        names = BaseNames()
        async for row in reading.Rows(begin, _LIST_READ, self._failed):
            try:
                names.add(row)
            except ProtocolError as error:
                raise ProtocolError("%s: %s" % (_LIST_READ, error))
            if names.size > limit:
                raise ProtocolError("%s: %d objects are too many" % (_LIST_READ, len(names)))
        names.complete()
        return names

    def _list_step(self, verb: str, first: Target, count: int) -> str:
        name = "%s of %s" % (cosem.attribute_name(first[0], first[2]), obis.text(first[1]))
        if count == 1:
            return "%s %s" % (verb, name)
        return "%s of %d attributes, first %s" % (verb, count, name)


def _short_name(value: int, step: str) -> int:
    if value > 0xFFFF:
        raise ProtocolError("%s: the meter's object list leads beyond the last short name" % step)
    return value


async def reply_to_hls(
    exchange: Exchange, failed: Callable[[DlmsError], Awaitable[None]], proof: bytes
) -> bytes | None:
    """Pass 3 of HLS, f(StoC) as Data; what comes back is pass 4 (Green Book 9.2.7.4)."""
    services = ShortNames(exchange, failed)
    return await services.action(ASSOCIATION_SN, CURRENT_ASSOCIATION, REPLY_TO_HLS, proof, True)
