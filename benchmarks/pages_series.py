"""The result page on series: gaps filled, stretches found, windows as features."""

from __future__ import annotations

import pandas as pd

from benchmarks import (
    records,
    report,
    series,
    series_detect,
    series_features,
    series_speed,
    series_wide,
)
from benchmarks.markup import figures, origin, page, said, table, title
from benchmarks.records import RESULTS
from benchmarks.series_data import CHOOSING, JUDGING, PATTERNS
from benchmarks.series_windows import LENGTH

METHODS = {
    "maetab": "maetab",
    "prior": "maetab, first guess alone",
    "linear": "linear interpolation",
    "spline": "cubic spline",
    "locf": "last value carried forward",
    "knn": "KNNImputer (10 neighbours)",
    "extratrees": "chained ExtraTrees on lags",
    "helix": "HELIX (PyPOTS)",
    "saits": "SAITS (PyPOTS)",
    "saits-small": "SAITS, the settings of PyPOTS' README",
}
DATA_SETS = {
    "etth1": "ETT_h1",
    "italian": "Italian air",
    "beijing": "Beijing, one site",
    "nh4": "NH4",
    "exchange": "exchange rates",
    "etth1-val": "ETT_h1, validation part",
}
# MAE on other draws of the same patterns: github.com/milaogou/HELIX, results_csv, five seeds.
PUBLISHED = {
    "HELIX, as published": {
        "point10": 0.128, "point50": 0.223, "point90": 0.429, "subseq": 0.489, "block": 0.372,
    },
    "SAITS, as published": {
        "point10": 0.150, "point50": 0.208, "point90": 0.440, "subseq": 0.620, "block": 0.422,
    },
    "linear, as published": {
        "point10": 0.197, "point50": 0.267, "point90": 0.616, "subseq": 0.722, "block": 0.527,
    },
}  # fmt: skip
PROBE = {"24": 0.322, "48": 0.354}  # MSE, arXiv:2211.14730, table of the linear probe
SECONDS = (
    "CPU seconds of fit and fill, means over the patterns. Those of maetab were taken beside other "
    "work on the same cores; on idle ones they were two thirds of that:"
)


# ---- filling


def runs() -> pd.DataFrame:
    """Return the runs of benchmarks.series that count."""
    lines = pd.DataFrame(records.read(RESULTS / "series.jsonl"))
    lines = lines.reindex(columns=[*lines.columns, *({"error", "coverage"} - set(lines.columns))])
    return records.newest(lines, series.KEY)


def errors(lines: pd.DataFrame, metric: str = "mae") -> pd.DataFrame:
    """Return methods x patterns."""
    wide = lines.pivot_table(index="method", columns="pattern", values=metric)
    patterns = [p for p in (*PATTERNS, "own") if p in wide]
    return wide.loc[[m for m in METHODS if m in wide.index], patterns]


def error_table(lines: pd.DataFrame, metric: str = "mae", published: bool = False) -> str:
    """Return methods x patterns as a table, with what was published."""
    wide = errors(lines, metric).rename(index=METHODS)
    if published:
        wide = pd.concat([wide, pd.DataFrame(PUBLISHED).T[list(wide)]])
    return figures(wide, 3)


def against_linear(lines: pd.DataFrame) -> str:
    """Return by setting and method the errors as multiples of linear interpolation's."""
    cells = ["data_set", "pattern", "setting"]
    wide = lines[lines["mae"].notna()].pivot_table(index=cells, columns="method", values="mae")
    rows = []
    for setting in series.SETTINGS:
        for method, shown in METHODS.items():
            part = wide[wide.index.get_level_values("setting") == setting]
            if method == "linear" or method not in part or part[method].notna().sum() == 0:
                continue
            ratio = (part[method] / part["linear"]).dropna()
            worst = ratio.idxmax()
            rows.append(
                [f"{shown}, {setting}", f"{report.geometric_mean(ratio):.3f}",
                 f"{(ratio < 1).sum()} of {len(ratio)}",
                 f"{ratio.max():.3f} ({DATA_SETS[worst[0]]}, {worst[1]})"]
            )  # fmt: skip
    return table(["MAE divided by linear's", "mean", "better on", "worst"], rows)


def share_of_network(lines: pd.DataFrame) -> list[str]:
    """Return what the network brings over the first guess, by pattern, if both were run."""
    if not {"maetab", "prior"} <= set(lines["method"]):
        return []
    wide = lines.pivot_table(
        index=["pattern", "data_set", "setting"], columns="method", values="mae"
    )
    ratio = (wide["maetab"] / wide["prior"]).dropna()
    shares = [
        f"{1 - report.geometric_mean(part):.1%} ({pattern})"
        for pattern, part in ratio.groupby(level="pattern", sort=False)
    ]
    return [f"What the network takes off the first guess's MAE, by pattern: {said(shares)}."]


