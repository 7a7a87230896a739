"""Damaged and forged files end in an answer or one clear error; the script sees where not."""

from __future__ import annotations

import os
import pickle
import signal
import time
from collections import Counter

import pytest

from benchmarks import fuzz

N_FILES = 500


@pytest.mark.slow
def test_damaged_and_forged_files_are_read_or_refused_in_one_clear_error(tmp_path):
    outcomes = [
        (number, how, found) for number, _, how, found in fuzz.tried(range(N_FILES), tmp_path)
    ]
    assert len(outcomes) == N_FILES
    assert [x for x in outcomes if x[2].word.isupper()] == []
    words = Counter(found.word for _, _, found in outcomes)
    assert words["refused"] > 100 and words["read"] > 50  # so that both are looked at


class Opener:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return os.getenv, ("HOME",)


def badly(path, kind):
    """What stands for a reading of files that does what their names say."""
    faults = {
        "dies": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "hangs": lambda: time.sleep(60),
        "unpickles": lambda: pickle.loads(pickle.dumps(Opener())),
        "writes": lambda: path.with_suffix(".new").write_text("x"),
        "raises": lambda: [][1],
        "eats": lambda: bytearray(2**36),
    }
    faults.get(path.stem, lambda: None)()
    return fuzz.Outcome("read")


FAULTS = {
    "dies": ("CRASH", "exit code -9"),
    "hangs": ("HANG", "more than 2 s"),
    "unpickles": ("FORBIDDEN", "pickle.find_class"),
    "writes": ("FORBIDDEN", "open"),
    "raises": ("ERROR", "IndexError"),
    "eats": ("ERROR", "MemoryError"),
}


@pytest.mark.slow
def test_the_script_sees_every_fault_and_goes_on(tmp_path):
    path = tmp_path / "fine.csv"
    path.write_text("a,b\n1,2\n3,4\n5,6\n")
    reader = fuzz.Reader([(path, "csv")], 2.0, badly)
    try:
        for name, (word, text) in FAULTS.items():
            found = reader.read(tmp_path / f"{name}.csv", "csv")
            assert (found.word, text in found.text) == (word, True), found
            assert reader.read(path, "csv").word == "read"
    finally:
        reader.end()
