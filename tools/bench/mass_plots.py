"""Pictures of `ami-bench mass`, by matplotlib (one of the tests' dependencies)."""

from __future__ import annotations

import errno
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.bench.mass_channel import BLOCK
from tools.bench.mass_transfer import Transfer
from tools.bench.mass_watch import TO_ALL, TO_METER

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TIMELINE, GROWTH = "mass-timeline.svg", "mass-growth.svg"
BLUE, ORANGE, GREY = "#1f5fa8", "#d9730d", "#8a8a8a"
POINTS = 150  # of a curve, at most


def check() -> None:
    """OSError when matplotlib is not there."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        text = "--plots needs matplotlib: pip install 'matplotlib>=3.9', or .[test]"
        raise OSError(errno.ENOENT, text, "matplotlib") from None


def timeline(run: Transfer, loss: float, folder: Path) -> None:
    """Medium utilisation, meters finished, blocks sent by kind, over the time of one run."""
    figure, axes = _figure(3)
    medium, done, blocks = axes
    steps = run.samples[:: max(1, len(run.samples) // POINTS)]
    pairs = [(a, b) for a, b in pairwise(steps) if b[0] > a[0]]
    middles = [(a[0] + b[0]) / 120_000 for a, b in pairs]
    medium.fill_between(
        middles,
        [min(100.0, 100 * (b[1] - a[1]) / (b[0] - a[0])) for a, b in pairs],
        step="mid",
        color=BLUE,
        alpha=0.5,
        linewidth=0,
    )
    medium.set(ylabel="medium in use, %", ylim=(0, 105))
    done.plot([at / 60_000 for at, _, _ in steps], [count for *_, count in steps], color=BLUE)
    done.set(ylabel="meters finished", ylim=(0, run.meters * 1.05))
    for kind, colour, label in (
        (TO_ALL, BLUE, "broadcast"),
        (TO_METER, ORANGE, "unicast"),
    ):
        times = [at / 60_000 for at, sent in run.sends if sent == kind]
        counts = [sum(at <= limit[0] / 60_000 for at in times) for limit in steps]
        blocks.plot([at / 60_000 for at, _, _ in steps], counts, color=colour, label=label)
    blocks.set(ylabel="blocks sent", xlabel="minutes")
    blocks.legend(frameon=False)
    _phases(run, medium)
    figure.suptitle(
        "%d blocks of %d bytes to %d meters, %d %% of frames lost on each hop"
        % (run.blocks, BLOCK, run.meters, round(100 * loss)),
        fontsize=10,
    )
    _save(figure, folder / TIMELINE)


def growth(rows: list[dict[str, Any]], folder: Path) -> None:
    """Time, and the gateway's memory, by the number of meters."""
    figure, (times, memory) = _figure(2)
    meters = [row["meters"] for row in rows]
    times.plot(meters, [row["took"] / 60_000 for row in rows], "o-", color=BLUE)
    times.set(ylabel="minutes", ylim=(0, None))
    memory.plot(meters, [row["memory"] / 1024 for row in rows], "o-", color=BLUE)
    memory.set(ylabel="gateway, KiB", xlabel="meters", ylim=(0, None))
    figure.suptitle("An image of %d blocks of %d bytes" % (rows[0]["blocks"], BLOCK), fontsize=10)
    _save(figure, folder / GROWTH)


def _phases(run: Transfer, axes: Axes) -> None:
    for name, since, until in run.spans:
        if until - since > 0.04 * run.took:
            middle = (since + until) / 120_000
            axes.text(middle, 50, name, rotation=90, fontsize=8, ha="center", va="center")
        axes.axvline(since / 60_000, color=GREY, linewidth=0.5)


def _figure(rows: int) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 1.9 * rows), layout="constrained")
    axes = [figure.add_subplot(rows, 1, 1)]
    axes += [figure.add_subplot(rows, 1, row + 1, sharex=axes[0]) for row in range(1, rows)]
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
        one.margins(x=0.01)
    return figure, axes


def _save(figure: Figure, path: Path) -> None:
    from matplotlib import rc_context

    path.parent.mkdir(parents=True, exist_ok=True)
    with rc_context({"svg.hashsalt": "ami-bench", "svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None})
