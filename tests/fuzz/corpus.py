"""The corpus: a text file a target, a line of hex an input, `#` begins a comment."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"


def path_of(target: str) -> Path:
    return FOLDER / (target + ".txt")


def read(target: str) -> list[bytes]:
    lines = path_of(target).read_text().splitlines()
    return [bytes.fromhex(line) for line in lines if not line.startswith("#")]


def write(target: str, inputs: list[bytes]) -> None:
    """The comments at the head stay; the inputs are sorted, each once."""
    lines = path_of(target).read_text().splitlines() if path_of(target).exists() else []
    comments = [line for line in lines if line.startswith("#")]
    rows = [data.hex() for data in sorted(set(inputs), key=lambda data: (len(data), data))]
    path_of(target).write_text("\n".join(comments + rows) + "\n")
