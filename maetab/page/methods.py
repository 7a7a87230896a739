"""The section on what was done, to be pasted into a paper: versions, parameters, seed, figures."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import sklearn
import torch

import maetab
from maetab.data.extent import length_text
from maetab.page.columns import kind_of
from maetab.page.filled import Filled
from maetab.page.judged import COVERAGE, NAMES, Judged
from maetab.page.markup import Markup, element, paragraph, section, shortened, table, users
from maetab.page.strange import N_MASKS, TRIM, Strange

LONGEST = 1000  # characters of a parameter
MODELS = {
    True: "each column's distribution given the others was predicted by a Gaussian model with "
    "attention to similar rows and a residual network trained on hidden cells",
    False: "each column's distribution given the others was predicted by a Gaussian model with "
    "attention to similar rows; no network was trained",
}


def methods_section(
    done: Filled, judged: Judged | None, strange: Strange | None, options: Mapping[str, Any]
) -> Markup:
    """Return the section; `options` are those of the page itself."""
    sentences = [_data(done), _model(done), *_measured(judged), *_watched(done, strange)]
    versions = {
        "maetab": maetab.__version__,
        "Python": platform.python_version(),
        "PyTorch": torch.__version__,
        "scikit-learn": sklearn.__version__,
        "pandas": pd.__version__,
        "NumPy": np.__version__,
    }
    own = {f"page: {name}": repr(value) for name, value in options.items()}
    changed = {name: repr(value) for name, value in _changed(done).items()}
    rows = [
        [users(name), shortened(value, LONGEST)]
        for name, value in (versions | changed | own).items()
    ]
    title = "Versions, and the parameters that differ from their defaults"
    return section(
        "methods",
        "What was done",
        paragraph("To be pasted into a paper, and to be read before it is."),
        element("div", paragraph(" ".join(sentences)), class_="methods"),
        table(title, ["", "value"], rows),
    )


def _data(done: Filled) -> str:
    kinds = [kind_of(done.columns[j]) for j in done.modelled()]
    counts = ", ".join(f"{n} {kind}" for kind, n in pd.Series(kinds).value_counts().items())
    n_missing = int(done.missing[:, done.modelled()].sum())
    n_cells = len(done.frame) * len(kinds)
    n_filled = int((done.missing & ~done.left)[:, done.modelled()].sum())
    rest = "all were" if n_filled == n_missing else f"{n_filled:,} were"
    kept = ""
    if done.layout is not None and n_filled < n_missing:
        kept = f" (max_gap={done.imputer.max_gap!r}, edges={done.imputer.edges!r})"
    return (
        f"The data had {len(done.frame):,} rows and {len(kinds)} columns that were modelled "
        f"(by kind: {counts}). Of {n_cells:,} cells {n_missing:,} "
        f"({n_missing / max(n_cells, 1):.1%}) were missing; {rest} imputed{kept}."
        if n_missing
        else f"The data had {len(done.frame):,} rows and {len(kinds)} columns that were modelled "
        f"(by kind: {counts}); no cell of these was missing."
    )


def _model(done: Filled) -> str:
    fitted = done.imputer
    seed = "no fixed seed" if fitted.random_state is None else f"seed {fitted.random_state}"
    timeline = done.timeline
    windows = ""
    if timeline is not None:
        length = length_text(timeline.n_steps, timeline)
        windows = f" Rows were seen in windows of {timeline.n_steps} steps ({length})."
    return (
        f"Imputation used maetab {maetab.__version__} (MAEImputer, preset {fitted.preset!r}, "
        f"{seed}): {MODELS[bool(fitted.history_)]}. Observed cells were left unchanged.{windows}"
    )


def _measured(judged: Judged | None) -> list[str]:
    """Return what was found at hidden cells, as sentences."""
    if judged is None:
        return []
    how = "at random" if judged.mechanism == "mcar" else "in gaps of ten rows on average"
    found = [
        f"To measure the error, {judged.frac:.0%} of the observed cells of {judged.n_rows:,} rows "
        f"({judged.n_hidden:,} cells) were hidden {how} and filled by a model fitted to the rest "
        f"of these rows."
    ]
    words = {"rmse": "root mean squared error in standard deviations", "accuracy": "accuracy"}
    for metric, of_what in words.items():
        means = judged.means(metric)
        if len(means):
            values = ", ".join(f"{NAMES[str(name)]} {value:.3f}" for name, value in means.items())
            kind = "numbers" if metric == "rmse" else "categories"
            found.append(f"Mean {of_what} over the columns of {kind}: {values}.")
    if judged.coverage:
        inside = float(np.mean([*judged.coverage.values()]))
        found.append(f"The {COVERAGE:.0%} intervals held {inside:.0%} of the hidden numbers.")
    return found


def _watched(done: Filled, strange: Strange | None) -> list[str]:
    if strange is None:
        return []
    sets = f"n_masks={N_MASKS}, " if done.layout is None else ""
    return [
        f"Anomaly scores of {strange.n_rows:,} rows came from the same model (MAEAnomalyDetector, "
        f"{sets}{TRIM:.0%} of the rows, the strangest at first sight, set aside when scores were "
        f"calibrated)."
    ]


def _changed(done: Filled) -> dict[str, Any]:
    """Return the parameters of the imputer that differ from their defaults, in a fixed order."""
    usual = type(done.imputer)().get_params(deep=False)
    given = done.imputer.get_params(deep=False)
    quiet = {"verbose", "missing_values", "checkpoint"}
    return {k: v for k, v in given.items() if k not in quiet and repr(v) != repr(usual[k])}
