"""The model of a verb: fitted to its file or read from another one, and the columns it sees."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import maetab
from maetab.cli.options import DETECTION
from maetab.cli.report.output import listed, say
from maetab.cli.verb_files import check_outputs, format_out, open_table, wanted_columns

if TYPE_CHECKING:
    from maetab.files.tables import TableFile


def prepare(
    args: argparse.Namespace, name: str, **parameters: Any
) -> tuple[Any, TableFile, list[str]]:
    """Return the saved model or None, the input, and the columns of it that the model sees.

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
    model = load_estimator(args, name, **parameters) if args.model else None
    known = model.schema_.columns if model is not None else ()
    table = open_table(args, known)
    return model, table, [column.name for column in known] or usable_columns(table, args)


def usable_columns(table: TableFile, args: argparse.Namespace) -> list[str]:
    """Return the columns that the model sees, and say why it cannot use the others."""
    from maetab.cli.report.table import note_on

    columns = []
    for name in table.names:
        if name in args.exclude:
            continue
        note = note_on(table, name, wanted_columns(args))
        if note is not None and note == table.doubts.get(name):
            others = [other for other in table.doubts if other not in (name, *args.exclude)]
            more = f"; see maetab describe for {listed(others)}, too" if others else ""
            raise ValueError(f"column {name!r}: {note}{more}")
        if note is None:
            columns.append(name)
        else:
            say(f"column {name!r}: {note}")
    if not columns:
        raise ValueError("there is no column that the model can use")
    return columns


def given(**values: Any) -> dict[str, Any]:
    """Return what the command names: the values that are not None."""
    return {key: value for key, value in values.items() if value is not None}


def new_estimator(args: argparse.Namespace, name: str, **parameters: Any) -> Any:
    """Return a new estimator of the class `name`."""
    parameters |= given(max_time=args.max_time, device=args.device)
    return getattr(maetab, name)(random_state=args.seed or 0, verbose=1, **parameters)


def load_estimator(args: argparse.Namespace, name: str, **parameters: Any) -> Any:
    """Return the saved model as an estimator of the class `name`."""
    model = maetab.load(args.model)
    same = type(model).__name__ == name
    if same and list(parameters) == ["contamination"]:  # only moves a threshold
        model.set_params(**parameters).set_threshold(**parameters)
    elif not same or parameters:
        usual = DETECTION if name == "MAEAnomalyDetector" and not same else {}
        model = getattr(maetab, name).from_fitted(model, **(usual | parameters))
    return model if args.device is None else model.set_params(device=args.device)


def save(model: Any, args: argparse.Namespace) -> None:
    """Save a model where that is asked for, without the reports to the command line."""
    if args.save:
        maetab.save(model.set_params(verbose=0), args.save)
        say(f"model saved to {args.save}")
