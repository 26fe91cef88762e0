"""Read, Write and UnconfirmedWrite inside one association, long ones in blocks. One APDU in, one
APDU out, all plain. The APDUs are read and made here, byte by byte.

There is no invoke-id, so a request that comes twice is carried out twice.
"""

from __future__ import annotations

from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from gateway.dlms.data import axdr
from gateway.dlms.errors import ProtocolError
from tools.meter.access import ACCESS, Access
from tools.meter.model import Meter
from tools.meter.services import (
    MOST_COLLECTED,
    NOT_SUPPORTED,
    OTHER_REASON,
    SERVICE_NOT_ALLOWED,
    SERVICE_UNKNOWN,
    exception,
)
from tools.meter.short_names import REPLY_TO_HLS, AssociationSN

READ_REQUEST, WRITE_REQUEST, UNCONFIRMED_WRITE_REQUEST = 0x05, 0x06, 0x16
READ_RESPONSE, WRITE_RESPONSE = 0x0C, 0x0D
# Variable-Access-Specification
VARIABLE_NAME, PARAMETERIZED, BLOCK_NUMBER, READ_BLOCK, WRITE_BLOCK = 2, 4, 5, 6, 7
# ReadResponse: data, data-access-error, data-block-result, block-number
DATA, ERROR, BLOCK_RESULT, READ_ACK = 0, 1, 2, 3
WRITE_ACK = 2
BLOCK_HEAD = 9  # what a response with one block adds to its raw data, at most
HLS_REPLY = bytes([READ_REQUEST, 1, PARAMETERIZED, REPLY_TO_HLS >> 8, REPLY_TO_HLS & 0xFF])
NULL = b"\x00"

Variable = tuple[int, tuple[int, bytes] | None]  # short name, selector and parameter


class _NotAgreed(Exception):
    pass


