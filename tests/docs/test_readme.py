"""The first page: its examples run, its commands parse, and it stays short."""

from __future__ import annotations

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


@pytest.mark.parametrize("name", ["MAEImputer", "MAEEncoder", "MAEAnomalyDetector"])
def test_every_estimator_has_an_example(name):
    assert any(f"import {name}" in block for block in BLOCKS)


@pytest.mark.parametrize("command", [*commands_of(README), *commands_of(GUIDE)])
def test_command_parses(command):
    words = shlex.split(re.split(r"[|<>]", command)[0])[1:]
    args = cli._parser().parse_args(words)
    assert args.verb == words[0]


def test_every_verb_stands_in_the_guide():
    shown = {shlex.split(command)[1] for command in commands_of(GUIDE)}
    assert shown == set(cli.VERBS)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_the_first_pages_are_short(name):
    assert len((ROOT / name).read_bytes()) <= MOST_BYTES
