"""Full disks, folders that cannot be written, files that change, processes that are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.dataset as ds
import pytest
from command_line import MedianOrMode
from model_files import table, tiny
from table_in_files import FAST, mixed, written

from benchmarks import kills
from maetab import MAEImputer, cli, load, save

TEXT = "a,b\n" + "1,x\n,y\n3,\n" * 3000


def everything(folder: Path) -> dict[str, bytes]:
    """Files below a folder, hidden ones too."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@contextmanager
def room_for(n_bytes: int) -> Iterator[None]:
    """Files end at a size: what is written beyond fails, as on a full disk."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Path]:
    """A folder with a table and an old file, in which the user may read and not write."""
    if not hasattr(os, "seteuid"):
        pytest.skip("users have no numbers here")
    own = os.geteuid()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "old").write_text("old")
        (folder / "in.csv").write_text(TEXT)
        folder.chmod(0o555)
        if own == 0:  # whom no mode of a file stops
            os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(own)
            folder.chmod(0o755)


def impute(source: Path, target: Path, *words: str) -> int:
    return cli.main(["impute", str(source), "-o", str(target), "--force", *words])


@pytest.mark.parametrize("name", ["in.csv.gz", "in.parquet"])
def test_a_table_that_is_cut_is_refused_in_one_line(tmp_path, capsys, stub, name):
    path = tmp_path / name
    made = mixed().to_csv if name.endswith(".gz") else mixed().to_parquet
    made(path, index=False)
    whole = path.read_bytes()
    for n_bytes in (0, 5, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:n_bytes])
        assert cli.main(["describe", str(path)]) == 1
        said = capsys.readouterr().err
        assert said.startswith("maetab describe: ") and said.count("\n") == 1


def test_memory_that_runs_out_is_told_in_one_line(tmp_path, capsys, monkeypatch):
    class Large(MedianOrMode):
        def fit(self, frame):
            raise MemoryError("MAEImputer would need more")

    (tmp_path / "in.csv").write_text(TEXT)
    monkeypatch.setattr("maetab.cli.estimators.new_estimator", lambda *_, **__: Large())
    assert impute(tmp_path / "in.csv", tmp_path / "out.csv") == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "maetab impute: MAEImputer would need more"


@pytest.mark.slow
@pytest.mark.parametrize("n_bytes", [0, 1000])
def test_a_full_disk_leaves_the_old_model(path, tmp_path, n_bytes):
    before = everything(tmp_path)
    with room_for(n_bytes), pytest.raises(OSError, match=r"model\.safetensors"):
        save(tiny(random_state=1).fit(table()), path)
    assert everything(tmp_path) == before


@pytest.mark.parametrize("name", ["out.csv", "out.parquet", "out.csv.gz"])
@pytest.mark.parametrize("old", [b"old", None])
def test_a_full_disk_leaves_the_old_result_of_a_command(tmp_path, capsys, stub, name, old):
    (tmp_path / "in.csv").write_text(TEXT)
    if old is not None:
        (tmp_path / name).write_bytes(old)
    before = everything(tmp_path)
    with room_for(50):
        assert impute(tmp_path / "in.csv", tmp_path / name) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"maetab impute: {tmp_path / name}: File too large"
    assert everything(tmp_path) == before


@pytest.mark.slow
def test_a_full_disk_leaves_whole_parts_with_which_the_next_run_goes_on(tmp_path):
    imputer = MAEImputer(**FAST).fit(mixed())
    data, out = written(tmp_path / "in", [20]), tmp_path / "out"
    before = everything(tmp_path / "in")
    whole = everything_of(imputer, data, tmp_path / "whole")
    small, large = sorted(len(x) for name, x in whole.items() if name.endswith(".parquet"))
    with room_for((small + large) // 2), pytest.raises(OSError):
        imputer.transform(data, to=out)
    left = everything(out)
    assert left.items() <= whole.items() and 0 < len(left) < len(whole)
    assert everything_of(imputer, data, out) == whole
    assert everything(tmp_path / "in") == before


def everything_of(imputer: MAEImputer, data: ds.Dataset, to: Path) -> dict[str, bytes]:
    imputer.transform(data, to=to)
    return everything(to)


def test_a_folder_that_cannot_be_written_is_named(fitted, locked, stub, capsys):
    for path in (locked / "new", locked / "old"):
        with pytest.raises(PermissionError, match=path.name):
            save(fitted, path)
        assert impute(locked / "in.csv", path, "--format", "csv") == 1
        last = capsys.readouterr().err.splitlines()[-1]
        assert last == f"maetab impute: {path}: Permission denied"
    with pytest.raises(PermissionError):
        fitted.transform(table(), to=locked / "parts")
    assert everything(locked) == {"old": b"old", "in.csv": TEXT.encode()}


CUT_WHILE_READ = """
import os, sys
from maetab.files import models
path, found = sys.argv[1], models._metadata
def cut(*args):
    os.truncate(path, 0)
    return found(*args)
