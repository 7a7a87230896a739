"""The command line: one verb a job, a file in and a file out.

Results go to standard output, messages to standard error. Exit codes: 0 done, 1 the data or the
file is at fault, 2 the command is. torch and scikit-learn are imported only by verbs that need
them. A new verb is a line in `VERBS`: what it takes (in options.py) and what it does.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import maetab
from maetab.options import (
    DETECTION,
    Parser,
    add_demo,
    add_detect,
    add_encode,
    add_evaluate,
    add_impute,
    add_info,
    add_input,
)
from maetab.progress import CLEAR, EVERY, lines, logger
from maetab.wording import counted, doubted, found_in, on_one_line
from maetab.workfiles import (
    check_outputs,
    format_out,
    layout_out,
    open_table,
    wanted_columns,
    write_result,
)

if TYPE_CHECKING:
    import pandas as pd

    from maetab.data.schema import Column
    from maetab.files import Table


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    Parameters
    ----------
    argv : words after the program's name; those of the process by default

    Examples
    --------
    >>> main(["describe", "no_such_file.csv"])
    1
    """
    if sys.stderr is None:  # closed by the shell; messages are lost, the work is not
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    args = _parser().parse_args(argv)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            with lines(every=0.0 if getattr(args, "verbose", False) else EVERY):
                args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, TypeError, OSError, LookupError) as error:
        reason = " ".join(str(error).split())
        if isinstance(error, OSError) and error.filename and error.strerror:
            reason = f"{error.filename}: {error.strerror}"
        _say(f"maetab {args.verb}: {reason or type(error).__name__}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="maetab",
        description="Masked autoencoders for tables: fill missing cells, find anomalies, "
        "make features.",
    )
    version = f"maetab {maetab.__version__}"
    parser.add_argument(
        "--version", action="version", version=version, help="print the version and exit"
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, (add, run, text) in VERBS.items():
        verb = verbs.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        add(verb)
        verb.set_defaults(run=run, fail=verb.error)
    return parser


# --- what the verbs do -----------------------------------------------------------------------


def _impute(args: argparse.Namespace) -> None:
    from maetab.files import write_table

    began = time.perf_counter()
    imputer, table, columns = _prepare(args, "MAEImputer")
    out_format = format_out(args)
    frame = table.frame[columns]
    targets = _targets(args.columns, columns)
    if imputer is None and (args.save or frame[targets].isna().any(axis=None)):
        imputer = _estimator(args, "MAEImputer").fit(frame)
    n_filled = 0
    if imputer is not None:
        if args.model:
            _say_unlike(frame, imputer)
        _doing("filling the cells")
        filled = imputer.transform(frame)
        n_filled = sum(table.put(name, filled[name]) for name in targets)
    if args.save:
        _save(imputer, args.save)
    write_table(table, args.output, out_format, layout_out(args, table))
    seconds = time.perf_counter() - began
    done = f"{counted(n_filled, 'cell')} filled in {seconds:.1f} s"
    _say(done if n_filled else "nothing to fill; copied")


def _detect(args: argparse.Namespace) -> None:
    from maetab.report import TOLD, beside, count_of_anomalies, listed, reasons_of, score_rows

    began, name = time.perf_counter(), "MAEAnomalyDetector"
    given = {"trim": args.trim, "contamination": args.contamination}
    given = {key: value for key, value in given.items() if value is not None}
    detector, table, columns = _prepare(args, name, **given)
    frame = table.frame[columns]
    if detector is None:
        detector = _estimator(args, name, **(DETECTION | given)).fit(frame)
    _doing("scoring the rows")
    scores = score_rows(detector, frame)
    strangest = frame.loc[scores["score"].sort_values(kind="stable").index[: args.top]]
    n_reasons = min(args.reasons, len(columns))
    reasons = reasons_of(detector, strangest, table, n_reasons)
    if args.save:
        _save(detector, args.save)
    write_result(args, table, columns, beside(scores, reasons, n_reasons), first="row")
    if args.output != "-":
        head = ["row", "score", *TOLD]
        _show("The strangest rows, and the cells that make them so", head, listed(scores, reasons))
    seconds = time.perf_counter() - began
    _say(f"{count_of_anomalies(scores['label'])}; found in {seconds:.1f} s")


def _encode(args: argparse.Namespace) -> None:
    began = time.perf_counter()
    given = {"n_components": args.components, "readout": args.readout, "add_raw": args.add_raw}
    parameters = {key: value for key, value in given.items() if value is not None}
    if args.components == "all":
        parameters["n_components"] = None
    encoder, table, columns = _prepare(args, "MAEEncoder", **parameters)
    frame = table.frame[columns]
    if encoder is None:
        encoder = _estimator(args, "MAEEncoder", **parameters).fit(frame)
    _doing("encoding the rows")
    features = encoder.transform(frame)
    if args.save:
        _save(encoder, args.save)
    write_result(args, table, columns, features)
    n, seconds = encoder.n_components_, time.perf_counter() - began
    raw = f" and {features.shape[1] - n} columns of the encoded input" if encoder.add_raw else ""
    _say(f"{n} components{raw} of {len(features)} rows in {seconds:.1f} s")


def _evaluate(args: argparse.Namespace) -> None:
    from maetab.evaluation import cross_val_impute

    table = _open(args)
    scores = cross_val_impute(
        {"maetab": _estimator(args, "MAEImputer")},
        table.frame[_usable(table, args)],
        mechanism=args.mechanism,
        frac=args.frac,
        cv=args.cv,
        metrics=("rmse", "accuracy"),
        baselines=args.compare,
        random_state=args.seed,
    )
    methods = ["maetab", *args.compare]
    means = scores.groupby(["column", "metric", "method"], sort=False)["value"].mean()
    wide = means.unstack("method")[methods].reset_index()
    for metric, title in (
        ("rmse", "Numbers: root mean squared error in standard deviations (less is better)"),
        (
            "accuracy",
            "Categories: share of hidden cells that were found (more is better; median: the mode)",
        ),
    ):
        part = wide[wide["metric"] == metric].set_index("column")[methods]
        if len(part):
            part.loc["mean of the columns"] = part.mean()
            _show(
                title,
                ["column", *methods],
                part.map("{:.3f}".format).reset_index().to_numpy().tolist(),
            )


def _describe(args: argparse.Namespace) -> None:
    from maetab.wording import described

    table = _open(args)
    usable = [name for name in table.names if name not in args.exclude]
    size = f"{counted(len(table.frame), 'row')}, {counted(len(table.names), 'column')}"
    head = ["column", "kind", "dtype", "missing", "share", "values", ""]
    _show(size, head, described(table, usable, wanted_columns(args)))


def _info(args: argparse.Namespace) -> None:
    from maetab.persist import read_info
    from maetab.wording import everything, summary

    info = read_info(args.model)
    print(*map(on_one_line, everything(info) if args.all else summary(info)), sep="\n")


def _demo(args: argparse.Namespace) -> None:
    from sklearn.datasets import load_breast_cancer
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

    from maetab.evaluation import amputate

    check_outputs(args, args.output)
    complete = load_breast_cancer(as_frame=True).data
    holes, hidden = amputate(complete, "mcar", 0.3, random_state=args.seed)
    _say(
        f"Breast cancer data of scikit-learn: {len(complete)} rows, {complete.shape[1]} columns. "
        f"{int(hidden.sum(axis=None))} cells (30 %) are hidden at random, then filled by"
    )
    methods = {
        "mean": SimpleImputer(),
        "k nearest neighbours": KNNImputer(),
        "chained regression": IterativeImputer(random_state=args.seed),
        "maetab": _estimator(args, "MAEImputer"),
    }
    center, spread, rows = holes.mean(), holes.std(), []
    for name, method in methods.items():
        began = time.perf_counter()
        scaled = (holes - center) / spread  # neighbours and chains need columns of equal weight
        filled = method.set_output(transform="pandas").fit_transform(scaled)
        filled = holes.fillna(filled * spread + center)
        seconds = time.perf_counter() - began
        rows.append([name, f"{_demo_error(complete, filled, hidden):.3f}", f"{seconds:.1f}"])
    _show("Error on the hidden cells (less is better)", ["method", "RMSE", "seconds"], rows)
    print("RMSE in standard deviations of a column, mean of the columns; one seed, one table.")
    filled.to_csv(args.output, index=False)
    print(f"The table that maetab filled: {args.output}")
    print("Your own: maetab impute your.csv -o filled.csv")


VERBS: dict[str, tuple[Callable, Callable, str]] = {
    "demo": (add_demo, _demo, "hide cells of a small table, fill them, compare with other ways"),
    "impute": (add_impute, _impute, "fill the missing cells of a file"),
    "detect": (add_detect, _detect, "score the rows of a file, name the anomalies and why"),
    "encode": (add_encode, _encode, "turn the rows of a file into features"),
    "evaluate": (
        add_evaluate,
        _evaluate,
        "hide known cells of a file, measure how well they fill",
    ),
    "describe": (add_input, _describe, "list the columns of a file and what they miss"),
    "info": (add_info, _info, "show what a saved model is"),
}


# --- steps -----------------------------------------------------------------------------------


def _say(message: str) -> None:
    try:
        print(f"{CLEAR if sys.stderr.isatty() else ''}{message}", file=sys.stderr)
    except BrokenPipeError:  # nobody reads the messages, but the work is wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _say_unlike(frame: pd.DataFrame, model: Any) -> None:
    """Say which cells are unlike those that a saved model has learned from."""
    from maetab.wording import unlike

    if said := unlike(frame, model.schema_):
        _say(on_one_line(said))


def _doing(what: str) -> None:
    logger.info("maetab: %s", what)


def _warn(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    _say(f"warning: {message}")


def _show(title: str, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table with aligned columns."""
    from maetab.report import aligned

    clean = [[on_one_line(cell) for cell in row] for row in rows]
    print(title, *aligned(list(map(on_one_line, head)), clean), sep="\n", end="\n\n")


def _open(args: argparse.Namespace, known: Sequence[Column] = ()) -> Table:
    """The input, after what was found in it is said."""
    table = open_table(args, known)
    names = [str(column.name) for column in known]
    names = names or [name for name in table.names if name not in args.exclude]
    for line in found_in(table, names, args.verb):
        _say(line)
    return table


def _prepare(
    args: argparse.Namespace, name: str, **parameters: Any
) -> tuple[Any, Table, list[str]]:
    """The saved model or None, the input, and the columns of it that the model sees.

    Parameters
    ----------
    name : class of the model; one of another class hands over what it has learned
    parameters : of that class, where they differ from those of the saved model
    """
    check_outputs(args, args.output, args.save)
    format_out(args)  # an output of no known format is refused before anything is read
    if args.model and (args.save or args.exclude or args.categorical):
        args.fail("--model decides the columns: no --save, --exclude or --categorical with it")
    if args.model and (args.seed is not None or args.max_time is not None):
        args.fail("--model fits nothing: no --seed or --max-time with it")
    model = _load(args, name, **parameters) if args.model else None
    known = model.schema_.columns if model is not None else ()
    table = _open(args, known)
    return model, table, [column.name for column in known] or _usable(table, args)


def _usable(table: Table, args: argparse.Namespace) -> list[str]:
    """Columns that the model sees; those it cannot use are named to the user."""
    from maetab.report import note_on

    columns = []
    for name in table.names:
        if name in args.exclude:
            continue
        note = note_on(table, name, wanted_columns(args))
        if note is not None and note == table.doubts.get(name):
            raise ValueError(doubted(table, name, args.exclude))
        if note is None:
            columns.append(name)
        else:
            _say(f"column {name!r}: {note}")
    if not columns:
        raise ValueError("there is no column that the model can use")
    return columns


def _targets(wanted: list[str] | None, columns: list[str]) -> list[str]:
    for name in wanted or ():
        if name not in columns:
            raise ValueError(f"column {name!r} cannot be filled: the model does not see it")
    return columns if wanted is None else wanted


def _estimator(args: argparse.Namespace, name: str, **parameters: Any) -> Any:
    """A new estimator of the class `name`."""
    given = {"max_time": args.max_time, "device": args.device}
    parameters |= {key: value for key, value in given.items() if value is not None}
    return getattr(maetab, name)(random_state=args.seed or 0, verbose=1, **parameters)


def _load(args: argparse.Namespace, name: str, **parameters: Any) -> Any:
    """The saved model as an estimator of the class `name`."""
    model = maetab.load(args.model)
    same = type(model).__name__ == name
    if same and list(parameters) == ["contamination"]:  # only moves a threshold
        model.set_params(**parameters).set_threshold(**parameters)
    elif not same or parameters:
        usual = DETECTION if name == "MAEAnomalyDetector" and not same else {}
        model = getattr(maetab, name).from_fitted(model, **(usual | parameters))
    return model if args.device is None else model.set_params(device=args.device)


def _save(model: Any, path: str) -> None:
    maetab.save(model.set_params(verbose=0), path)
    _say(f"model saved to {path}")


def _demo_error(complete: pd.DataFrame, filled: pd.DataFrame, hidden: pd.DataFrame) -> float:
    from maetab.data.schema import infer_schema
    from maetab.evaluation import cell_scores

    scores = cell_scores(complete, filled, hidden, infer_schema(complete), ["rmse"])
    return float(scores["value"].mean())
