"""What the presets take and bring, beside chained ExtraTrees, on the same hidden cells.

    python -m benchmarks.presets --half choosing              # what a preset is, is chosen on these
    python -m benchmarks.presets --half judging
    python -m benchmarks.presets --report      # writes results/presets.md and the guide's picture

MCAR, 30 % of the cells of at most 2,000 rows, in sample; CPU seconds of fit and transform on one
thread. Runs that are in the file are not made again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import records, trials
from benchmarks.impute import version_label
from benchmarks.peers import make

OURS = {name: {"preset": name} for name in ("fast", "balanced", "best")}
# What "balanced" is without its networks.
TRIALS = {"balanced, no network": {"preset": "balanced", "max_iter": 0}}
PEERS = ("extratrees", "mean")
METHODS = (*OURS, *PEERS, *TRIALS)
PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "presets.svg"
FROM = 1000  # rows from which on a table is timed


def imputer(method: str) -> Any:
    """Return a fresh imputer."""
    return make(_package(method), options=(OURS | TRIALS).get(method))


def _package(method: str) -> str:
    return method if method in PEERS else "maetab"


def ratios(output: Path) -> pd.DataFrame:
    """Return error and seconds divided by those of chained ExtraTrees, geometric means."""
    table = records.newest(pd.DataFrame(records.read(output)), [*trials.TASK, "method"])
    return trials.means(table, "method", "extratrees")


def draw(found: pd.DataFrame, path: Path) -> None:
    """Draw error against seconds, both divided by those of chained ExtraTrees; a line a half."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(1, 1, "ks", label="chained ExtraTrees")
    for half in dict.fromkeys(label.split(", ")[0] for label in found.index):
        labels = [f"{half}, {name}" for name in OURS if f"{half}, {name}" in found.index]
        own = found.loc[labels]
        axes.plot(own["time"], own["ratio"], "o-", label=f"maetab, tables for {half}")
        for label, x, y in zip(labels, own["time"], own["ratio"], strict=True):
            axes.annotate(label.split(", ")[1], (x, y), (0, 6), textcoords="offset points")
    axes.set(xscale="log", xlim=(0.1, 5), xlabel="CPU seconds, of those of chained ExtraTrees")
    axes.set_xticks(ticks := (0.1, 0.2, 0.5, 1, 2, 5), map(str, ticks), minor=False)
    axes.set_xticks((), minor=True)
    axes.set_ylabel("RMSE, of that of chained ExtraTrees")
    axes.legend()
    with mpl.rc_context({"svg.hashsalt": "presets"}):
        figure.savefig(path, metadata={"Date": None})


def main(argv: list[str] | None = None) -> None:
    """Run what is left to run, or print the report."""
    parser = trials.parser("presets", __doc__, "methods", METHODS)
    parser.add_argument("--tag", default="", help="names a variant of maetab")
    options = parser.parse_args(argv)
    if options.report:
        found = ratios(options.output)
        records.write(options.output, "Presets", records.figures(found, 3, "half, method"))
        draw(found, PICTURE)
        return
    few = pd.DataFrame(np.eye(20)).mask(np.eye(20)[::-1] > 0)
    for method in options.ways:  # the first fit of a process takes longer
        imputer(method).fit_transform(few)

    def version(method: str) -> str:
        return version_label(_package(method), options.tag)

    def fill(method: str, missing: pd.DataFrame) -> pd.DataFrame:
        return imputer(method).fit_transform(missing)

    trials.run(options, "method", fill, version, FROM)


if __name__ == "__main__":
    main()
