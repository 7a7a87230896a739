"""The arrows of the house: who may import whom, read from the source."""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "maetab").rglob("*.py"))
EVERYTHING = sorted(
    path
    for room in ("maetab", "tests", "benchmarks", "docs")
    for path in (ROOT / room).rglob("*.py")
)
FRAMES = {"numpy", "pandas", "narwhals", "scipy"}
MOST_LINES, LONGEST_BODY = 400, 60


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports_of(path: Path) -> set[str]:
    """Dotted names that a file imports; `from a import b` counts as a and as a.b."""
    found = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name_of(path)}: relative import"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def packages_of(path: Path) -> set[str]:
    """Packages outside the standard library and maetab that a file imports."""
    return {name.split(".")[0] for name in imports_of(path)} - sys.stdlib_module_names - {"maetab"}


def rooms_of(path: Path) -> set[str]:
    """First parts below maetab that a file imports: data, nn, base, ..."""
    return {name.split(".")[1] for name in imports_of(path) if name.startswith("maetab.")}


def room(name: str) -> list[Path]:
    return sorted((ROOT / "maetab" / name).rglob("*.py"))


@pytest.mark.parametrize("path", room("data"), ids=name_of)
def test_data_knows_frames_and_neither_torch_nor_estimators(path):
    assert packages_of(path) <= FRAMES
    assert rooms_of(path) <= {"data"}


@pytest.mark.parametrize("path", room("nn"), ids=name_of)
def test_nn_knows_only_torch(path):
    assert packages_of(path) <= {"torch"}
    assert rooms_of(path) <= {"nn"}


@pytest.mark.parametrize("path", room("engine"), ids=name_of)
def test_engine_knows_nn_and_arrays_but_not_data(path):
    assert packages_of(path) <= {"torch", "numpy", "scipy", "sklearn"}
    assert rooms_of(path) <= {"nn", "engine"}


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_below_the_estimators_nobody_imports_them(path):
    above = {"cli", "persist", "evaluation", "imputer", "encoder", "detector"}
    below = {"base", "plot", "files", "cells", "options", "amputation"}
    below |= {"layout", "number_cells", "time_cells", "sniffing", "text_table"}
    if path.relative_to(ROOT / "maetab").parts[0].removesuffix(".py") in below:
        assert not rooms_of(path) & above


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").rglob("*.py")), ids=name_of)
def test_benchmarks_use_public_names_only(path):
    import maetab
    from maetab import evaluation

    public = {f"maetab.{name}" for name in (*maetab.__all__, "evaluation")}
    public |= {f"maetab.evaluation.{name}" for name in evaluation.__all__}
    ours = {name for name in imports_of(path) if name.startswith("maetab.")}
    assert ours <= public


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_only_runtime_says_cuda(path):
    """In code; help texts and docstrings may."""
    if name_of(path) == "maetab/engine/runtime.py":
        return
    tree = tree_of(path)
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert "cuda" not in names
    assert "cuda" not in texts


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_only_the_command_line_prints(path):
    calls = [node.func for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)]
    printing = [call for call in calls if isinstance(call, ast.Name) and call.id == "print"]
    assert not printing or path.name == "cli.py"


@pytest.mark.parametrize("path", EVERYTHING, ids=name_of)
def test_files_and_functions_stay_short(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MOST_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[1] if ast.get_docstring(node) and node.body[1:] else node.body[0]
            body = node.end_lineno - first.lineno + 1
            assert body <= LONGEST_BODY, f"{node.name} has a body of {body} lines"


@pytest.mark.parametrize("path", EVERYTHING, ids=name_of)
def test_nothing_is_left_for_later(path):
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    left = [text for text in comments for word in ("TODO", "FIXME", "XXX") if word in text]
    assert not left


def test_there_is_no_drawer_for_everything():
    assert not {"utils", "common", "helpers", "misc"} & {path.stem for path in EVERYTHING}
