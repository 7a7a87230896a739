"""Pages read by the parser of the standard library, and one page that several tests look at."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from maetab import MAEImputer, report
from maetab.nn.guess.options import GuessOptions

VOID = {"meta", "br"}
NAMES = ["<script>alert('x')</script>", "\"quoted\" & 'more'", "👩\u200d🔬 emoji", "n" * 5000]


class Page(HTMLParser):
    """The elements of a page with their attributes, its text, and elements left open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()

    @property
    def text(self) -> str:
        return "".join(part for parts in self.texts.values() for part in parts)

    def of(self, *names: str) -> str:
        """Return the text in elements of these names."""
        return " ".join(" ".join(self.texts.get(name, [])) for name in names)

    def all(self, name: str) -> list[dict]:
        return [given for found, given in self.elements if found == name]

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs), f"an attribute of {tag} stands twice"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)


@pytest.fixture(scope="session")
def read_page():
    def read(text: str) -> Page:
        page = Page(text)
        assert not page.open
        return page

    return read


@pytest.fixture(scope="session")
def hostile():
    """A table of 60 rows whose names and cells are markup, long, and of emoji; some are missing."""
    rng = np.random.default_rng(0)
    size = rng.normal(10, 3, 60)
    levels = np.array(["</td><b>bold", "a&b", "🙂"], dtype=object)[rng.integers(3, size=60)]
    frame = pd.DataFrame(
        {
            NAMES[0]: size,
            NAMES[1]: levels,
            NAMES[2]: 2 * size + rng.normal(size=60),
            NAMES[3]: pd.array(rng.integers(5, size=60), dtype="Int64"),
            "note": [f"<i>note {i}</i>" for i in range(60)],
        }
    )
    for place, count in enumerate((6, 5, 0, 9)):
        rows = rng.choice(60, count, replace=False)
        frame.iloc[rows, place] = pd.NA if place == 3 else None if place == 1 else np.nan
    frame.iloc[7, 2] = 900.0
    return frame


@pytest.fixture(scope="session")
def quick():
    """An imputer whose guess is hardly tuned: here it matters what is shown."""
    guess = GuessOptions(tuning_steps=2, tuning_windows=32, n_metrics=1)
    return MAEImputer(guess=guess, max_iter=0, random_state=0)


@pytest.fixture(scope="session")
def hostile_page(hostile, quick):
    with pytest.warns(UserWarning, match="free text"):
        return report(hostile, quick, title="<script>title</script>", top=3)
