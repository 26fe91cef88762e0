"""Arguments that several commands have."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_watch(command: argparse.ArgumentParser) -> None:
    command.add_argument("--watch", action="store_true", help="follow the job until it is over")


def add_key(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--key",
        type=Path,
        required=True,
        metavar="KEY.pem",
        help="signs the order; from `ami-package keygen`",
    )