models._metadata = cut
try:
    (models.load if sys.argv[2] == "load" else models.read_info)(path)
    print("read")
except ValueError:
    print("refused")
"""


@pytest.mark.slow
@pytest.mark.parametrize("what", ["load", "read_info"])
def test_a_model_file_that_is_cut_while_it_is_read_does_not_end_the_process(path, what):
    done = subprocess.run(
        [sys.executable, "-c", CUT_WHILE_READ, str(path), what], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip()) in ((0, "read"), (0, "refused")), done.stderr
    assert path.stat().st_size == 0


def test_a_table_that_changes_after_it_is_read_is_filled_as_it_was(tmp_path, monkeypatch):
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text(TEXT)

    class Changing(MedianOrMode):
        def fit(self, frame):
            source.write_text("z\n1\n")
            return super().fit(frame)

    monkeypatch.setattr("maetab.cli.estimators.new_estimator", lambda *_, **__: Changing())
    assert impute(source, target) == 0
    assert target.read_text() == "a,b\n" + "1,x\n2,y\n3,x\n" * 3000
    assert source.read_text() == "z\n1\n"


def test_a_part_that_is_cut_while_parts_are_read_is_one_error(tmp_path, monkeypatch):
    imputer = MAEImputer(**FAST).fit(mixed())
    data, out, finish = written(tmp_path / "in", [100]), tmp_path / "out", MAEImputer._finish
    whole = everything_of(imputer, data, tmp_path / "whole")

    def cut(self, *args):
        os.truncate(tmp_path / "in" / "file1.parquet", 100)
        return finish(self, *args)

    monkeypatch.setattr(MAEImputer, "_finish", cut)
    with pytest.raises((OSError, ValueError)):
        imputer.transform(data, to=out)
    assert everything(out).items() < whole.items()


KILLED = """
import os, runpy, signal, sys
import maetab, pyarrow.dataset as ds
os.fsync = os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
what, model, given, made = sys.argv[1:]
if what == "save":
    maetab.save(maetab.load(model), made)
elif what == "transform":
    maetab.load(model).transform(ds.dataset(given), to=made)
else:
    sys.argv = ["maetab", what, given, "--model", model, "-o", made, "--force"]
    runpy.run_module("maetab", run_name="__main__")
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no such signal")
@pytest.mark.parametrize(("what", "made"), [("save", "m"), ("impute", "o.csv"), ("transform", "p")])
def test_a_process_that_is_killed_before_its_file_has_a_name_leaves_the_old_one(
    tmp_path, what, made
):
    save(MAEImputer(**FAST).fit(mixed()), tmp_path / "model")
    given = tmp_path / "in"
    written(given, [100])
    if what == "impute":
        given = tmp_path / "in.csv"
        mixed().to_csv(given, index=False)
    if what != "transform":
        (tmp_path / made).write_bytes(b"old")
    before = everything(tmp_path)
    words = [what, tmp_path / "model", given, tmp_path / made]
    done = subprocess.run([sys.executable, "-c", KILLED, *map(str, words)])
    assert done.returncode == -signal.SIGKILL
    after = everything(tmp_path)
    left = {name for name in set(after) - set(before)}
    assert before.items() <= after.items()
    assert len(left) == 1 and Path(left.pop()).name.startswith(".")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the processes are forks")
def test_killed_at_any_moment_a_save_leaves_one_of_two_models():
    (found,) = kills.results(4, ["save"])
    assert found.faults == []


def test_files_of_killed_processes_are_passed_over(path, tmp_path, fitted):
    (tmp_path / f".{path.name}.0a1b2c3d").write_text("half")
    save(fitted, path)
    frame = table()
    assert load(path).transform(frame).equals(fitted.transform(frame))