def intervals(lines: pd.DataFrame) -> list[str]:
    """Return CRPS and coverage of maetab's intervals by data set and pattern."""
    ours = lines[lines["coverage"].notna()]
    if ours.empty:
        return []
    rows = [
        [f"{DATA_SETS[r.data_set]}, {r.pattern}, {r.setting}, {METHODS[r.method]}",
         f"{r.mae:.3f}", f"{r.crps:.3f}", f"{r.coverage:.3f}", f"{r.width:.2f}"]
        for r in ours.itertuples()
    ]  # fmt: skip
    return [
        title("Intervals", "-"),
        "CRPS, share of the hidden cells inside the 90 % interval, and its mean width. A method "
        "without intervals has its MAE for CRPS.",
        table(["", "MAE", "CRPS", "inside", "width"], rows),
    ]


def seconds(lines: pd.DataFrame) -> str:
    """Return CPU seconds of fit and of fill by data set, means over the patterns."""
    spent = lines[lines["error"].isna() & (lines["setting"] == "windows")]
    both = spent.assign(total=spent["fit_seconds"] + spent["fill_seconds"])
    wide = both.pivot_table(index="method", columns="data_set", values="total")
    wide = wide.loc[[m for m in METHODS if m in wide.index], [d for d in DATA_SETS if d in wide]]
    return figures(wide.rename(index=METHODS, columns=DATA_SETS), 1)


def failures(lines: pd.DataFrame) -> list[str]:
    """Return a sentence on runs that failed."""
    failed = lines[lines["error"].notna()]
    told = [
        f"{METHODS[r.method]} on {DATA_SETS[r.data_set]}, {r.pattern} ({r.error})"
        for r in failed.itertuples()
    ]
    return [f"Failed: {said(told)}."] if told else []


def filling() -> list[str]:
    """Return the part on gaps."""
    lines = runs()
    inside, course = (lines[lines["setting"] == setting] for setting in series.SETTINGS)
    own = lines[lines["pattern"] == "own"]
    parts = [
        "Hidden cells of series, MAE in standard deviations of the training part, every method on "
        "the same cells. Patterns are TSI-Bench's, drawn as PyGrinder draws them: points (10, 50, "
        "90 %), one gap of three quarters of a window in two thirds of the windows and columns "
        "(subseq), and blocks of six steps and columns that hide about half. The part that teaches "
        f"has holes of the same pattern. {origin(lines)}",
        title("Windows on their own", "-"),
        "Each window of the judged part is filled alone, as in TSI-Bench (ETT_h1: 48 steps, 7 "
        "columns, 14 months to learn from). Networks learn from windows side by side and stop by "
        "a further part; maetab learns from the course that these windows make up and knows its "
        "stamps, and does not see that further part. Published figures are of other draws of the "
        "masks.",
    ]
    for name in (*JUDGING, *CHOOSING):
        part = inside[(inside["data_set"] == name) & (inside["pattern"] != "own")]
        if len(part):
            note = " (settings were chosen here)" if name in CHOOSING else ""
            parts += [f"{DATA_SETS[name]}{note}:", error_table(part, published=name == "etth1")]
    parts += [
        "RMSE on ETT_h1:",
        error_table(inside[inside["data_set"] == "etth1"], "rmse"),
        title("The whole course", "-"),
        "The same cells when the method sees the whole judged part:",
    ]
    for name in (*JUDGING, *CHOOSING):
        part = course[(course["data_set"] == name) & (course["pattern"] != "own")]
        parts += [f"{DATA_SETS[name]}:", error_table(part)] if len(part) else []
    parts += ["NH4 with the gaps that it came with:", error_table(own)] if len(own) else []
    parts += [against_linear(lines), *share_of_network(lines), *intervals(lines)]
    parts += [title("Seconds", "-"), SECONDS]
    return [*parts, seconds(lines), *failures(lines)]


# ---- stretches and single values


