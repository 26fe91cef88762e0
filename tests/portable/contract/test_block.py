"""Rows in few octets: what goes in comes out, the octets are these for good, and nothing that
somebody makes up takes more memory than a block may."""

from __future__ import annotations

from gateway.contract import block
from gateway.contract.refused import Refused
from tests.portable.support import random_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

GOLDEN: list[tuple[str, list[list[Any]], str]] = [
    ("one cell", [[7]], "0101000e00"),
    ("a line", [[1700000000 + 900 * i] for i in range(96)], "60010080c49fd50c880e"),
    ("constant", [[0], [0], [0]], "0301000000"),
    ("packed", [[5], [9], [6], [1]], "04010102044850"),
    ("steps", [[1000], [1003], [1010], [1011]], "040101d00f0403ab"),
    ("two groups", [[i * i % 7] for i in range(18)], "12010100030625083128410388"),
    ("runs", [[b"ab"]] * 5 + [[b"cd"]] * 3, "08010309844261620542636403"),
    (
        "cells",
        [[None], [True], [1.5], ["x"], [[1, 2]]],
        "0501041185f6f5fb3ff80000000000006178820102",
    ),
    (
        "widest",
        [[-(1 << 63)], [(1 << 64) - 1], [0]],
        "030101ffffffffffffffffff014100000000000000005fffffffffffffffd00000000000000000",
    ),
    ("two columns", [[1, None], [2, 3], [3, None]], "0302000202040483f603f6"),
]


def refused(octets: bytes) -> bool:
    try:
        block.decode(octets)
    except Refused as error:
        assert error.reason == "malformed"
        return True
    return False


def test_the_octets_are_these() -> None:
    for name, rows, octets in GOLDEN:
        assert block.encode(rows).hex() == octets, name


def test_what_goes_in_comes_out() -> None:
    for name, rows, octets in GOLDEN:
        # repr(): True is not 1 here.
        assert repr(block.decode(bytes.fromhex(octets))) == repr(rows), name


def test_steps_and_groups_of_every_size() -> None:
    noise = random_bytes(5, 600)
    for count in range(1, 50):
        rows = [[noise[i] << (i % 5), noise[i + count] - 128, i % 2 == 0] for i in range(count)]
        assert repr(block.decode(block.encode(rows))) == repr(rows), count


def test_true_is_not_one() -> None:
    rows = [[True], [1], [1.0], [1], [None], [0], [False]]
    assert repr(block.decode(block.encode(rows))) == repr(rows)


def test_what_has_no_place_is_said() -> None:
    for rows in ([], [[]], [[1], [1, 2]], [[0]] * 1025, [[0] * 255] * 65, [[object()]]):
        try:
            block.encode(rows)
            raise AssertionError(repr(rows)[:40])
        except ValueError:
            pass


def test_every_cut_and_every_octet_more_is_refused() -> None:
    for name, _, octets in GOLDEN:
        raw = bytes.fromhex(octets)
        for end in range(len(raw)):
            assert refused(raw[:end]), (name, end)
        assert refused(raw + b"\x00"), name


def test_large_promises_are_refused() -> None:
    for octets in (
        "81080100 0000",  # 1025 rows
        "01000000",  # no columns
        "00010000",  # no rows
        "80086400 0000",  # more than MAX_CELLS
        "0201020044",  # 68 bits
        "020102ffffffffffffffffffff0100",  # a number of 11 octets
        "0101000200ffffffffffffffffff7f",  # behind it
        "020103048200820001",  # runs inside
        "0201030482f6 1a7fffffff",  # of 2^31 rows
        "02010302820102",  # a size too small
        "020104028101",  # one cell for two rows
        "020104018201",
        "0201050000",  # no such form
        "020100ffffffffffffffffff01ffffffffffffffffff01",  # beyond 64 bits
        "0101010009ff81",  # bits behind the last integer
    ):
        assert refused(bytes.fromhex(octets.replace(" ", ""))), octets


def test_a_large_block_takes_no_more_than_its_cells() -> None:
    """The most that few octets can ask for."""
    rows = block.decode(bytes.fromhex("800810") + bytes.fromhex("000000") * 16)
    assert len(rows) == 1024 and len(rows[0]) == 16
