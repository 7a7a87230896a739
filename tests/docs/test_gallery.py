"""The examples of the gallery: they stand in it, and their figures are computed, not written."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

GALLERY = Path(__file__).resolve().parents[2] / "docs" / "gallery"
EXAMPLES = sorted(GALLERY.glob("*.py"))


def name_of(path: Path) -> str:
    return path.name


def text_of(path: Path) -> str:
    """The docstring and the comments that become the page."""
    source = path.read_text(encoding="utf-8")
    lines = re.findall(r"^# (?!%%)(.*)$", source, re.MULTILINE)
    return "\n".join([ast.get_docstring(ast.parse(source)) or "", *lines])


@pytest.mark.parametrize("path", EXAMPLES, ids=name_of)
def test_an_example_is_found_has_a_title_and_uses_maetab(path):
    assert path.name.startswith("plot_"), "the gallery runs only files of this name"
    title, line, *_ = text_of(path).splitlines()
    assert title and set(line) == {"="} and len(line) >= len(title)
    assert "from maetab import" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", EXAMPLES, ids=name_of)
def test_measured_figures_are_printed_by_the_example_and_not_typed(path):
    assert not re.findall(r"\d\.\d{2,}", text_of(path))


@pytest.mark.parametrize("path", EXAMPLES, ids=name_of)
def test_examples_and_pages_that_an_example_names_are_there(path):
    for target in re.findall(r":doc:`([^`]+)`", text_of(path)):
        base = GALLERY.parent if target.startswith("/") else GALLERY
        page = base / target.lstrip("/")
        assert page.with_suffix(".rst").is_file() or page.with_suffix(".py").is_file(), target


def test_simulated_data_are_called_so():
    for name in ("plot_ratings.py", "plot_sensors.py"):
        assert "**simulated**" in text_of(GALLERY / name)
