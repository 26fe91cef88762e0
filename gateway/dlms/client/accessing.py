"""ACCESS over an Exchange: reads, writes and methods in one exchange; by lists, or one by one,
where the meter has no ACCESS (none with short names has it) or the protection no form for it."""

from __future__ import annotations

from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from gateway.dlms.client import invoking, reading, writing
from gateway.dlms.client.unkept import FAILURES, singly
from gateway.dlms.errors import ProtocolError, ServiceRefused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.dlms.apdu.access import Operation
    from gateway.dlms.apdu.parts import DataResult
    from gateway.dlms.client.exchange import Exchange
    from gateway.dlms.client.short_names import ShortNames

_MOST = 64  # operations in one request


async def access(
    exchange: Exchange,
    short: ShortNames | None,
    operations: list[Operation],
    break_on_error: bool,
) -> list[DataResult]:
    found: list[DataResult] = []
    while len(found) < len(operations):
        following = operations[len(found) : len(found) + _MOST]
        found += await _some(exchange, short, following, break_on_error)
        if break_on_error and any(result != apdu.SUCCESS for result, _ in found):
            break
    return found


async def _some(
    exchange: Exchange,
    short: ShortNames | None,
    operations: list[Operation],
    break_on_error: bool,
) -> list[DataResult]:
    """The results of some operations from the first on, as many as go at once."""
    if exchange.agreed(acse.ACCESS) and exchange.protects(apdu.ACCESS_REQUEST):
        request = apdu.AccessRequest(0, b"", operations)
        while len(request.operations) > 1 and not exchange.fits(request.encode()):
            request.operations = request.operations[: len(request.operations) // 2]
        if exchange.fits(request.encode()):
            try:
                return await _access(exchange, request, break_on_error)
            except FAILURES as error:
                # as with ACTION: what may have invoked a method is not asked for again
                if not isinstance(error, ServiceRefused) and _invokes(operations):
                    raise error
                return await singly(
                    exchange, acse.ACCESS, error, lambda: _by_list(exchange, short, operations[:1])
                )
    choice = operations[0].CHOICE
    alike = 1
    while not break_on_error and alike < len(operations) and choice == operations[alike].CHOICE:
        alike += 1
    return await _by_list(exchange, short, operations[:alike])


async def _access(
    exchange: Exchange, request: apdu.AccessRequest, break_on_error: bool
) -> list[DataResult]:
    operations = request.operations
    step = "ACCESS of %d operations, first %s" % (len(operations), _step(operations[0]))
    request.invoke = exchange.next_long_invoke()
    if break_on_error:
        request.invoke |= apdu.BREAK_ON_ERROR
    # as with ACTION: what may invoke a method is sent once
    repeat = not _invokes(operations)
    answer: apdu.AccessResponse = await exchange.ask(
        request.encode(), (apdu.AccessResponse,), step, repeat, request.invoke, 0, True
    )
    if len(answer.items) > len(operations) or (
        len(answer.items) < len(operations) and not break_on_error
    ):
        raise ProtocolError("%s: %d answers came" % (step, len(answer.items)))
    found: list[DataResult] = []
    for operation, (choice, result, data) in zip(operations, answer.items):  # noqa: B905
        if choice != operation.CHOICE:
            raise ProtocolError("%s: answer %d is of another kind" % (step, len(found) + 1))
        nothing = isinstance(operation, apdu.AccessSet) or (
            isinstance(operation, apdu.AccessAction) and data == b"\x00"
        )
        found.append((result, None if nothing or result != apdu.SUCCESS else data))
        if break_on_error and result != apdu.SUCCESS:
            break  # some meters fill up the list all the same
    return found


def _invokes(operations: list[Operation]) -> bool:
    return any(isinstance(operation, apdu.AccessAction) for operation in operations)


async def _by_list(
    exchange: Exchange, short: ShortNames | None, operations: list[Operation]
) -> list[DataResult]:
    """Operations of one kind."""
    gets = [
        (each.class_id, each.obis, each.attribute, each.selection)
        for each in operations
        if isinstance(each, apdu.AccessGet)
    ]
    if gets:
        if short is not None:
            return await short.get_list(gets)
        return await reading.get_list(exchange, gets)
    sets = [
        ((each.class_id, each.obis, each.attribute, each.selection), each.data)
        for each in operations
        if isinstance(each, apdu.AccessSet)
    ]
    if sets:
        if short is not None:
            results = await short.set_list(sets)
        else:
            results = await writing.set_list(exchange, sets)
        return [(result, None) for result in results]
    actions = [
        ((each.class_id, each.obis, each.method), each.data)
        for each in operations
        if isinstance(each, apdu.AccessAction)
    ]
    if short is not None:
        return await short.action_list(actions)
    return await invoking.action_list(exchange, actions)


def _step(operation: Operation) -> str:
    if isinstance(operation, apdu.AccessGet):
        return reading.step_of(operation.class_id, operation.obis, operation.attribute)
    if isinstance(operation, apdu.AccessSet):
        return writing.step_of(operation.class_id, operation.obis, operation.attribute)
    return invoking.step_of(operation.class_id, operation.obis, operation.method)
