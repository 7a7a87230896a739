"""The result pages on rows: anomalies, features, and a target as one more hidden cell."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from benchmarks import detect, detect_weights, detectors, encode, encode_halves, labels, records
from benchmarks.datasets import HALVES
from benchmarks.markup import figures, origin, page, said, table, title
from benchmarks.records import RESULTS

ENCODERS = {
    "maetab": "maetab",
    "maetab, 512 components": "maetab, ``n_components=512``",
    "random encoder": "untrained network, same first guess",
    "maetab, swap noise": "maetab, ``swap_ratio`` above 0",
    "piecewise linear": "piecewise linear",
    "random Fourier": "random Fourier",
    "PCA": "PCA",
    "raw": "raw",
    "fine-tuned": "fine-tuned network",
    "boosted trees": "boosted trees",
}


# ---- anomalies


def anomaly_lines() -> pd.DataFrame:
    """Return the results that count of benchmarks.detect, of tasks that maetab has done."""
    lines = records.newest(pd.DataFrame(records.read(RESULTS / "detect.jsonl")), detect.KEY)
    task = ["data_set", "experiment", "seed"]
    return lines.merge(lines.loc[lines["method"] == "maetab", task].drop_duplicates(), on=task)


def anomaly_table(lines: pd.DataFrame) -> str:
    """Return methods x means and ranks of three experiments."""
    names = {
        "one-class": "learned from normal rows",
        "contaminated": "learned from all rows",
        "missing": "a fifth of the test cells missing",
    }
    found = {e: detect.summary(lines[lines["experiment"] == e], ("auroc", "ap")) for e in names}
    header = ["", *(f"{name}: {metric}" for name in names.values() for metric in ("AUROC", "AP"))]
    rows = [
        [method, *(
            f"{means.at[method, metric]:.1f} ({means.at[method, metric + ' rank']:.1f})"
            for means in found.values() for metric in ("auroc", "ap")
        )]
        for method in found["one-class"].index
    ]  # fmt: skip
    return table(header, rows)


def auroc_table(lines: pd.DataFrame) -> str:
    """Return sets x methods, in percent."""
    scores = 100 * detect.table(lines, "auroc").rename(index=set_name)
    first = scores.pop("maetab")
    scores.insert(0, "maetab", first)
    return figures(scores, 1, "set")


def behind(lines: pd.DataFrame, experiment: str) -> str:
    """Return the sets on which maetab is a point of AUROC or more behind the best other."""
    scores = 100 * detect.table(lines[lines["experiment"] == experiment], "auroc")
    peers = scores.drop(columns="maetab")
    gap, best = (peers.max(axis=1) - scores["maetab"]).round(1), peers.idxmax(axis=1)
    return said(f"{set_name(name)} ({best[name]}, {gap[name]:.1f})" for name in gap.index[gap >= 1])


def set_name(name: str) -> str:
    return name.partition("_")[2]


def losses_by_holes(lines: pd.DataFrame) -> str:
    """Return the mean points of AUROC that each method loses by missing cells."""
    whole, holed = (
        detect.table(lines[lines["experiment"] == e], "auroc") for e in ("one-class", "missing")
    )
    fall = (100 * (whole - holed)).dropna().mean().sort_values()
    return said(f"{method} {points:.1f}" for method, points in fall.items())


def planted(lines: pd.DataFrame) -> str:
    """Return how often each cell score ranks a planted cell first."""
    scores = lines[lines["experiment"] == "planted"]
    means = detect.summary(scores, ("first",))
    per_set = detect.table(scores, "first")
    ahead = int((per_set["maetab"] > per_set["knn-residual"]).sum())
    named = {"maetab": "``score_cells``", "knn-residual": "residuals from the five nearest rows",
             "zscore": "z-scores"}  # fmt: skip
    shown = [
        f"{named[m]} {means.at[m, 'first']:.1f} % (rank {means.at[m, 'first rank']:.2f})"
        for m in named
    ]
    return (
        f"Of one wrong cell per row, planted from another row, the share that ranks first in its "
        f"row (mean of {len(per_set)} sets): {said(shown)}. Set by set ``score_cells`` is ahead of "
        f"the nearest rows on {ahead}."
    )


def anomalies() -> str:
    """Return the page on strange rows and cells."""
    lines = anomaly_lines()
    n = lines[lines["experiment"] == "one-class"].groupby("data_set")["seed"].nunique()
    seeds = f"{(n > 1).sum()} of them split with {n.max()} seeds" if n.max() > 1 else "one split"
    complete = len(detect.table(lines[lines["experiment"] == "one-class"], "auroc").dropna())
    per_set = [
        part
        for experiment in ("one-class", "contaminated", "missing")
        for part in (
            f"AUROC in percent, {experiment}:",
            auroc_table(lines[lines["experiment"] == experiment]),
        )
    ]
    return page(
        "Anomalies",
        f"Sets of ADBench, at most {detect.ROWS:,} rows each, {seeds}. Means in percent over "
        f"the {complete} sets that every method finished (MCD did not finish InternetAds in "
        f"{detect.LIMIT} s), in brackets the mean rank. {origin(lines)}",
        anomaly_table(lines),
        "kNN-5 is the distance to the fifth neighbour, DTE-NP the mean squared distance to five; "
        "IsolationForest, LOF and OCSVM are scikit-learn's, ECOD, MCD, PCA and DeepSVDD PyOD's, at "
        "their defaults. They get medians for missing cells and standardised columns. AP is the "
        "average precision. Where rows of both kinds are learned from, maetab gets "
        f"``trim={detectors.TRIM}``.",
        "The weights and shares of maetab's score were chosen on these sets, so its lead is "
        "somewhat flattered; below they are chosen without the set. Networks are off by default "
        "(``max_iter=0``); these figures are without.",
        title("Parts and weights", "-"),
        weights(),
        title("Where maetab loses", "-"),
        "By at least one point of AUROC to the best of all others (which, and by how much). "
        f"Learned from normal rows: {behind(lines, 'one-class')}. Learned from all rows: "
        f"{behind(lines, 'contaminated')}.",
        title("What missing cells cost", "-"),
        "Points of AUROC lost when a fifth of the test cells is missing: "
        f"{losses_by_holes(lines)}.",
        title("Single cells", "-"),
        planted(lines),
        title("Single sets", "-"),
        *per_set,
    )


def weights() -> str:
    """Return what is reached with weights that are chosen on the other sets."""
    lines = detect_weights.read(RESULTS / "detect_weights.jsonl")
    found, n_sets, told = detect_weights.summary(lines)
    shown = found[~found.index.str.contains(":")]
    n = lines.groupby("data_set")["seed"].nunique()
    seeds = f"of which {(n > 1).sum()} are split twice" if n.max() > 1 else "split once"
    return "\n\n".join([
        "The score weighs how much cells surprise, the distance to the nearest rows and to the "
        "nearest keys of row attention, and how dense neighbours lie. Weights that are best on all "
        f"other sets, for each of {n_sets} sets of at most {detect_weights.MOST_ROWS:,} rows, "
        f"{seeds}, with keys and without; means in percent:",
        figures(shown, 1),
        f"{told} (A choice is the neighbours by keys, then the weights of the nearest rows, of "
        "keys, of how dense neighbours lie, where rows are trimmed of a robust distance, and of a "
        "single rare cell; cells weigh 1.)",
    ])  # fmt: skip


# ---- features


def probe_table(lines: pd.DataFrame) -> str:
    """Return methods x mean scores by labels and missing cells."""
    wide = lines.pivot_table(index="method", columns=["missing", "labels"], values="score")
    order = [(m, n) for m in encode.MISSING for n in ("100", "500", "all")]
    names = [f"{n}, {m:.0%}" for m, n in order]
    wide = wide[order].set_axis(names, axis=1).loc[[m for m in ENCODERS if m in wide.index]]
    return figures(wide.rename(index=ENCODERS), 3)


def win_table(lines: pd.DataFrame) -> str:
    """Return by labels how often maetab scores higher than each on complete rows, in percent."""
    whole = lines[lines["missing"] == 0]
    scores = whole.pivot_table(
        index=["labels", "data_set", "seed"], columns="method", values="score"
    )
    higher = scores.drop(columns="maetab").lt(scores["maetab"], axis=0)
    shares = 100 * higher.groupby("labels").mean().T
    order = [m for m in ENCODERS if m in shares.index]
    return figures(shares.loc[order].rename(index=ENCODERS), 0, "maetab ahead of, %")


def halves() -> list[str]:
    """Return the paragraphs on features of trained and untrained encoders, on both halves."""
    lines = encode_halves.read(RESULTS / "encode_halves.jsonl")
    parts = [
        "A linear probe on frozen features, learned from 20, 100 or 500 labels. What the features "
        'are was chosen on one half of the tables. "Untrained" is an encoder that has learned '
        'neither which rows are alike nor a network; "without keys" reads tokens and '
        "similarities by cells, as maetab 0.1.0 did. Mean score (accuracy or R²) in percent, and "
        "the share of the splits in which maetab scores higher, ties half. " + origin(lines)
    ]
    for half in HALVES:
        some = lines[lines["half"] == half]
        splits = len(some[["data_set", "seed"]].drop_duplicates())
        about = f"{some['data_set'].nunique()} tables, {splits} splits, {some['rows'].max():,} rows"
        parts += [
            f"The {half} half ({about} at most):",
            figures(encode_halves.means(lines, half), 1),
        ]
    return parts


def features() -> str:
    """Return the page on frozen features."""
    small, large = (
        encode.of_all_methods(RESULTS / "encode.jsonl"),
        encode.of_all_methods(RESULTS / "encode_large.jsonl"),
    )
    many = small[small["labels"] == "500"]["data_set"].nunique()
    return page(
        "Features",
        *halves(),
        title("All methods, as of maetab 0.1.0", "-"),
        "Before there were keys: components were of tokens of a network and of similarities by "
        "cells.",
        f"A linear probe on frozen features: {small['data_set'].nunique()} tables of at most "
        f"{small['rows'].max():,} rows ({many} of them have more than 500 labels to learn from), "
        f"{small['seed'].nunique()} splits. Mean score (accuracy or R²); each column names the "
        "number of labels and the share of cells missing in the test rows. How the components are "
        f"split between tokens and similarities was chosen on these tables. {origin(small)}",
        probe_table(small),
        '"Piecewise linear" steps through quantiles; "raw" is medians, standardised, and '
        'indicators, from which "random Fourier" and "PCA" start. The fine-tuned network and '
        "the boosted trees (HistGradientBoosting) learn from the table and its labels, without a "
        "probe.",
        "Share of the splits, complete rows, in which maetab scores higher:",
        win_table(small),
        "An untrained network in the place of the trained one scored the same: training brought "
        "nothing measurable to these features.",
        title("Larger tables", "-"),
        f"{large['data_set'].nunique()} tables of up to {large['rows'].max():,} rows, "
        f"{encode.TRAIN_SHARE:.0%} to learn from, {large['seed'].nunique()} splits. "
        f"{origin(large)}",
        probe_table(large),
    )


def target() -> str:
    """Return the page on a target that is predicted as one more hidden cell."""
    lines = records.newest(pd.DataFrame(records.read(RESULTS / "predict.jsonl")), encode.KEY)
    n_methods = lines.groupby(["data_set", "seed"])["method"].transform("nunique")
    lines = lines[n_methods == lines["method"].nunique()]
    wide = lines.pivot_table(index="method", columns="missing", values="score")
    wide = wide.set_axis([f"{share:.0%}" for share in wide], axis=1)
    wide = wide.rename(index={"hidden cell": "``MAEImputer``"}).sort_index()
    return page(
        "A target as one more hidden cell",
        "The target is one more column of the table that ``MAEImputer`` learns from; in test rows "
        f"it is missing. {lines['data_set'].nunique()} tables, {lines['seed'].nunique()} splits; "
        f"mean score (accuracy or R²) by the share of inputs missing. {origin(lines)}",
        figures(wide, 3),
        title("Few labels", "-"),
        "``MAEClassifier`` and ``MAERegressor`` and the encoding behind the linear method know the "
        "other rows without a label; all others know the labelled rows alone. How the map of "
        "features is weighed was chosen on the half called choosing. CatBoost and RealMLP (of the "
        "package pytabkit) have their defaults; for RealMLP missing numbers are medians.",
        *_few_labels(),
    )


def _few_labels() -> Iterator[str]:
    """Give mean scores of benchmarks.labels by half of the tables, and of larger tables."""
    large = encode.of_all_methods(RESULTS / "labels_large.jsonl")
    named = [(f"The {half} half", part) for half, part in labels.halves(RESULTS / "labels.jsonl")]
    for name, part in [*named, (f"Larger tables ({said(sorted(set(large['data_set'])))})", large)]:
        yield (
            f"{name}, at most {part['rows'].max():,} rows, one split; tables by labels: "
            f"{labels.counts(part)}. Mean score (accuracy or R²). {origin(part)}"
        )
        wide = labels.means(part, "score")
        yield figures(wide.sort_values(wide.columns[0], ascending=False), 3)
    yield (
        "Of the 7,398 to 9,000 training rows of the larger tables maetab remembers 4,096. Seconds "
        "of fit and of the three predictions there, of maetab beside other work:"
    )
    yield figures(labels.means(large, "seconds").filter(like=" 0% "), 1)
