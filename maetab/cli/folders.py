"""Folders of Parquet or CSV files as input: read part by part, and written to a folder."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from maetab.arrow import import_pyarrow
from maetab.cli import estimators, series
from maetab.cli.report.output import counted, is_first, report_step, say
from maetab.cli.verb_files import check_outputs

# Options that folders have, too; the files tell all else.
ALLOWED = {
    *("verb", "run", "fail", "input", "output", "model", "save", "categorical", "force"),
    *("seed", "preset", "max_time", "checkpoint", "device", "verbose", "components", "readout"),
    *("add_raw", "window", "time", "groups", "max_gap", "edges"),
}
USUAL: tuple = (None, False, [], 0, "utf-8")  # values of options that are not given


def is_folder(args: argparse.Namespace) -> bool:
    """Return whether the input is a folder; other options than folders have are refused then."""
    if args.input == "-" or not Path(args.input).is_dir():
        return False
    from maetab.streams import refuse_others

    series.check(args)
    if len(getattr(args, "time", None) or ()) > 1:
        args.fail(f"{args.input} is a folder: --time must name one column of stamps")
    for name, value in vars(args).items():
        if name not in ALLOWED and value not in USUAL:
            args.fail(f"{args.input} is a folder: no --{name.replace('_', '-')} with it")
    out = Path(args.output)
    if args.output == "-":
        args.fail(f"{args.input} is a folder: pass -o FOLDER, to which the parts are written")
    if out.resolve().is_relative_to(Path(args.input).resolve()):
        args.fail(f"{args.output} lies in {args.input}, and would be read as a part of it")
    if args.save and Path(args.save).resolve().is_relative_to(out.resolve()):
        args.fail(f"{args.save} lies in {args.output}, which is for the parts alone")
    check_outputs(args, args.save)
    refuse_others(out)
    return True


def write(args: argparse.Namespace, name: str, **parameters: Any) -> None:
    """Write what an estimator of the class `name` makes of each file to a folder."""
    import maetab

    began, data = time.perf_counter(), opened(args)
    if args.model:
        estimator = estimators.load_estimator(args, name, **parameters)
    else:
        wanted = {"categorical_features": args.categorical} if args.categorical else {}
        estimator = estimators.new_estimator(args, name, **parameters | wanted).fit(data)
    if args.save and is_first():
        maetab.save(estimator.set_params(verbose=0), args.save)
        say(f"model saved to {args.save}")
    report_step("writing the parts")
    written = estimator.transform(data, to=args.output)
    seconds = time.perf_counter() - began
    what = f"{counted(written.count_rows(), 'row')} in {counted(len(written.files), 'file')}"
    say(f"{what} written to {args.output} in {seconds:.1f} s")


def opened(args: argparse.Namespace) -> Any:
    """Return the files of a folder as a data set of Arrow."""
    pyarrow = import_pyarrow()
    files = sorted(path for path in Path(args.input).rglob("*") if path.is_file())
    suffixes = {path.suffix for path in files if path.name[0] not in "._"}
    forms = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv"}
    if len(suffixes) != 1 or not suffixes <= set(forms):
        found = ", ".join(sorted(suffixes)) or "none"
        raise ValueError(f"{args.input} must hold .parquet or .csv files alone, got {found}")
    form: Any = forms[suffixes.pop()]
    if form == "csv":  # text that is empty is missing, as in a single file
        how = pyarrow.csv.ConvertOptions(strings_can_be_null=True)
        form = pyarrow.dataset.CsvFileFormat(convert_options=how)
    how = {"format": form, "partitioning": "hive"}
    found = pyarrow.dataset.dataset(args.input, **how)
    # Arrow looks at the first file alone, in which a column may be empty, or of whole numbers.
    kinds = [found.schema, *(fragment.physical_schema for fragment in found.get_fragments())]
    whole = pyarrow.unify_schemas(kinds, promote_options="permissive")
    return pyarrow.dataset.dataset(args.input, schema=whole, **how)
