"""The xDLMS APDUs, both directions (Green Book 9.5); those with short names are in short.py.

One class an APDU variant; each has `.encode() -> bytes`, and `decode(apdu)` gives back one of them:

    request                                    the meter's answer
    Aarq, Rlrq                                 Aare, Rlre                           (acse.py)
    GetRequest(invoke, class_id, obis, attribute, selection=None)
                                               GetResponse(invoke, result, data)
    GetNext(invoke, block)                     GetBlock(invoke, last, block, result, data)
    GetListRequest(invoke, items)              GetListResponse(invoke, items)
    SetRequest(invoke, class_id, obis, attribute, selection, data)
                                               SetResponse(invoke, result)
    SetFirstBlock(invoke, class_id, obis, attribute, selection, last, block, data)
    SetBlock(invoke, last, block, data)        SetBlockAck(invoke, block), after the last:
                                               SetLastAck(invoke, result, block)
    SetListRequest(invoke, items, values)      SetListResponse(invoke, results)
    SetListFirstBlock(invoke, items, last, block, data)
                                               as above, after the last:
                                               SetLastListAck(invoke, results, block)
    ActionRequest(invoke, class_id, obis, method, data)
                                               ActionResponse(invoke, result, data, data_result=0)
    ActionFirstBlock(invoke, class_id, obis, method, last, block, data)
    ActionBlock(invoke, last, block, data)     ActionBlockAck(invoke, block)
    ActionListRequest(invoke, items, values)   ActionListResponse(invoke, items)
    ActionListFirstBlock(invoke, items, last, block, data)
    ActionNext(invoke, block)                  ActionResponseBlock(invoke, last, block, data)
    AccessRequest(invoke, date_time, operations)
                                               AccessResponse(invoke, date_time, items)
    any                                        ExceptionResponse(state, service, counter=None),
                                               ConfirmedServiceError(service, group, number)
    none                                       DataNotification(invoke, date_time, data),
                                               EventNotification(time, class_id, obis, attribute,
                                               data), InformationReport(time, names, values)
    GeneralBlock(last, streaming, window, number, ack, data): a part of any of these   (gbt.py)

`invoke` is the whole invoke-id-and-priority byte (low four bits are the id), in ACCESS and
DataNotification the long one. `obis` is six bytes. `data` of whole values is one A-XDR Data as
bytes (None where there is none); of blocks, raw bytes: the blocks of a GET or a SET joined are the
Data, those of an ACTION the parameters, those of a list its values or answers with their count.
`selection` is (selector, one Data as bytes) or None (see selection.py). `result` is a number of
ACCESS_RESULTS (GET, SET) or ACTION_RESULTS. Blocks count from 1.
decode raises ProtocolError and nothing else. It looks into a Data only where it must find its end:
the value of a GET response and of a SET is the rest of the APDU, for axdr.decode to judge.
"""

from __future__ import annotations

from gateway.dlms.apdu import acse
from gateway.dlms.apdu.access import (
    ACCESS_ACTION,
    ACCESS_DECODERS,
    ACCESS_GET,
    ACCESS_REQUEST,
    ACCESS_RESPONSE,
    ACCESS_SET,
    BREAK_ON_ERROR,
    LONG_CONFIRMED,
    LONG_ID,
    AccessAction,
    AccessGet,
    AccessRequest,
    AccessResponse,
    AccessSet,
)
from gateway.dlms.apdu.action import (
    ACTION_DECODERS,
    ACTION_REQUEST,
    ACTION_RESPONSE,
    ActionBlock,
    ActionBlockAck,
    ActionFirstBlock,
    ActionListFirstBlock,
    ActionListRequest,
    ActionListResponse,
    ActionNext,
    ActionRequest,
    ActionResponse,
    ActionResponseBlock,
    action_results,
    action_results_at,
)
from gateway.dlms.apdu.errors import (
    CONFIRMED_SERVICE_ERROR,
    CONFIRMED_SERVICES,
    ERROR_DECODERS,
    EXCEPTION_RESPONSE,
    INVOCATION_COUNTER_ERROR,
    SERVICE_ERROR_GROUPS,
    SERVICE_ERRORS,
    STATE_ERRORS,
    ConfirmedServiceError,
    ExceptionResponse,
)
from gateway.dlms.apdu.gbt import BLOCK_DECODERS, GENERAL_BLOCK_TRANSFER, GeneralBlock
from gateway.dlms.apdu.get import (
    GET_DECODERS,
    GET_REQUEST,
    GET_RESPONSE,
    GetBlock,
    GetListRequest,
    GetListResponse,
    GetNext,
    GetRequest,
    GetResponse,
)
from gateway.dlms.apdu.notify import (
    DATA_NOTIFICATION,
    EVENT_NOTIFICATION,
    INFORMATION_REPORT,
    NOTIFICATION_DECODERS,
    NOTIFICATIONS,
    DataNotification,
    EventNotification,
    InformationReport,
)
from gateway.dlms.apdu.parts import (
    ACCESS_RESULTS,
    ACTION_RESULTS,
    SUCCESS,
    access_result_name,
    action_result_name,
    data_results_at,
    values_at,
    values_of,
)
from gateway.dlms.apdu.set import (
    SET_DECODERS,
    SET_REQUEST,
    SET_RESPONSE,
    SetBlock,
    SetBlockAck,
    SetFirstBlock,
    SetLastAck,
    SetLastListAck,
    SetListFirstBlock,
    SetListRequest,
    SetListResponse,
    SetRequest,
    SetResponse,
)
from gateway.dlms.errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gateway.dlms.data.axdr import Bytes

