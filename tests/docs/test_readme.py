"""The first page: its examples run, its commands parse, and it stays short."""

from __future__ import annotations

import io
import re
import shlex
from pathlib import Path

import pytest

from maetab import cli

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs" / "guide" / "command_line.rst").read_text(encoding="utf-8")
MOST_BYTES = 6 * 1024
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def commands_of(text: str) -> list[str]:
    """Lines that begin with maetab, in fenced or indented blocks, without their remarks."""
    lines = re.findall(r"^(?:   )?(maetab [a-z].*)$", text, flags=re.MULTILINE)
    return [line.split("#")[0].strip() for line in lines]


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_python_block_runs(number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = compile(BLOCKS[number], f"README.md, python block {number + 1}", "exec")
    exec(code, {"__name__": "__main__"})
    assert "assert " in BLOCKS[number], "a block shows what holds after it"


@pytest.mark.parametrize(
    "name", ["MAEImputer", "MAEEncoder", "MAEAnomalyDetector", "MAEClassifier"]
)
def test_every_estimator_has_an_example(name):
    assert any(re.search(rf"import .*\b{name}\b", block) for block in BLOCKS)


def exit_code(words: list[str]) -> int:
    try:
        return cli.main(words) or 0
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0


@pytest.mark.parametrize("command", [*commands_of(README), *commands_of(GUIDE)])
def test_nothing_is_wrong_with_a_command_but_that_its_files_are_not_there(
    command, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    words = shlex.split(re.split(r"[|<>]", command)[0])[1:]
    if words == ["demo"]:  # it would run
        assert exit_code([*words, "--help"]) == 0
    else:
        assert exit_code(words) == 1, "1: the data are at fault; 2: the command line"


def test_an_option_that_is_not_there_is_found_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert exit_code(["impute", "in.csv", "-o", "out.csv", "--no-such-option"]) == 2


def test_every_verb_stands_in_the_guide():
    shown = {shlex.split(command)[1] for command in commands_of(GUIDE)}
    assert shown == set(cli.VERBS)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_the_first_pages_are_short(name):
    assert len((ROOT / name).read_bytes()) <= MOST_BYTES