def detection() -> list[str]:
    """Return the part on anomalies."""
    lines = records.newest(
        pd.DataFrame(records.read(RESULTS / "series_detect.jsonl")), series_detect.KEY
    )
    found = lines[lines["experiment"] == "stretches"]
    rows = []
    for which in ("all", "judging", "choosing"):
        part = found if which == "all" else found[found["half"] == which]
        means = series_detect.summary(part, ("vus_pr", "auc_pr"))
        for method, r in means.iterrows():
            rows.append(
                [f"{method}, {which} ({part['series'].nunique()})",
                 f"{r['vus_pr']:.3f} ({r['vus_pr rank']:.2f})",
                 f"{r['auc_pr']:.3f} ({r['auc_pr rank']:.2f})"]
            )  # fmt: skip
    planted = lines[lines["experiment"] == "planted"]
    wide = planted.pivot_table(index="method", columns="size", values=["first", "top5"])
    n_cases = len(planted.drop_duplicates(["series", "seed", "size"]))
    words = {"first": "first", "top5": "among five"}
    wide.columns = [f"{words[metric]}, {size:.0f} times the noise" for metric, size in wide.columns]
    per_set = series_detect.table(found, "vus_pr").rename(index=lambda name: name.split("/")[1])
    return [
        title("Strange stretches", "-"),
        f"{found['series'].nunique()} labelled series of the Numenta benchmark, scored as a whole, "
        "without labels. Mean (and average rank) of VUS-PR and AUC-PR; buffers of VUS-PR and "
        "windows are as long as the autocorrelation says, and the peers' settings are TSB-AD's. "
        f"Settings of maetab were chosen on every other series. {origin(found)}",
        table(["", "VUS-PR", "AUC-PR"], rows),
        "VUS-PR, series by series:",
        figures(per_set, 3, "series"),
        title("Single wrong values", "-"),
        f"One value of a series is moved by some times the local noise ({n_cases} cases in "
        f"{planted['series'].nunique()} series). Share of the cases in which its stamp "
        "ranks first, or among the first five, of those outside labelled stretches:",
        figures(wide, 3),
    ]  # fmt: skip


# ---- features


def probes() -> list[str]:
    """Return the part on features of windows."""
    lines = records.newest(
        pd.DataFrame(records.read(RESULTS / "series_features.jsonl")), series_features.KEY
    )
    lines = lines[lines["method"].notna()]
    ahead = lines[lines["experiment"] == "forecast"]
    errors = ahead.pivot_table(index="method", columns="task", values="mse")
    errors.loc["PatchTST, linear probe as published"] = pd.Series(PROBE)
    errors.columns = [f"next {hours} hours" for hours in errors]
    classes = lines[lines["experiment"] == "classes"]
    right = classes.pivot_table(index="method", columns="task", values="accuracy")
    return [
        title("Features of windows", "-"),
        "Mean squared error of a ridge from the features of the last "
        f"{LENGTH} hours of ETT_h1 to what follows; the penalty is chosen on the validation part. "
        '"By column" is one ridge that all columns share, each from its own window (of maetab, '
        "each is a series of its own, in long format); PatchTST looks back 512 hours in the same "
        "way. "
        f"{origin(ahead)}",
        figures(errors, 3),
        f"Two classes from {series_features.N_LABELS} labels each, balanced accuracy of a logistic "
        f"probe, mean over {series_features.N_DRAWS} draws of the labels:",
        figures(right, 3),
    ]


# ---- size


def wide() -> list[str]:
    """Return the part on windows of many columns."""
    found = pd.DataFrame(records.read(RESULTS / "series_wide.jsonl"))
    found = found.drop_duplicates([*series_wide.KEY], keep="last")
    parts = [
        title("Windows of many columns", "-"),
        "Stretches of one series side by side as columns. MAE of the first guess divided by that "
        'of linear interpolation, on windows of steps x columns. "Before" is an earlier version, '
        f"which guessed such windows as rows of a table are. {origin(found)}",
    ]
    for half, sources in series_wide.SOURCES.items():
        lines = found[found["source"].isin(sources)]
        named = lines.assign(series=lines["source"].map(DATA_SETS))
        ratios = named.pivot_table(
            index=["shape", "series", "code"], columns="pattern", values="ratio", sort=False
        )
        if len(ratios):
            ratios.index = [", ".join(told) for told in ratios.index]
            chosen = " (settings were chosen here)" if half == "choosing" else ""
            parts += [f"The {half} sets{chosen}:", figures(ratios, 3)]
    return parts


def size() -> list[str]:
    """Return the part on time and memory."""
    found = pd.DataFrame(records.read(RESULTS / "series_speed.jsonl"))
    if found.empty:
        return []
    found = found.drop_duplicates([*series_speed.KEY], keep="last")
    rows = [
        [f"{r.rows:,} rows x {r.columns} in {r.series:,} series, windows of {r.window}, {r.gaps}, "
         + ("first guess alone" if r.max_iter == 0 else "networks as by default"),
         f"{r.fit_seconds:.0f}", f"{r.transform_seconds:.0f}", f"{r.peak_mib:,.0f}"]
        for r in found.itertuples()
    ]  # fmt: skip
    return [
        title("Time and memory", "-"),
        "CPU seconds of fit and of transform of the same rows, a fifth of whose cells is missing "
        "as points or as runs of up to 96 steps, and the memory that the process held at most, in "
        f"MiB. {origin(found)}",
        table(["", "fit", "transform", "MiB"], rows),
    ]


def series_page() -> str:
    """Return the page on series."""
    return page("Series", *filling(), *wide(), *size(), *detection(), *probes())
