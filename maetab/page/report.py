"""`maetab.report`: the page as a whole."""

from __future__ import annotations

import datetime
import os
from numbers import Integral
from pathlib import Path
from typing import Any

import maetab
from maetab.data.containers import read_frame
from maetab.files.writing import replace_file
from maetab.imputer import MAEImputer
from maetab.page.columns import columns_section
from maetab.page.course import course_section, intervals_of
from maetab.page.filled import Filled, fill_table
from maetab.page.gaps import missing_section
from maetab.page.judged import Judged, judge, judged_section
from maetab.page.markup import Markup, clean, element, paragraph, shortened
from maetab.page.methods import methods_section
from maetab.page.shapes import shapes_section
from maetab.page.strange import find_strange, strange_section
from maetab.page.style import document
from maetab.parameters import check_size, seed_of
from maetab.progress import logger

MEASURED = {"rmse": "error at hidden numbers", "accuracy": "hidden levels found"}
LONGEST = 120  # characters of a title
SUFFIXES = ("", ".html", ".htm")  # of the file
LINKS = {
    "columns": "Columns",
    "missing": "What is missing",
    "filling": "How well cells are filled",
    "shapes": "Observed and filled",
    "course": "The filled course",
    "strange": "Strangest rows",
    "methods": "What was done",
}


def report(
    X: Any,
    imputer: MAEImputer | None = None,
    *,
    to: str | os.PathLike | None = None,
    title: str = "Report on a table",
    frac: float = 0.2,
    top: int = 10,
    n_columns: int = 3,
    random_state: int = 0,
) -> str:
    """Return an HTML page that shows a table, its missing cells, how they fill and strange rows.

    The page needs no network and runs no script. Two models are fitted: one to the table, which
    fills it and scores its rows, and one to rows of it in which cells are hidden, which tells how
    well cells are filled.

    Parameters
    ----------
    X : (n, F) pandas, polars or pyarrow table or array; n at least 2
    imputer : MAEImputer, of which clones are fitted
        With `window`, and `time` and `groups` if need be, for series. By default
        ``MAEImputer(preset="fast", random_state=random_state)``.
    to : HTML file that the page is written to as well, whole or not at all; one that exists is
        replaced
    title : heading of the page
    frac : in [0, 1)
        Share of the observed cells that are hidden to measure how well they are filled: of 2,000
        rows at most, fewer of more than 50 columns; of series the first 750. 0 measures nothing.
    top : at least 0, rows, or stretches of series, that are explained as the strangest
        Among 2,000 rows drawn at random, of series the first 4,000.
    n_columns : at least 1, cells that explain a row at most
    random_state : int, of hidden cells and of rows that are drawn

    Raises
    ------
    TypeError
        `imputer` is no MAEImputer.
    ValueError
        A parameter cannot be, or `X` cannot be learned from; the message names it.
    FileNotFoundError
        There is no such folder as that of `to`.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"size": [1.0, 2.0, 3.0, None] * 5, "color": ["red", "blue"] * 10})
    >>> page = report(frame, title="Sizes & colors")
    >>> page[:15], "<h1>Sizes &amp; colors</h1>" in page
    ('<!DOCTYPE html>', True)
    """
    _check(imputer, frac, top, n_columns)
    _check_place(to)
    seed = seed_of(random_state, "report")
    frame, _ = read_frame(X)
    check_size(frame.shape, 2, "report")
    if imputer is None:
        imputer = MAEImputer(preset="fast", random_state=random_state)
    done = fill_table(frame, imputer)
    logger.info("maetab: measuring how well hidden cells are filled")
    judged = judge(done, frac, seed)
    logger.info("maetab: looking for strange rows")
    strange = find_strange(done, top, n_columns, seed)
    options = {"frac": frac, "top": top, "n_columns": n_columns, "random_state": random_state}
    sections = [
        columns_section(done),
        missing_section(done),
        judged_section(judged, done),
        shapes_section(done),
        course_section(done, intervals_of(done)),
        strange_section(strange, done),
        methods_section(done, judged, strange, options),
    ]
    page = document(clean(title), _top(title, done, judged), [x for x in sections if x], _foot())
    if to is not None:
        replace_file(Path(to), page.encode())
    return page


def _check(imputer: Any, frac: Any, top: Any, n_columns: Any) -> None:
    """Refuse the first parameter that cannot be."""
    if imputer is not None and not isinstance(imputer, MAEImputer):
        raise TypeError(f"report: 'imputer' must be an MAEImputer, got {type(imputer).__name__}.")
    if imputer is not None:
        if not imputer.keep_empty_features or imputer.add_indicator:
            raise ValueError(
                "report: 'imputer' must keep the columns of the table as they are; pass one with "
                "keep_empty_features=True and add_indicator=False."
            )
        if imputer.missing_values is not None and imputer.missing_values == imputer.missing_values:
            raise ValueError(
                f"report: 'imputer' has missing_values={imputer.missing_values!r}; make these "
                f"cells of X missing first, as by X.replace({imputer.missing_values!r}, np.nan)."
            )
    if not isinstance(frac, int | float) or isinstance(frac, bool) or not 0 <= frac < 1:
        raise ValueError(f"report: 'frac' must be a number in [0, 1), got {frac!r}.")
    for name, value, least in (("top", top, 0), ("n_columns", n_columns, 1)):
        if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
            raise ValueError(f"report: {name!r} must be an int of at least {least}, got {value!r}.")


def _check_place(to: Any) -> None:
    """Refuse, before anything is fitted, a file that the page cannot be written to."""
    if to is None:
        return
    if Path(to).suffix.lower() not in SUFFIXES:
        raise ValueError(f"report: 'to' must end in .html, for the page is HTML, got {str(to)!r}.")
    if not Path(to).resolve().parent.is_dir():
        raise FileNotFoundError(f"report: 'to' is {str(to)!r}, and there is no such folder.")


def _top(title: str, done: Filled, judged: Judged | None) -> list[Markup]:
    """Return what stands above the sections: the title, the main figures, links."""
    n_missing, n_left = int(done.missing.sum()), int(done.left.sum())
    facts = {
        "rows": f"{len(done.frame):,}",
        "columns": f"{done.frame.shape[1]:,}",
        "missing cells": f"{n_missing:,} ({done.missing.mean():.1%})",
        "filled cells": f"{n_missing - n_left:,}",
    }
    if judged is not None:
        for metric, name in MEASURED.items():
            means = judged.means(metric)
            if len(means):
                value = means["maetab"]
                facts[name] = f"{value:.2f} SD" if metric == "rmse" else f"{value:.0%}"
    pairs = [
        element("div", element("dt", name), element("dd", value)) for name, value in facts.items()
    ]
    shown = [name for name in LINKS if name != "course" or done.layout is not None]
    links = [element("li", element("a", LINKS[name], href=f"#{name}")) for name in shown]
    return [
        element("h1", shortened(title, LONGEST)),
        element("dl", *pairs, class_="facts"),
        element("nav", element("ul", *links), aria_label="Sections"),
    ]


def _foot() -> Markup:
    made = datetime.datetime.now(datetime.UTC)
    return paragraph(f"Made by maetab {maetab.__version__} on {made:%Y-%m-%d}. ")
