from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from maetab import cli

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
SHELL = re.findall(r"^```(?:sh|shell|bash)\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
COMMANDS = [
    line.split("#")[0].strip()
    for block in SHELL
    for line in block.splitlines()
    if re.match(r"maetab\s", line)
]


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_python_block_runs(number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = compile(BLOCKS[number], f"README.md, python block {number + 1}", "exec")
    exec(code, {"__name__": "__main__"})
    assert "assert " in BLOCKS[number], "a block shows what holds after it"


@pytest.mark.parametrize("command", COMMANDS)
def test_command_parses(command):
    words = shlex.split(re.split(r"[|<>]", command)[0])[1:]
    args = cli.make_parser().parse_args(words)
    assert args.verb == words[0]


def test_every_verb_stands_in_the_readme():
    shown = {shlex.split(command)[1] for command in COMMANDS}
    assert shown == set(cli.VERBS)


def test_three_examples_are_there():
    assert len(BLOCKS) >= 3
