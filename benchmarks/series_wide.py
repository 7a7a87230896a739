"""Fill windows of many columns, made of stretches of real series side by side.

    python -m benchmarks.series_wide --half choosing
    python -m benchmarks.series_wide --half judging --shapes 12x90 --sources italian

The columns of a set are cut into as many stretches as it takes, one beside the other; of 500 each
is a sum of two of them, so that many go together as those of traffic or loads do. One line for
each source, shape (steps x columns) and pattern: the error at hidden cells divided by that of
linear interpolation, CPU seconds of fit and fill, and the memory that the process held at most.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.records import append
from benchmarks.series_data import COURSES, SEED, Course, draw
from maetab import MAEImputer

KEY = ("source", "shape", "pattern", "code")
SOURCES = {"choosing": ("etth1", "exchange"), "judging": ("italian", "beijing")}
SHAPES = ((12, 90), (48, 40), (100, 500))
PATTERNS = ("point10", "point50", "subseq")
MIXED = 100  # columns beyond which each is a sum of two
MOST_ROWS = 4000


def side_by_side(source: str, n_columns: int) -> pd.DataFrame:
    """Return (n, n_columns) standardised stretches of a source, with the stamps of the first."""
    frame = COURSES[source]().frame
    n_stretches = -(-min(n_columns, MIXED) // frame.shape[1])
    n_rows = min(len(frame) // n_stretches // 24 * 24, MOST_ROWS)
    parts = [frame.iloc[i * n_rows : (i + 1) * n_rows].to_numpy() for i in range(n_stretches)]
    cells = _standardised(np.hstack(parts))
    if n_columns > MIXED:
        random = np.random.RandomState(SEED)
        pairs = [random.choice(cells.shape[1], 2, replace=False) for _ in range(n_columns)]
        shares = random.uniform(0.3, 1.0, (2, n_columns))
        first, second = np.transpose(pairs)
        cells = _standardised(shares[0] * cells[:, first] + shares[1] * cells[:, second])
    names = [f"x{j}" for j in range(n_columns)]
    return pd.DataFrame(cells[:, :n_columns], index=frame.index[:n_rows], columns=names)


def _standardised(cells: np.ndarray) -> np.ndarray:
    spread = np.nanstd(cells, 0)
    return (cells - np.nanmean(cells, 0)) / np.where(spread > 1e-9, spread, 1.0)


def masked(truth: pd.DataFrame, n_steps: int, pattern: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the frame with the cells of a pattern hidden, and (n, F) bool which."""
    course = Course(truth, n_steps, 0, (slice(0), slice(0), slice(0)), 0.3)
    whole, hidden = len(truth) // n_steps * n_steps, np.zeros(truth.shape, bool)
    hidden[:whole] = draw(course, whole, pattern, np.random.RandomState(SEED))
    hidden &= truth.notna().to_numpy()
    return truth.mask(hidden), hidden


def error(filled: pd.DataFrame, truth: pd.DataFrame, hidden: np.ndarray) -> float:
    """Return the mean absolute error at hidden cells."""
    return float(np.abs(filled.to_numpy() - truth.to_numpy())[hidden].mean())


def linear(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame filled by straight lines, level beyond the last observed cells."""
    return frame.interpolate(limit_direction="both").fillna(0.0)


def judged(
    source: str, n_steps: int, n_columns: int, pattern: str, code: str = "now"
) -> dict[str, object]:
    """Return what the first guess makes of one set, beside linear interpolation."""
    truth = side_by_side(source, n_columns)
    holes, hidden = masked(truth, n_steps, pattern)
    imputer = MAEImputer(window=n_steps, max_iter=0, random_state=0)
    fitted = _seconds(lambda: imputer.fit(holes))
    start = time.process_time()
    filled = imputer.transform(holes)
    mine, theirs = error(filled, truth, hidden), error(linear(holes), truth, hidden)
    return {
        "source": source, "shape": f"{n_steps}x{n_columns}", "rows": len(truth),
        "pattern": pattern, "code": code, "mae": round(mine, 4), "linear": round(theirs, 4),
        "ratio": round(mine / theirs, 3), "fit_seconds": fitted,
        "fill_seconds": round(time.process_time() - start, 1),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }  # fmt: skip


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return round(time.process_time() - start, 1)


def main() -> None:
    """Judge what the command line asks for."""
    parser = argparse.ArgumentParser(prog="benchmarks.series_wide")
    parser.add_argument("--half", choices=tuple(SOURCES), default="choosing")
    parser.add_argument("--sources", nargs="+", choices=sum(SOURCES.values(), ()))
    parser.add_argument("--shapes", nargs="+", default=[f"{t}x{f}" for t, f in SHAPES])
    parser.add_argument("--patterns", nargs="+", default=list(PATTERNS))
    parser.add_argument("--code", default="now")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    for shape in options.shapes:
        n_steps, n_columns = map(int, shape.split("x"))
        for source in options.sources or SOURCES[options.half]:
            for pattern in options.patterns:
                line = judged(source, n_steps, n_columns, pattern, options.code)
                print(line, flush=True)
                if options.output:
                    append(options.output, line, 1)


if __name__ == "__main__":
    main()