__all__ = [
    "ACCESS_ACTION",
    "ACCESS_GET",
    "ACCESS_REQUEST",
    "ACCESS_RESPONSE",
    "ACCESS_RESULTS",
    "ACCESS_SET",
    "ACTION_REQUEST",
    "ACTION_RESPONSE",
    "ACTION_RESULTS",
    "BREAK_ON_ERROR",
    "CONFIRMED_SERVICES",
    "CONFIRMED_SERVICE_ERROR",
    "DATA_NOTIFICATION",
    "EVENT_NOTIFICATION",
    "EXCEPTION_RESPONSE",
    "GENERAL_BLOCK_TRANSFER",
    "GET_REQUEST",
    "GET_RESPONSE",
    "INFORMATION_REPORT",
    "INVOCATION_COUNTER_ERROR",
    "LONG_CONFIRMED",
    "LONG_ID",
    "NOTIFICATIONS",
    "SERVICE_ERRORS",
    "SERVICE_ERROR_GROUPS",
    "SET_REQUEST",
    "SET_RESPONSE",
    "STATE_ERRORS",
    "SUCCESS",
    "AccessAction",
    "AccessGet",
    "AccessRequest",
    "AccessResponse",
    "AccessSet",
    "ActionBlock",
    "ActionBlockAck",
    "ActionFirstBlock",
    "ActionListFirstBlock",
    "ActionListRequest",
    "ActionListResponse",
    "ActionNext",
    "ActionRequest",
    "ActionResponse",
    "ActionResponseBlock",
    "ConfirmedServiceError",
    "DataNotification",
    "EventNotification",
    "ExceptionResponse",
    "GeneralBlock",
    "GetBlock",
    "GetListRequest",
    "GetListResponse",
    "GetNext",
    "GetRequest",
    "GetResponse",
    "InformationReport",
    "SetBlock",
    "SetBlockAck",
    "SetFirstBlock",
    "SetLastAck",
    "SetLastListAck",
    "SetListFirstBlock",
    "SetListRequest",
    "SetListResponse",
    "SetRequest",
    "SetResponse",
    "access_result_name",
    "action_result_name",
    "action_results",
    "action_results_at",
    "data_results_at",
    "values_at",
    "values_of",
]


def decode(apdu: Bytes) -> Any:
    """The one APDU in `apdu`, as an instance of a class above or of acse.py; ProtocolError if it is
    none of these (ciphered ones go through security.py first)."""
    size = len(apdu)
    if size == 0:
        raise ProtocolError("an empty APDU")
    tag = apdu[0]
    if tag in _WHOLE:
        return _WHOLE[tag](apdu)
    if size < 3:
        raise ProtocolError("an APDU of %d bytes with tag 0x%02x" % (size, tag))
    key = tag << 8 | apdu[1]
    if key not in _VARIANTS:
        raise ProtocolError("no APDU known by tag 0x%02x and choice %d" % (tag, apdu[1]))
    return _VARIANTS[key](apdu, apdu[2])


# APDUs with one form for their tag
_WHOLE: dict[int, Any] = {
    acse.AARQ: acse.Aarq.decode,
    acse.AARE: acse.Aare.decode,
    acse.RLRQ: acse.Rlrq.decode,
    acse.RLRE: acse.Rlre.decode,
    acse.INITIATE_REQUEST: acse.InitiateRequest.decode,
    acse.INITIATE_RESPONSE: acse.InitiateResponse.decode,
}
for _decoders in (ACCESS_DECODERS, BLOCK_DECODERS, ERROR_DECODERS, NOTIFICATION_DECODERS):
    _WHOLE.update(_decoders)

# by tag << 8 | choice
_VARIANTS: dict[int, Any] = {}
for _of_variants in (ACTION_DECODERS, GET_DECODERS, SET_DECODERS):
    _VARIANTS.update(_of_variants)
