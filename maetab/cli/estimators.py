"""The model of a verb: fitted to its file or read from another one, and the columns it sees."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import maetab
from maetab.cli import series
from maetab.cli.options import DETECTION
from maetab.cli.reading import recall, remember
from maetab.cli.report.output import is_first, listed, say
from maetab.cli.verb_files import check_outputs, format_out, open_table, wanted_columns

if TYPE_CHECKING:
    import pandas as pd

    from maetab.files.tables import TableFile


class Job(NamedTuple):
    """What a verb works on.

    model : saved model or None
    table : the input
    columns : those of it that the model sees, without time and groups
    frame : what an estimator reads: these columns, time and groups
    """

    model: Any
    table: TableFile
    columns: list[str]
    frame: pd.DataFrame


def prepare(args: argparse.Namespace, name: str, **parameters: Any) -> Job:
    """Return the saved model or None, the input, and what the model sees of it.

    Parameters
    ----------
    name : class of the model; one of another class hands over what it has learned
    parameters : of that class, where they differ from those of the saved model
    """
    check_outputs(args, args.output, args.save)
    format_out(args)  # an output of no known format is refused before anything is read
    if args.model and (args.save or args.exclude or args.categorical):
        args.fail("--model decides the columns: no --save, --exclude or --categorical with it")
    of_fit = args.seed, args.max_time, args.preset, args.checkpoint
    if args.model and of_fit != (None,) * 4:
        args.fail("--model fits nothing: no --seed, --max-time, --checkpoint or --preset with it")
    series.check(args)
    model = load_estimator(args, name, **parameters) if args.model else None
    known = model.schema_.columns if model is not None else ()
    table, keys = open_table(args, known, series.keys_of(args, model))
    columns = [column.name for column in known if column.name not in (keys.stamp(), *keys.names())]
    columns = columns or usable_columns(table, args, keys.names())
    frame = series.frame_of(table, columns, keys)
    if model is not None and keys.time:  # in the order of the fit
        frame = frame[[name for name in model.feature_names_in_ if name in frame]]
    return Job(model, table, columns, frame)


def usable_columns(
    table: TableFile, args: argparse.Namespace, keys: Sequence[str] = ()
) -> list[str]:
    """Return the columns that the model sees, and say why it cannot use the others.

    keys : columns that are times and groups, and no values
    """
    from maetab.cli.report.table import note_on

    columns: list[str] = []
    noted: dict[str, list[str]] = {}
    for name in table.names:
        if name in args.exclude or (name in keys and name not in table.doubts):
            continue
        note = note_on(table, name, wanted_columns(args))
        if note is not None and note == table.doubts.get(name):
            others = [other for other in table.doubts if other not in (name, *args.exclude)]
            more = f"; see maetab describe for {listed(others)}, too" if others else ""
            raise ValueError(f"column {name!r}: {note}{more}")
        if note is not None:
            noted.setdefault(note, []).append(name)
        elif name not in keys:
            columns.append(name)
    for note, names in noted.items():
        left = note if len(names) == 1 else note.replace("as it is", "as they are")
        say(f"column{'s' * (len(names) > 1)} {listed(names)}: {left}")
    if not columns:
        beside = " beside times and groups" if keys else ""
        raise ValueError(f"there is no column that the model can use{beside}")
    return columns


def given(**values: Any) -> dict[str, Any]:
    """Return what the command names: the values that are not None."""
    return {key: value for key, value in values.items() if value is not None}


def new_estimator(args: argparse.Namespace, name: str, **parameters: Any) -> Any:
    """Return a new estimator of the class `name`."""
    if getattr(args, "window", None) is not None:
        parameters |= {"window": args.window, **series.keys_of(args).parameters()}
    parameters |= given(max_time=args.max_time, preset=args.preset, device=args.device)
    parameters |= given(checkpoint=getattr(args, "checkpoint", None))
    verbose = int(is_first())
    return getattr(maetab, name)(random_state=args.seed or 0, verbose=verbose, **parameters)


def load_estimator(args: argparse.Namespace, name: str, **parameters: Any) -> Any:
    """Return the saved model as an estimator of the class `name`."""
    model = maetab.load(args.model)
    recall(args, model)
    same = type(model).__name__ == name
    if same and list(parameters) == ["contamination"]:  # only moves a threshold
        model.set_params(**parameters).set_threshold(**parameters)
    elif not same or parameters:
        usual = DETECTION if name == "MAEAnomalyDetector" and not same else {}
        model = getattr(maetab, name).from_fitted(model, **(usual | parameters))
    return model if args.device is None else model.set_params(device=args.device)


def save(model: Any, args: argparse.Namespace, table: TableFile) -> None:
    """Save a model where that is asked for, without the reports to the command line."""
    if args.save:
        remember(model, args, table)
        maetab.save(model.set_params(verbose=0), args.save)
        say(f"model saved to {args.save}")
