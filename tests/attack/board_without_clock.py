"""The gateway on a board whose clock has no battery: nobody has set it when this starts. Arguments
as of board.linux, and under MicroPython as of board.unix.
"""

from __future__ import annotations

import sys

if sys.implementation.name == "micropython":
    from board import unix as board
    from hal.micropython import clock
else:
    from board import linux as board  # type: ignore[no-redef]
    from hal.cpython import clock  # type: ignore[no-redef]

if __name__ == "__main__":
    clock.NOT_BEFORE = 1 << 40  # whatever the machine's clock says is before it
    sys.exit(board.main(sys.argv[1:]))
