"""What the presets take and bring, beside chained ExtraTrees, on the same hidden cells.

    python -m benchmarks.presets --half choosing              # what a preset is, is chosen on these
    python -m benchmarks.presets --half judging
    python -m benchmarks.presets --report      # writes results/presets.md and the guide's picture

MCAR, 30 % of the cells of at most 2,000 rows, in sample; CPU seconds of fit and transform on one
thread. Runs that are in the file are not made again.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import records
from benchmarks.datasets import CHOOSING, JUDGING
from benchmarks.impute import features_of, score, split, version_label
from benchmarks.peers import make
from maetab.evaluation import amputate

HALVES = {"choosing": CHOOSING, "judging": JUDGING}
OURS = {name: {"preset": name} for name in ("fast", "balanced", "best")}
# What "balanced" is without its networks.
TRIALS = {"balanced, no network": {"preset": "balanced", "max_iter": 0}}
PEERS = ("extratrees", "mean")
METHODS = (*OURS, *PEERS, *TRIALS)
KEY = ["data_set", "rows", "method", "version"]
PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "presets.svg"
FROM = 1000  # rows from which on a table is timed


def run(options: argparse.Namespace) -> None:
    """Make every run that is not made yet."""
    done = records.done(options.output, KEY)
    few = pd.DataFrame(np.eye(20)).mask(np.eye(20)[::-1] > 0)
    for method in options.methods:  # the first fit of a process takes seconds longer
        imputer(method).fit_transform(few)
    for name in options.data_sets or HALVES[options.half]:
        truth = features_of(name, options.rows)
        if len(truth) < FROM:
            continue
        missing, hidden = amputate(truth, "mcar", 0.3, random_state=0)
        task = split(truth, missing, hidden, "in-sample", 0)
        for method in options.methods:
            line = {"data_set": name, "rows": len(truth), "method": method}
            line["version"] = version_label(_package(method), options.tag)
            if tuple(line[key] for key in KEY) in done:
                continue
            start = time.process_time()
            filled = imputer(method).fit_transform(missing)
            line |= {"seconds": time.process_time() - start} | score(task, filled)
            records.append(options.output, line, 1)
            print(*line.values(), flush=True)


def imputer(method: str) -> Any:
    """Return a fresh imputer."""
    return make(_package(method), options=(OURS | TRIALS).get(method))


def _package(method: str) -> str:
    return method if method in PEERS else "maetab"


def report(output: Path) -> str:
    """Return, by half and method, ratios to chained ExtraTrees on the same tables."""
    return records.figures(ratios(output), 3, "half, method")


def ratios(output: Path) -> pd.DataFrame:
    """Return error and seconds divided by those of chained ExtraTrees, geometric means."""
    table = records.newest(pd.DataFrame(records.read(output)), ["data_set", "rows", "method"])
    chain = table[table["method"] == "extratrees"].set_index(["data_set", "rows"])
    own = pd.MultiIndex.from_frame(table[["data_set", "rows"]])
    for name, column in {"rmse": "rmse", "time": "seconds"}.items():
        table[name] = np.log(table[column].to_numpy() / chain[column].reindex(own).to_numpy())
    table["more right"] = table["accuracy"] - chain["accuracy"].reindex(own).to_numpy()
    table = table[table["time"].notna()]
    table["half"] = np.where(table["data_set"].isin(CHOOSING), "choosing", "judging")
    by = ["half", "method"]
    found = records.means(table, by, ["rmse", "more right", "time"], ["rmse", "time"])
    found["worst"] = np.exp(table.groupby(by, sort=False)["rmse"].max().to_numpy())
    return found


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
        axes.plot(own["time"], own["rmse"], "o-", label=f"maetab, tables for {half}")
        for label, x, y in zip(labels, own["time"], own["rmse"], strict=True):
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
    parser = argparse.ArgumentParser(prog="benchmarks.presets", description=__doc__)
    add = parser.add_argument
    add("--half", default="choosing", choices=HALVES)
    add("--data-sets", nargs="+", help="some tables of a half (default: all)")
    add("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    add("--rows", type=int, default=2000, help="larger tables are cut to so many")
    add("--tag", default="", help="names a variant of maetab")
    add("--output", type=Path, default=records.RESULTS / "presets.jsonl")
    add("--report", action="store_true", help="print and write the means of what is done")
    options = parser.parse_args(argv)
    if not options.report:
        run(options)
        return
    told = report(options.output)
    head = "# Presets\n\nMade by `python -m benchmarks.presets --report`.\n\n"
    options.output.with_suffix(".md").write_text(head + told + "\n", encoding="utf-8")
    draw(ratios(options.output), PICTURE)
    print(told)


if __name__ == "__main__":
    main()
