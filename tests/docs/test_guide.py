"""The pages of the documentation: their code runs, their links lead somewhere."""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
MADE = {"api", "examples", "gallery", "_build", "_templates", "sg_execution_times.rst"}
PAGES = sorted(path for path in DOCS.rglob("*.rst") if not MADE & set(path.relative_to(DOCS).parts))
# What runs below, and the recipes, which tests/test_engines.py runs.
ELSEWHERE = {DOCS / "guide" / "extending.rst", *(DOCS / "guide" / "engines").glob("*.rst")}
PYTHON = re.compile(r"^\.\. code-block:: python\n\n((?:   .*\n|\n)+)", re.MULTILINE)


def name_of(path: Path) -> str:
    return path.relative_to(DOCS).as_posix()


def code_of(path: Path) -> list[str]:
    return [textwrap.dedent(block) for block in PYTHON.findall(path.read_text(encoding="utf-8"))]


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [page for page in PAGES if code_of(page) and page not in ELSEWHERE],
    ids=name_of,
)
def test_the_code_of_a_page_runs_from_top_to_bottom(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    for number, block in enumerate(code_of(path), 1):
        assert "assert " in block, "a block shows what holds after it"
        exec(compile(block, f"{name_of(path)}, block {number}", "exec"), namespace)


@pytest.mark.slow
def test_the_objects_of_a_user_are_what_the_model_runs():
    """The functions that its page defines are called."""
    called = set()

    def note(frame, event, argument):
        if event == "call" and frame.f_code.co_filename.startswith("guide/extending"):
            called.add(frame.f_code.co_qualname)

    page = DOCS / "guide" / "extending.rst"
    namespace = {"__name__": "__main__"}
    before = sys.getprofile()
    sys.setprofile(note)
    try:
        for number, block in enumerate(code_of(page), 1):
            assert "assert " in block, "a block shows what holds after it"
            exec(compile(block, f"guide/extending.rst, block {number}", "exec"), namespace)
    finally:
        sys.setprofile(before)
    assert called >= {"BloodTest.__call__", "Huber.of_numbers", "Pooling.forward",
                      "ColumnMeans.fit", "ColumnMeans.forward"}  # fmt: skip


def test_the_examples_of_extending_are_short():
    for block in code_of(DOCS / "guide" / "extending.rst"):
        assert len([line for line in block.splitlines() if line.strip()]) < 25


def test_pages_with_code_were_found():
    assert {"guide/filling.rst", "guide/features.rst", "guide/anomalies.rst"} <= {
        name_of(path) for path in PAGES if code_of(path)
    }


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_pages_and_pictures_that_a_page_names_are_there(path):
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r":doc:`(?:[^`<]*<)?([^`>]+)>?`", text):
        base = DOCS if target.startswith("/") else path.parent
        page = base / f"{target.lstrip('/')}.rst"
        example = DOCS / "gallery" / f"{page.stem}.py"
        assert page.is_file() or (page.parent.name == "examples" and example.is_file()), target
    for picture in re.findall(r"^\.\. (?:image|figure):: (\S+)", text, re.MULTILINE):
        assert (path.parent / picture).is_file(), picture


def test_every_page_stands_in_a_table_of_contents():
    listed = {"index.rst"}
    for path in PAGES:
        for tree in re.findall(
            r"^\.\. toctree::\n(?:   :.*\n)*\n((?:   .+\n)+)",
            path.read_text(encoding="utf-8"),
            re.MULTILINE,
        ):
            listed |= {name_of(path.parent / f"{entry}.rst") for entry in tree.split()}
    listed.remove("examples/index.rst")  # made of docs/gallery
    assert {name_of(path) for path in PAGES} == listed


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "benchmarks/README.md"])
def test_files_that_markdown_links_to_are_there(name):
    page = ROOT / name
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("https://", "#")):
            assert (page.parent / target.partition("#")[0]).exists(), target


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_paths_that_the_first_pages_name_are_there(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    paths = re.findall(r"`((?:maetab|tests|benchmarks|docs)/[\w./]*)`", text)
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_settings_load_without_sphinx_and_fetch_nothing():
    source = (DOCS / "conf.py").read_text(encoding="utf-8")
    found: dict = {"__file__": str(DOCS / "conf.py")}
    exec(compile(source, "conf.py", "exec"), found)
    assert found["project"] == "maetab"
    assert not [name for name in found["extensions"] if "intersphinx" in name]
    texts = [node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)]
    assert not [text for text in texts if isinstance(text, str) and "//" in text]
    for sheet in (DOCS / "_static").iterdir():
        assert "//" not in sheet.read_text(encoding="utf-8")


def test_the_version_of_the_documentation_is_that_of_the_package():
    import maetab

    found: dict = {"__file__": str(DOCS / "conf.py")}
    exec((DOCS / "conf.py").read_text(encoding="utf-8"), found)
    assert found["release"] == maetab.__version__


def test_every_public_name_has_a_page():
    import maetab
    from maetab import evaluation, plot
    from maetab.nn.masking import MASKINGS

    text = (DOCS / "api.rst").read_text(encoding="utf-8")
    listed = set(re.findall(r"^   (\w+)$", text.partition("\nProtocols\n")[0], re.MULTILINE))
    maskings = {kind.__name__ for kind in MASKINGS.values()}
    assert listed == {*maetab.__all__, *evaluation.__all__, *plot.__all__, *maskings}


def test_the_drawing_of_the_way_of_the_data_is_what_its_script_draws():
    found: dict = {"__file__": str(DOCS / "make_images.py"), "__name__": "make_images"}
    exec((DOCS / "make_images.py").read_text(encoding="utf-8"), found)
    drawn = (DOCS / "images" / "way_of_data.svg").read_text(encoding="utf-8")
    assert found["way_of_data"]() == drawn


def test_pictures_are_small():
    for picture in (DOCS / "images").iterdir():
        assert picture.stat().st_size < 60 * 1024, picture


def test_the_map_names_every_room_and_every_estimator():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (drawn,) = re.findall(r"^## Rooms\n\n```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    rooms = {path.parent.name for path in (ROOT / "maetab").glob("*/__init__.py")}
    assert {f"{room}/" for room in rooms} <= set(drawn.split())
    assert {"imputer.py", "encoder.py", "detector.py", "base.py"} <= set(drawn.split())
