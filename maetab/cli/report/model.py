"""What a saved model is, in lines of text."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping
from typing import Any

from maetab.cli.reading import words_of
from maetab.cli.report.output import listed
from maetab.data.extent import length_text
from maetab.data.timeline import Timeline


def summary(info: Mapping[str, Any]) -> list[str]:
    """Return what a saved model is, as lines that fit on a screen; `info` is from `read_info`."""
    kinds = Counter(info["columns"].values())
    of_kinds = ", ".join(f"{n} {kind}" for kind, n in kinds.items())
    parameters = ", ".join(f"{name}={value}" for name, value in info["parameters"].items())
    versions, read = info["versions"], words_of(info["attributes"].get("reading_", {}))
    lines = [
        f"class: {info['class']}",
        f"written by: maetab {versions['maetab']}, Python {versions['python']}",
        f"columns: {len(info['columns'])} ({of_kinds}): {listed(list(info['columns']), 12)}",
        f"parameters: {parameters}",
        *_series(info.get("timeline")),
        *([f"read with: {' '.join(read)}"] if read else []),
        f"weights: {info['n_weights']} ({info['n_bytes'] / 1e6:.1f} MB)",
        "everything, line by line: --all",
    ]
    return [part for line in lines for part in textwrap.wrap(line, 100, subsequent_indent="  ")]


def _series(timeline: Mapping[str, Any] | None) -> list[str]:
    """Return the line on windows, steps and keys of a model of series."""
    if timeline is None:
        return []
    found = Timeline.from_dict(dict(timeline))
    step = f"of {length_text(1, found)}" if found.regular else "in no regular time"
    facts = [
        f"windows of {found.n_steps} steps {step}",
        f"period {found.period} steps" if found.period else "no period",
        f"time {found.time!r}" if found.time is not None else f"time: index ({found.kind})",
        f"groups {listed(found.groups)}" if found.groups else "one series",
    ]
    return [f"series: {', '.join(facts)}"]


def everything(info: Mapping[str, Any]) -> list[str]:
    """Return all that is known of a saved model; `info` is from `read_info`."""
    lines = []
    for key, value in info.items():
        entries = value.items() if isinstance(value, dict) else ()
        lines += [f"{key}:" if entries else f"{key}: {value}"]
        # the history is long, and of use in Python only
        lines += [f"  {name}: {entry}" for name, entry in entries if name != "history_"]
    return lines
