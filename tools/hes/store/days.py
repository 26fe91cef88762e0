"""The rows of one series and day, packed: as on the line, column by column in few octets
(gateway/contract/block.py), with what is said of each row here in columns of its own.

    CBOR array of blocks, of at most MAX_ROWS rows each, by time; the columns of a block are
    time | the values as the layout names them ... | flags | read_at | reasons | words

Measured for 1,000 meters with 96 rows of 4 registers a day over 30 days: see the README.
"""

from __future__ import annotations

from gateway.contract import block
from gateway.contract.reading_record import Layout, decode
from hal.rt import cbor
from tools.hes.validation.row import Column, Row, Shape

DAY = 86400
MOST_ROWS = 20_000  # of one series and day: more is no meter, but a fault


def shape_of(content: bytes) -> Shape:
    """Of a Layout as it came."""
    layout = decode(content)
    assert isinstance(layout, Layout)
    columns = tuple(Column(*each) for each in layout.columns[1:])
    return Shape(layout.class_id, layout.obis, layout.period, columns)


def packed(rows: list[Row]) -> bytes:
    width = len(rows[0].values) + 5
    at_once = min(block.MAX_ROWS, block.MAX_CELLS // width)
    blocks = []
    for first in range(0, len(rows), at_once):
        some = rows[first : first + at_once]
        blocks.append(
            block.encode(
                [[r.time, *r.values, r.flags, r.read_at, r.reasons, r.words] for r in some]
            )
        )
    return cbor.encode(blocks)


def unpacked(content: bytes) -> list[Row]:
    """What packed() has made."""
    rows = []
    for each in cbor.decode(content):
        for time, *values, flags, read_at, reasons, words in block.decode(each):
            rows.append(Row(time, values, flags, read_at, reasons, words))
    return rows