class _Bytes:
    """An APDU being read; ProtocolError where it ends early."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._pos = 0

    def take(self, size: int) -> bytes:
        if self._pos + size > len(self._raw):
            raise ProtocolError("the APDU ends early")
        self._pos += size
        return self._raw[self._pos - size : self._pos]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size))

    def count(self) -> int:
        first = self.number(1)
        if first < 0x80:
            return first
        if first not in (0x81, 0x82):
            raise ProtocolError("a count of more than two bytes")
        return self.number(first - 0x80)

    def data(self) -> bytes:
        end = axdr.skip_at(self._raw, self._pos)
        return self.take(end - self._pos)

    def peek(self) -> int:
        return self._raw[self._pos] if self._pos < len(self._raw) else -1

    def end(self) -> None:
        if self._pos != len(self._raw):
            raise ProtocolError("bytes left over")


class ShortServices:
    """`limit` is the longest plain response; `conformance` what was negotiated."""

    def __init__(
        self, meter: Meter, association: AssociationSN, limit: int, conformance: int
    ) -> None:
        self.limit = limit
        self.conformance = conformance
        self._association = association
        self._access = Access(meter, association)
        self._limit = limit
        self._coming = bytearray()  # a long request
        self._coming_number = 0
        self._going = b""  # a long answer
        self._going_number = 0

    @staticmethod
    def is_hls_reply(plain: bytes) -> bool:
        return plain.startswith(HLS_REPLY)

    def handle(self, raw: bytes, limit: int | None = None) -> bytes:
        """One plain request to one plain response of at most `limit` bytes (None: the
        association's); b"" where the request wants none."""
        self._limit = self.limit if limit is None else limit
        try:
            request = _Bytes(raw[1:])
            if raw[0] == READ_REQUEST:
                self._need(acse.READ)
                return self._read(request)
            if raw[0] == WRITE_REQUEST:
                self._need(acse.WRITE)
                return self._write(request)
            if raw[0] == UNCONFIRMED_WRITE_REQUEST:
                self._need(acse.UNCONFIRMED_WRITE)
                self._written(request, request.count())
                return b""
        except ProtocolError:
            return exception(SERVICE_UNKNOWN, OTHER_REASON)
        except _NotAgreed:
            return exception(SERVICE_NOT_ALLOWED, NOT_SUPPORTED)
        return exception(SERVICE_NOT_ALLOWED, NOT_SUPPORTED)

    def _need(self, bits: int) -> None:
        if self.conformance & bits != bits:
            raise _NotAgreed

    # ------------------------------------------------------------ Read

    def _read(self, request: _Bytes) -> bytes:
        count = request.count()
        if count == 1 and request.peek() == BLOCK_NUMBER:
            request.take(1)
            number = request.number(2)
            request.end()
            return self._next_block(number)
        if count == 1 and request.peek() == READ_BLOCK:
            self._need(acse.BLOCK_GET)
            request.take(1)
            last, number = request.number(1), request.number(2)
            part = request.take(request.count())
            request.end()
            if not self._collected(number, part):
                return self._refused_read("data-block-number-invalid")
            if not last:
                return bytes([READ_RESPONSE, 1, READ_ACK]) + number.to_bytes(2)
            whole, self._coming = bytes(self._coming), bytearray()
            self._coming_number = 0
            request = _Bytes(whole)
            count = request.count()
        variables = self._variables(request, count)
        request.end()
        return self._results(variables)

    def _results(self, variables: list[Variable]) -> bytes:
        body = _count(len(variables))
        for name, selection in variables:
            result, data = self._value(name, selection)
            body += bytes([DATA]) + data if data is not None else bytes([ERROR, result])
        general = self.conformance & acse.GENERAL_BLOCK_TRANSFER
        blocks = self.conformance & acse.BLOCK_GET
        if len(body) + 1 <= self._limit or (general and not blocks):
            return bytes([READ_RESPONSE]) + body
        if not blocks:
            return self._refused_read("other-reason")
        self._going, self._going_number = body, 1
        return self._block()

    def _value(self, name: int, selection: tuple[int, bytes] | None) -> tuple[int, bytes | None]:
        member = self._association.names.member(name)
        if member is None:
            return ACCESS["object-undefined"], None
        if not member.is_method:
            return self._access.read(member.class_id, member.logical_name, member.index, selection)
        parameter = NULL if selection is None else selection[1]
        result, data = self._access.invoke(
            member.class_id, member.logical_name, member.index, parameter
        )
        return result, (data or NULL) if result == apdu.SUCCESS else None

    def _block(self) -> bytes:
        size = self._limit - BLOCK_HEAD
        start = (self._going_number - 1) * size
        part = self._going[start : start + size]
        last = start + size >= len(self._going)
        head = bytes([READ_RESPONSE, 1, BLOCK_RESULT, last]) + self._going_number.to_bytes(2)
        return head + _count(len(part)) + part

    def _next_block(self, acknowledged: int) -> bytes:
        """The client has this block; it may ask twice, when our answer was lost."""
        if not self._going:
            return self._refused_read("no-long-get-in-progress")
        if acknowledged == self._going_number:
            self._going_number += 1
        elif acknowledged != self._going_number - 1 or not acknowledged:
            self._going = b""
            return self._refused_read("data-block-number-invalid")
        if (self._going_number - 1) * (self._limit - BLOCK_HEAD) >= len(self._going):
            return self._refused_read("data-block-unavailable")
        return self._block()

    def _refused_read(self, result: str) -> bytes:
        return bytes([READ_RESPONSE, 1, ERROR, ACCESS[result]])

    # ------------------------------------------------------------ Write

    def _write(self, request: _Bytes) -> bytes:
        count = request.count()
        if count == 1 and request.peek() == WRITE_BLOCK:
            self._need(acse.BLOCK_SET)
            request.take(1)
            return self._write_block(request)
        return _write_response(self._written(request, count))

    def _write_block(self, request: _Bytes) -> bytes:
        last, number = request.number(1), request.number(2)
        if request.count() != 1 or request.number(1) != axdr.OCTET_STRING:
            raise ProtocolError("a block that is not one octet-string")
        part = request.take(request.count())
        request.end()
        if not self._collected(number, part):
            return _write_response([ACCESS["data-block-number-invalid"]])
        if not last:
            return bytes([WRITE_RESPONSE, 1, WRITE_ACK]) + number.to_bytes(2)
        whole, self._coming = bytes(self._coming), bytearray()
        self._coming_number = 0
        joined = _Bytes(whole)
        return _write_response(self._written(joined, joined.count()))

    def _written(self, request: _Bytes, count: int) -> list[int]:
        variables = self._variables(request, count)
        if request.count() != len(variables):
            raise ProtocolError("another number of data than of variables")
        values = [request.data() for _ in variables]
        request.end()
        results = []
        for (name, selection), value in zip(variables, values, strict=True):
            member = self._association.names.member(name)
            if member is None:
                results.append(ACCESS["object-undefined"])
            elif member.is_method:
                result, _ = self._access.invoke(
                    member.class_id, member.logical_name, member.index, value
                )
                results.append(result)
            else:
                results.append(
                    self._access.write(
                        member.class_id, member.logical_name, member.index, selection, value
                    )
                )
        return results

    # ------------------------------------------------------------ both

    def _variables(self, request: _Bytes, count: int) -> list[Variable]:
        if count > 1:
            self._need(acse.MULTIPLE_REFERENCES)
        variables: list[Variable] = []
        for _ in range(count):
            choice = request.number(1)
            name = request.number(2) if choice in (VARIABLE_NAME, PARAMETERIZED) else 0
            if choice == VARIABLE_NAME:
                variables.append((name, None))
            elif choice == PARAMETERIZED:
                # the proof of HLS is exempt: without it no association comes about
                if name != REPLY_TO_HLS:
                    self._need(acse.PARAMETERIZED_ACCESS)
                variables.append((name, (request.number(1), request.data())))
            else:
                raise ProtocolError("no variable by choice %d" % choice)
        return variables

    def _collected(self, number: int, part: bytes) -> bool:
        """Whether the block goes on with what has come; block 1 begins anew."""
        if number == 1:
            self._coming, self._coming_number = bytearray(), 0
        if number != self._coming_number + 1 or len(self._coming) + len(part) > MOST_COLLECTED:
            self._coming, self._coming_number = bytearray(), 0
            return False
        self._coming += part
        self._coming_number = number
        return True


def _count(count: int) -> bytes:
    if count < 0x80:
        return bytes([count])
    return bytes([0x81, count]) if count < 0x100 else b"\x82" + count.to_bytes(2)


def _write_response(results: list[int]) -> bytes:
    body = b"".join(b"\x00" if result == 0 else bytes([1, result]) for result in results)
    return bytes([WRITE_RESPONSE]) + _count(len(results)) + body
