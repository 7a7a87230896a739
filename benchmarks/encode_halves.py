"""Linear probes on frozen features, trained and untrained, on both halves of the tables.

    python -m benchmarks.encode_halves --half choosing --trials
    python -m benchmarks.encode_halves --half judging
    python -m benchmarks.encode_halves --report

"untrained" is an encoder that has learned neither which rows are alike nor a network: one step of
tuning, `max_iter=0`. `--trials` adds the readouts that the default was chosen from, made of what
`n_components=None` reads. The file of results is also the record of what is done.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA

from benchmarks import records
from benchmarks.datasets import HALVES, half_of
from benchmarks.encode import Task, make_task
from benchmarks.encodings import ENCODINGS
from benchmarks.impute import version_label
from benchmarks.probe import judge, linear_probe
from maetab import MAEEncoder

GuessOptions = import_module("maetab.nn.guess.options").GuessOptions
blocks_of = import_module("maetab.engine.embedding").blocks_of

LABELS, MISSING = (20, 100, 500), (0.0, 0.2)
PLAIN = ("raw", "piecewise linear", "random Fourier")
UNTRAINED = {"guess": GuessOptions(tuning_steps=1), "max_iter": 0}
KEY = ["data_set", "rows", "seed", "method", "version", "labels", "missing"]
Features = list[np.ndarray]  # of the training rows, then of the test rows per share of missing


def frames(task: Task) -> list[pd.DataFrame]:
    """Return the training rows, and the test rows with each share of missing cells."""
    return [task.train, *task.tests]


def encodings(task: Task, seed: int, trials: bool) -> Iterator[tuple[str, Features]]:
    """Yield the features of each method, by its name."""
    for name in PLAIN:
        encode = ENCODINGS[name](task.train, seed)
        yield name, [encode(frame) for frame in frames(task)]
    for name, options in {"maetab": {}, "untrained": UNTRAINED}.items():
        encoder = MAEEncoder(random_state=seed, **options).fit(task.train)
        yield name, [np.asarray(encoder.transform(frame)) for frame in frames(task)]
        if trials:
            yield from tried(encoder, task, "" if name == "maetab" else "untrained: ")
    without = MAEEncoder(random_state=seed, guess=GuessOptions(key_width=0)).fit(task.train)
    yield "without keys", [np.asarray(without.transform(frame)) for frame in frames(task)]


# ---- trials


def tried(encoder: MAEEncoder, task: Task, prefix: str) -> Iterator[tuple[str, Features]]:
    """Yield the features of readouts that are not the default."""
    whole = MAEEncoder.from_fitted(encoder, n_components=None)
    tokens = MAEEncoder.from_fitted(encoder, n_components=112, readout="mean", add_raw=False)
    read = [np.asarray(whole.transform(frame)) for frame in frames(task)]
    ends = np.cumsum(blocks_of(encoder.model_.config, "concat").sizes)
    cells, keys, own, raw = (list(x) for x in zip(*(np.split(x, ends, 1) for x in read)))
    yield prefix + "encoded input alone", raw
    yield prefix + "keys", beside(own, raw)
    yield prefix + "similarities by cells", beside(principal(cells, 112), raw)
    yield prefix + "similarities by keys", beside(principal(keys, 112), raw)
    both = principal(cells, 64), principal(keys, 64)
    yield prefix + "both similarities", beside(*both, raw)
    yield prefix + "both similarities, principal keys", beside(*both, principal(own, 60), raw)
    yield prefix + "similarities by cells, keys", beside(principal(cells, 128), own, raw)
    yield (
        prefix + "mean token",
        beside([np.asarray(tokens.transform(x)) for x in frames(task)], raw),
    )


def principal(parts: Features, n: int) -> Features:
    """Return the first principal components of the training rows."""
    train = parts[0]
    found = PCA(min(n, len(train) - 1, train.shape[1]), random_state=0).fit(train)
    kept = found.explained_variance_ > 1e-7 * found.explained_variance_[0]
    return [found.transform(part)[:, kept] for part in parts]


def beside(*blocks: Features) -> Features:
    """Return blocks of features side by side."""
    return [np.concatenate(parts, axis=1) for parts in zip(*blocks, strict=True)]


# ---- runs


def run(options: argparse.Namespace) -> None:
    """Make every table and split that is not made yet; append its results when all are there."""
    done = records.done(options.output, ["data_set", "rows", "seed", "version", "trials"])
    version = version_label("maetab", options.tag)
    for seed in range(options.seeds):
        for name in options.data_sets or HALVES[options.half]:
            task = make_task(name, options.rows, seed, MISSING)
            n_rows = len(task.y_train) + len(task.y_test)
            key = {"data_set": name, "rows": n_rows, "seed": seed, "version": version}
            key["trials"] = options.trials
            if tuple(key.values()) in done:
                continue
            lines = [
                key | {"method": method} | line
                for method, features in encodings(task, seed, options.trials)
                for line in probed(task, features)
            ]
            for line in lines:
                records.append(options.output, line, torch.get_num_threads())
            print(*key.values(), flush=True)


def probed(task: Task, features: Features) -> Iterator[dict[str, float]]:
    """Yield a line for each number of labels and share of missing cells.

    Labels that hardly know a second class are passed over: no fold would have both.
    """
    enough = [n for n in LABELS if n < len(task.y_train) and _several(task, n)]
    for labels in enough:
        predict = linear_probe(features[0][:labels], task.y_train[:labels], task.kind)
        for missing, test in zip(MISSING, features[1:], strict=True):
            score = judge(predict(test), task.y_test, task.kind).score
            yield {"labels": labels, "missing": missing, "score": score}


def _several(task: Task, labels: int) -> bool:
    """Return whether so many labels know two classes twice, or are numbers."""
    if task.kind == "regression":
        return True
    return int((np.bincount(task.y_train[:labels]) > 1).sum()) > 1


# ---- report


def read(path: Path) -> pd.DataFrame:
    """Return the lines of the newest version, with the half of each table."""
    lines = pd.DataFrame(records.read(path))
    lines = lines[lines["version"] == lines["version"].iloc[-1]]
    lines = lines.drop_duplicates(KEY, keep="last")
    return lines.assign(half=half_of(lines["data_set"]))


def means(lines: pd.DataFrame, half: str) -> pd.DataFrame:
    """Return methods x mean scores, and how often maetab is higher, by number of labels."""
    some = lines[lines["half"] == half]
    columns = {}
    for labels in sorted(some["labels"].unique()):
        for missing in MISSING:
            part = some[(some["labels"] == labels) & (some["missing"] == missing)]
            scores = part.pivot_table(index=["data_set", "seed"], columns="method", values="score")
            columns[f"{labels} labels, {missing:.0%} missing"] = 100 * scores.mean()
            if not missing:
                columns[f"maetab ahead at {labels}, %"] = 100 * ahead(scores)
    return pd.DataFrame(columns).sort_values(list(columns)[-2], ascending=False)


def ahead(scores: pd.DataFrame) -> pd.Series:
    """Return, per method, the share of the splits in which maetab scores higher, ties half."""
    gap = scores.drop(columns="maetab").rsub(scores["maetab"], axis=0)
    return ((gap > 0) + 0.5 * (gap == 0)).mean()


def report(path: Path) -> str:
    """Return the Markdown of both halves."""
    lines, text = read(path), []
    for half in HALVES:
        some = lines[lines["half"] == half]
        if some.empty:
            continue
        splits = some[["data_set", "seed"]].drop_duplicates()
        text += [
            f"## The {half} half",
            "",
            f"{splits['data_set'].nunique()} tables, {len(splits)} splits of at most "
            f"{some['rows'].max():,} rows: mean score (accuracy or R²) in percent.",
            "",
            records.figures(means(lines, half), 1, "method"),
            "",
        ]
    return "\n".join(text)


def main(argv: list[str] | None = None) -> None:
    """Run what is left to run, and write the Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add: Callable = parser.add_argument
    add("--half", choices=tuple(HALVES), default="choosing")
    add("--data-sets", nargs="+", help="instead of a half")
    add("--rows", type=int, default=1500, help="larger tables are cut to this many rows")
    add("--seeds", type=int, default=1, help="how many splits")
    add("--trials", action="store_true", help="also readouts that are not the default")
    add("--output", type=Path, default=records.RESULTS / "encode_halves.jsonl")
    add("--tag", default="", help="added to maetab's version: a variant gets results of its own")
    add("--report", action="store_true", help="only write the Markdown")
    options = parser.parse_args(argv)
    if not options.report:
        run(options)
    options.output.with_suffix(".md").write_text(report(options.output), encoding="utf-8")


if __name__ == "__main__":
    main()
