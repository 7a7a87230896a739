"""Processes that fit one model together: all end at the model that one alone would."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import torch
from in_processes import fit_all, table
from models import config, fit_options

from maetab.engine.batches import part_of
from maetab.engine.processes import ALONE, Processes, place, processes

HERE = Path(__file__).parent
# One after the other does as much as torchrun does; the port is free.
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]


def run(what: str, folder: Path) -> subprocess.CompletedProcess:
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{HERE.parent}:{HERE}"}
    command = [*TORCHRUN, HERE / "in_processes.py", what, folder]
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=300)


def write_parts(folder: Path) -> None:
    (folder / "parts").mkdir()
    for i in range(3):
        table().iloc[70 * i : 70 * (i + 1)].to_parquet(
            folder / "parts" / f"p{i}.parquet", index=False
        )


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """What one process finds, and what each of two does; and the folders of these."""
    folders = [tmp_path_factory.mktemp(name) for name in ("alone", "pair")]
    for folder in folders:
        write_parts(folder)
    ran = run("fit", folders[1])
    assert ran.returncode == 0, ran.stderr
    each = [pickle.loads((folders[1] / f"rank{i}.pickle").read_bytes()) for i in (0, 1)]
    return fit_all(folders[0]), each, folders


NAMES = ["imputer", "cosine", "encoder", "detector", "series", "limited", "parts"]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_two_processes_end_at_the_model_of_one(name, both):
    alone, (one, other), _ = both
    assert len(alone[name]["losses"]) >= 3
    for what, value in alone[name].items():
        np.testing.assert_allclose(one[name][what], value, rtol=0, atol=1e-4, err_msg=what)
        np.testing.assert_array_equal(one[name][what], other[name][what], err_msg=what)


@pytest.mark.slow
def test_networks_have_moved_from_where_they_began(both):
    alone, *_ = both
    assert all(len(set(found["losses"])) > 1 for found in alone.values())


@pytest.mark.slow
def test_processes_write_each_part_once_and_whole(both):
    *_, folders = both
    one, two = (ds.dataset(folder / "filled", ignore_prefixes=["_"]) for folder in folders)
    assert [Path(x).name for x in one.files] == [Path(x).name for x in two.files]
    left = [path.name for path in (folders[1] / "filled").iterdir()]
    assert sorted(left) == ["_maetab.json", *(f"p{i}.parquet" for i in range(3))]
    wanted, got = (pq.read_table(folder / "filled" / "p1.parquet") for folder in folders)
    frames = (x.to_pandas() for x in (got, wanted))
    pd.testing.assert_frame_equal(*frames, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_a_process_that_dies_ends_the_others_with_one_error(tmp_path):
    ran = run("die", tmp_path)
    assert ran.returncode != 0
    assert "exitcode  : 7" in ran.stderr
    assert "another of the 2 processes that fit one model together has ended" in ran.stderr or (
        "SIGTERM" in ran.stderr
    )


@pytest.mark.slow
def test_what_goes_wrong_in_one_process_is_raised_in_all(tmp_path):
    ran = run("wrong", tmp_path)
    assert ran.returncode == 0, ran.stderr
    said = [(tmp_path / f"rank{i}.txt").read_text() for i in (0, 1)]
    assert said[0] == "ValueError: no luck"
    assert said[1] == "RuntimeError: process 0 of 2, which fit together: ValueError: no luck"


GROUP_OF_ONE = """
import atexit, os, weakref
import torch.distributed as dist
import maetab.engine.processes as ours

atexit.register(lambda: os._exit(0 if group() is None else 3))  # the last of what is registered
dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
ours.processes()
group = weakref.ref(ours._talk(dist.group.WORLD))
assert group() is not None
dist.destroy_process_group()
assert group() is not None
"""


def test_the_threads_of_a_group_end_before_python_does():
    ran = subprocess.run([sys.executable, "-c", GROUP_OF_ONE], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.slow
def test_processes_with_other_parameters_are_refused(tmp_path):
    ran = run("differ", tmp_path)
    assert ran.returncode != 0
    assert "2 processes fit one model together, and differ in batch_size" in ran.stderr


@pytest.mark.parametrize(("n", "size"), [(7, 2), (8, 3), (3, 3), (31, 4)])
def test_each_row_of_a_batch_is_of_one_process(n, size):
    parts = [range(n)[part_of(n, Processes(rank, size))] for rank in range(size)]
    assert [x for part in parts for x in part] == list(range(n))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_process_on_its_own_is_alone(monkeypatch):
    assert processes() == ALONE and place() == (0, 1)
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setenv("RANK", "0")
    assert processes() == ALONE
    assert ALONE.gather(3) == [3] and ALONE.share("x") == "x" and ALONE.first
    network = torch.nn.Linear(1, 1)
    assert ALONE.parallel(network) is network


def test_too_many_processes_for_a_step_are_refused():
    from models import train

    from maetab.engine.runtime import Deadline
    from maetab.engine.trainer import Trainer

    training = train(
        config((0, 0)),
        (np.ones((8, 2), np.float32), np.ones((8, 2), bool)),
        fit_options(max_iter=1),
    )
    with pytest.raises(ValueError, match="9 processes cannot share steps of 8 rows"):
        Trainer(training.model, training.table, training.options, Deadline(), 8, Processes(0, 9))
