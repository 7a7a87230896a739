"""The arrows of the house: who may import whom, read from the source."""

from __future__ import annotations

import ast
import graphlib
import io
import re
import statistics
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

import maetab
from maetab import evaluation, plot

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "maetab").rglob("*.py"))
MADE = {ROOT / "docs" / name for name in ("_build", "api", "examples")}  # by `make docs`
EVERYTHING = sorted(
    path
    for room in ("maetab", "tests", "benchmarks", "docs")
    for path in (ROOT / room).rglob("*.py")
    if not MADE & set(path.parents)
)
FRONT = {ROOT / "maetab" / "__init__.py", ROOT / "maetab" / "__main__.py"}  # of no room
MOST_LINES, LONGEST_BODY, LONGEST_MEDIAN = 350, 60, 8

# What each room may import of maetab. Files at the top that are no estimator are of the room base.
ARROWS = {
    "data": {"data"},
    "nn": {"nn"},
    "engine": {"nn", "engine"},
    "base": {"data", "nn", "engine", "base"},
    "estimators": {"data", "nn", "engine", "base", "estimators"},
    "files": {"data", "nn", "engine", "base", "estimators", "files"},
    "evaluation": {"data", "base", "evaluation"},
    "plot": {"data", "base", "plot"},
    "page": {"data", "base", "estimators", "files", "evaluation", "page"},
    "cli": {"data", "engine", "base", "estimators", "files", "evaluation", "page", "cli"},
}
# And of other packages, where that is limited.
PACKAGES = {
    "data": {"numpy", "pandas", "narwhals", "scipy"},
    "nn": {"torch"},
    "engine": {"torch", "numpy", "scipy", "sklearn"},
}
ROOM_OF = {
    **dict.fromkeys(("imputer", "encoder", "detector", "classifier", "regressor"), "estimators"),
    **dict.fromkeys(("MAEImputer", "MAEEncoder", "MAEAnomalyDetector"), "estimators"),
    **dict.fromkeys(("MAEClassifier", "MAERegressor", "labelled"), "estimators"),
    **dict.fromkeys(("load", "save"), "files"),
    "report": "page",
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def run_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only type checkers read."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)):
            yield from run_nodes(child)


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


def files_imported(path: Path, modules: set[str]) -> set[str]:
    """Files of maetab that a file needs when it runs; `from a import b` needs a or the file a.b."""
    found = set()
    for node in run_nodes(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in modules else node.module for name in names}
    return found & modules


def packages_of(path: Path) -> set[str]:
    """Packages outside the standard library and maetab that a file imports."""
    return {name.split(".")[0] for name in imports_of(path)} - sys.stdlib_module_names - {"maetab"}


def room_named(name: str) -> str:
    """The room of what stands below maetab by this name."""
    return ROOM_OF.get(name, name if name in ARROWS else "base")


def rooms_of(path: Path) -> set[str]:
    return {
        room_named(name.split(".")[1]) for name in imports_of(path) if name.startswith("maetab.")
    }


def room_of(path: Path) -> str:
    return room_named(path.relative_to(ROOT / "maetab").parts[0].removesuffix(".py"))


def body_lines(path: Path) -> dict[str, int]:
    """Lines of the body of each function, without its docstring."""
    found = {}
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[1] if ast.get_docstring(node) and node.body[1:] else node.body[0]
            found[f"{node.name}, line {node.lineno}"] = node.end_lineno - first.lineno + 1
    return found


@pytest.mark.parametrize("path", [path for path in SOURCES if path not in FRONT], ids=name_of)
def test_nobody_imports_upwards(path):
    assert rooms_of(path) <= ARROWS[room_of(path)]
    packages = PACKAGES.get(room_of(path))
    assert packages is None or packages_of(path) <= packages


def test_no_files_import_each_other_in_a_circle():
    """Imports inside functions count, too; those for type checkers do not."""
    module_of = {
        path: name_of(path)[:-3].replace("/", ".").removesuffix(".__init__") for path in SOURCES
    }
    modules = set(module_of.values())
    graph = {module: files_imported(path, modules) - {module} for path, module in module_of.items()}
    graphlib.TopologicalSorter(graph).prepare()  # a CycleError names the circle


PUBLIC = {f"maetab.{name}" for name in (*maetab.__all__, "evaluation", "plot")}
PUBLIC |= {f"maetab.evaluation.{name}" for name in evaluation.__all__}
PUBLIC |= {f"maetab.plot.{name}" for name in plot.__all__}
# And the masks and own parts that the reference lists, below its heading "Maskings".
REFERENCE = (ROOT / "docs" / "api.rst").read_text(encoding="utf-8")
MASKS, PARTS = REFERENCE.partition("\nMaskings\n")[2].split("\nProtocols\n")
OWN = {f"maetab.nn.{name}" for name in re.findall(r"^   (\w[\w.]+)$", PARTS, re.MULTILINE)}
OWN |= {f"maetab.nn.masking.{name}" for name in re.findall(r"^   (\w+)$", MASKS, re.MULTILINE)}
PUBLIC |= OWN | {name.rpartition(".")[0] for name in OWN}
OUTSIDE = [path for path in EVERYTHING if name_of(path).startswith(("benchmarks/", "docs/"))]


@pytest.mark.parametrize("path", OUTSIDE, ids=name_of)
def test_benchmarks_and_docs_use_public_names_only(path):
    assert {name for name in imports_of(path) if name.startswith("maetab.")} <= PUBLIC


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
def test_only_one_file_of_the_command_line_prints(path):
    calls = [node.func for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)]
    printing = [call for call in calls if isinstance(call, ast.Name) and call.id == "print"]
    assert not printing or name_of(path) == "maetab/cli/report/output.py"


@pytest.mark.parametrize("path", EVERYTHING, ids=name_of)
def test_files_and_functions_stay_short(path):
    assert path.read_text(encoding="utf-8").count("\n") <= MOST_LINES
    assert {name for name, lines in body_lines(path).items() if lines > LONGEST_BODY} == set()


def test_most_functions_do_one_step():
    lines = [n for path in SOURCES for n in body_lines(path).values()]
    assert statistics.median(lines) <= LONGEST_MEDIAN


@pytest.mark.parametrize("path", EVERYTHING, ids=name_of)
def test_nothing_is_left_for_later(path):
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    left = [text for text in comments for word in ("TODO", "FIXME", "XXX") if word in text]
    assert not left


def test_there_is_no_drawer_for_everything():
    assert not {"utils", "common", "helpers", "misc"} & {path.stem for path in EVERYTHING}
