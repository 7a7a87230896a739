"""What the verbs do. Each takes the words of its command and imports what it needs."""

from __future__ import annotations

import argparse
import shlex
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maetab.cli import estimators, folders, reading, series, verb_files
from maetab.cli.options import COMPARED_WITH, DETECTION, HIDDEN
from maetab.cli.report.output import (
    counted,
    is_first,
    listed,
    on_one_line,
    report_step,
    say,
    show_lines,
    show_table,
)

if TYPE_CHECKING:
    import pandas as pd

METRICS = {
    "rmse": "Numbers: root mean squared error in standard deviations (less is better)",
    "accuracy": "Categories: share of hidden cells that were found (more is better; median: the "
    "mode)",
}

# What evaluate hides may lie at the edges of series, which is no news to who asked for it.
OF_HIDING = r"(?s)MAEImputer: cells of .* are filled more than a window"


def demo(args: argparse.Namespace) -> None:
    """Show how well several methods fill hidden cells of a table of scikit-learn."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

    from maetab.data.schema import infer_schema
    from maetab.evaluation import amputate, cell_scores
    from maetab.files.writing import replace_file

    verb_files.check_outputs(args, args.output)
    complete = load_breast_cancer(as_frame=True).data
    holes, hidden = amputate(complete, "mcar", 0.3, random_state=args.seed)
    say(
        f"Breast cancer data of scikit-learn: {len(complete)} rows, {complete.shape[1]} columns. "
        f"{int(hidden.to_numpy().sum())} cells (30 %) are hidden at random, then filled by"
    )
    methods = {
        "mean": SimpleImputer(),
        "k nearest neighbours": KNNImputer(),
        "chained regression": IterativeImputer(random_state=args.seed),
        "maetab": estimators.new_estimator(args, "MAEImputer"),
    }
    mean, std, rows = holes.mean(), holes.std(), []
    for name, method in methods.items():
        began = time.perf_counter()
        scaled = (holes - mean) / std  # neighbours and chains need columns of equal weight
        filled = method.set_output(transform="pandas").fit_transform(scaled)
        filled = holes.fillna(filled * std + mean)
        seconds = time.perf_counter() - began
        errors = cell_scores(complete, filled, hidden, infer_schema(complete), ["rmse"])["value"]
        rows.append([name, f"{errors.mean():.3f}", f"{seconds:.1f}"])
    show_table("Error on the hidden cells (less is better)", ["method", "RMSE", "seconds"], rows)
    replace_file(Path(args.output), filled.to_csv(index=False).encode())
    show_lines(
        [
            "RMSE in standard deviations of a column, mean of the columns; one seed, one table.",
            f"The table that maetab filled: {args.output}",
            "Your own: maetab impute your.csv -o filled.csv",
        ]
    )


def impute(args: argparse.Namespace) -> None:
    """Fill the missing cells of a file."""
    from maetab.cli.report.table import unlike
    from maetab.files.tables import write_table

    began = time.perf_counter()
    given = estimators.given(max_gap=args.max_gap, edges=args.edges)
    if folders.is_folder(args):
        return folders.write(args, "MAEImputer", **given)
    imputer, table, columns, frame = estimators.prepare(args, "MAEImputer", **given)
    out_format = verb_files.format_out(args)
    targets = columns if args.columns is None else args.columns
    for name in targets:
        if name not in columns:
            raise ValueError(f"column {name!r} cannot be filled: the model does not see it")
    some_missing = frame[targets].isna().any(axis=None)
    if not some_missing:
        reading.refuse_codes(args, table, targets)
    if imputer is None and (args.save or some_missing):
        imputer = estimators.new_estimator(args, "MAEImputer", **given).fit(frame)
    if not is_first():  # of several processes, that fit together
        return
    n_filled = 0
    if imputer is not None:
        if args.model:
            others = table.frame.drop(columns=frame.columns, errors="ignore")
            for told in (unlike(frame, imputer.schema_, columns), _unseen(others)):
                if told:
                    say(on_one_line(told))
        report_step("filling the cells")
        filled = imputer.transform(frame)
        n_filled = sum(table.put(name, filled[name]) for name in targets)
    estimators.save(imputer, args, table)
    write_table(table, args.output, out_format, verb_files.layout_out(args, table))
    say(_filled(table.frame[targets], n_filled, imputer, time.perf_counter() - began))


def _unseen(frame: pd.DataFrame) -> str:
    """Return which columns that a saved model does not see keep missing cells; empty if none."""
    names = [name for name in frame if frame[name].isna().any()]
    column, them = ("column", "it") if len(names) == 1 else ("columns", "them")
    told = f"{column} {listed(names)}: the model does not see {them}; missing cells stay"
    return told if names else ""


def _filled(frame: pd.DataFrame, n_filled: int, imputer: Any, seconds: float) -> str:
    """Return how many cells were filled, how many were left, and why."""
    done = f"{counted(n_filled, 'cell')} filled in {seconds:.1f} s"
    max_gap, reasons = getattr(imputer, "max_gap", None), []
    if max_gap is not None:
        length = counted(max_gap, "step") if isinstance(max_gap, int) else max_gap
        reasons.append(f"in gaps longer than {length}")
    if not getattr(imputer, "edges", True):
        reasons.append("at an end of a series")
    n_left = int(frame.isna().to_numpy().sum())
    if n_left and reasons:
        return f"{done}; {counted(n_left, 'cell')} stay missing, {' or '.join(reasons)}"
    return done if n_filled else "nothing to fill; copied"


def detect(args: argparse.Namespace) -> None:
    """Score the rows of a file and explain the strangest."""
    from maetab.cli.report import anomalies

    began, name = time.perf_counter(), "MAEAnomalyDetector"
    given = estimators.given(trim=args.trim, contamination=args.contamination)
    detector, table, columns, frame = estimators.prepare(args, name, **given)
    if detector is None:
        detector = estimators.new_estimator(args, name, **(DETECTION | given)).fit(frame)
    if not is_first():
        return
    report_step("scoring the rows")
    scores = anomalies.score_rows(detector, frame)
    n_reasons = min(args.reasons, len(columns))
    if detector.window is None:
        frame = frame.loc[scores["score"].sort_values(kind="stable").index[: args.top]]
    reasons = anomalies.reasons_of(detector, frame, table, n_reasons, args.top)
    estimators.save(detector, args, table)
    verb_files.write_result(
        args, table, columns, anomalies.beside(scores, reasons, n_reasons), first="row"
    )
    if args.output != "-":
        title, head = "The strangest rows, and the cells that make them so", ["row", "score"]
        head += [name for name in anomalies.WHEN if name in reasons]
        show_table(title, [*head, *anomalies.CELL], anomalies.reason_rows(scores, reasons))
    found = anomalies.count_of_anomalies(scores["label"])
    say(f"{found}; found in {time.perf_counter() - began:.1f} s")


def encode(args: argparse.Namespace) -> None:
    """Write features of the rows of a file."""
    began = time.perf_counter()
    parameters = estimators.given(
        n_components=args.components,
        readout=args.readout,
        add_raw=args.add_raw,
        level=args.level,
        stride=args.stride,
    )
    if args.components == "all":
        parameters["n_components"] = None
    if folders.is_folder(args):
        return folders.write(args, "MAEEncoder", **parameters)
    encoder, table, columns, frame = estimators.prepare(args, "MAEEncoder", **parameters)
    if encoder is None:
        encoder = estimators.new_estimator(args, "MAEEncoder", **parameters).fit(frame)
    if not is_first():
        return
    report_step("encoding the rows")
    features = encoder.transform(frame)
    estimators.save(encoder, args, table)
    of_windows = encoder.level == "window"
    if of_windows:
        verb_files.write_windows(args, table, features)
    else:
        verb_files.write_result(args, table, columns, features)
    n, seconds = encoder.n_components_, time.perf_counter() - began
    n_raw = len(encoder.get_feature_names_out()) - n
    raw = f" and {n_raw} columns of the encoded input" if n_raw else ""
    what = counted(len(features), "window" if of_windows else "row")
    say(f"{n} components{raw} of {what} in {seconds:.1f} s")


def evaluate(args: argparse.Namespace) -> None:
    """Show how well hidden cells of a file are filled."""
    import numpy as np

    from maetab.cli.in_time import in_time, static_names
    from maetab.evaluation import cross_val_impute
    from maetab.evaluation.interpolation import LinearInterpolation

    series.check(args)
    if args.window is None and "linear" in (args.compare or ()):
        args.fail("--compare linear is interpolation in time; it needs --window")
    table, keys = verb_files.open_table(args, keys=series.keys_of(args))
    columns = estimators.usable_columns(table, args, keys.names())
    frame = series.frame_of(table, columns, keys)
    is_series = args.window is not None
    mechanism = args.mechanism or HIDDEN[is_series]
    methods = ["maetab", *(args.compare or COMPARED_WITH[is_series])]
    compared: dict[str, Any] = {"maetab": estimators.new_estimator(args, "MAEImputer")}
    cv, labels = args.cv, None
    if is_series:  # all rows are fitted and filled: a row is one of those around it
        frame, labels = in_time(frame, keys)
        cv = [(np.arange(len(frame)),) * 2] * args.cv
        compared |= {"linear": LinearInterpolation(len(keys.groups))} if "linear" in methods else {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", OF_HIDING)
        scores = cross_val_impute(
            compared,
            frame,
            mechanism=mechanism,
            frac=args.frac,
            cv=cv,
            metrics=tuple(METRICS),
            baselines=[name for name in methods if name not in compared],
            random_state=args.seed,
            groups=labels,
        )
    means = scores.groupby(["column", "metric", "method"], sort=False)["value"].mean()
    wide = means.unstack("method")[methods].reset_index()
    if static := static_names(frame, labels):
        show_lines([f"not measured: {listed(static)}, of which each series has one value"])
        wide = wide[~wide["column"].isin(static)]
    for metric, title in METRICS.items():
        part = wide[wide["metric"] == metric].set_index("column")[methods]
        if len(part):
            part.loc["mean of the columns"] = part.mean()
            rows = part.map("{:.3f}".format).reset_index().to_numpy().tolist()
            show_table(title, ["column", *methods], rows)


def describe(args: argparse.Namespace) -> None:
    """Show the columns of a file."""
    from maetab.cli.report.cost import cost_of
    from maetab.cli.report.course import course_of
    from maetab.cli.report.table import described
    from maetab.data.extent import HEAD
    from maetab.data.schema import infer_schema

    series.check(args, asks_window=False)
    table, keys = verb_files.open_table(args, keys=series.keys_of(args))
    usable = [name for name in table.names if name not in args.exclude]
    size = f"{counted(len(table.frame), 'row')}, {counted(len(table.names), 'column')}"
    head = ["column", "kind", "dtype", "missing", "share", "values", ""]
    schema = infer_schema(table.frame[usable])
    show_table(size, head, described(table, schema, verb_files.wanted_columns(args)))
    show_lines([cost_of(schema, len(table.frame))])
    course = course_of(table, usable, keys)
    if course is None:
        return
    show_lines(course.lines)
    if course.gaps:
        show_table("Gaps: missing cells one after the other, in steps", HEAD, course.gaps)
    if course.options:
        codes = reading.codes(args, table, usable)
        read = reading.words_of(vars(args) | ({"na_values": codes} if codes else {}))
        words = " ".join([shlex.quote(args.input), *read, *course.options, "-o filled.csv"])
        means = f", if {' and '.join(codes)} means missing" if codes else ""
        show_lines([f"as a series{means}: maetab impute {words}", *course.why])


def info(args: argparse.Namespace) -> None:
    """Show what a saved model is."""
    from maetab.cli.report.model import everything, summary
    from maetab.files.models import read_info

    found = read_info(args.model)
    show_lines(everything(found) if args.all else summary(found))
