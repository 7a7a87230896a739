"""The recipes for engines: the code of each page, on a cluster of this machine."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.datasets import load_diabetes
from table_in_files import FAST, mixed, table, written

from maetab import MAEImputer
from maetab.evaluation import amputate

PAGES = Path(__file__).resolve().parents[1] / "docs" / "guide" / "engines"
CODE = re.compile(r"^\.\. code-block:: python\n\n((?:   .*\n|\n)+)", re.MULTILINE)
GROUP = "dependency group engines"


def code_of(name: str) -> str:
    (code,) = CODE.findall((PAGES / f"{name}.rst").read_text(encoding="utf-8"))
    return textwrap.dedent(code)


@pytest.fixture(scope="module", autouse=True)
def no_process_stays() -> Iterator[None]:
    """What the engines start ends with them."""
    before = children()
    yield
    until = time.monotonic() + 20
    while children() - before and time.monotonic() < until:
        time.sleep(0.2)
    assert not children() - before


def children() -> set[str]:
    """Numbers and commands of the processes that this one, or one of them, has started."""
    parents, commands = {}, {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            commands[path.name] = (path / "cmdline").read_text().replace("\0", " ")
            parents[path.name] = (path / "stat").read_text().rsplit(")", 1)[1].split()[1]
    found = {str(os.getpid())}
    while more := {x for x, parent in parents.items() if parent in found} - found:
        found |= more
    tracker = "multiprocessing.resource_tracker"  # lives as long as this process
    return {f"{x} {commands[x]}" for x in found if tracker not in commands[x]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of a page, which holds the folder people."""
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "people", [60, 150])
    return tmp_path


@pytest.fixture
def dask_cluster() -> Iterator[None]:
    distributed = pytest.importorskip("distributed", reason=GROUP)
    pytest.importorskip("dask.dataframe", reason=GROUP)
    few = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**few) as cluster, distributed.Client(cluster):
        yield


@pytest.fixture(scope="module")
def ray_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        ray = pytest.importorskip("ray", reason=GROUP)
        quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "error"}
        ray.init(num_cpus=2, _node_ip_address="127.0.0.1", **quiet)
        yield
        ray.shutdown()


@pytest.fixture
def spark(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    sql = pytest.importorskip("pyspark.sql", reason=GROUP)
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    builder = sql.SparkSession.builder.master("local[2]").config("spark.ui.enabled", False)
    session = builder.getOrCreate()
    gateway = session.sparkContext._gateway
    yield
    try:
        session.stop()
        gateway.shutdown()
        gateway.proc.stdin.close()  # then Java ends by itself
        gateway.proc.wait(60)
    finally:
        gateway.proc.kill()


def run(name: str) -> dict[str, Any]:
    """Run the code of a page, whose assertions must hold; return what it has made."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(code_of(name), f"engines/{name}.rst", "exec"), namespace)
    return namespace


def rows(frame: pd.DataFrame) -> list[tuple]:
    """The rows of a frame without missing cells, bit for bit, in an order of their own."""
    return sorted(frame.astype(object).itertuples(index=False, name=None))


def test_partitions_of_dask_are_filled_and_scored_as_the_whole_table_is(folder, dask_cluster):
    made = run("dask")
    filled, whole = made["filled"].compute(), made["imputer"].transform(table().to_pandas())
    assert made["filled"].npartitions == 3 and filled.index.equals(made["people"].compute().index)
    assert list(filled.itertuples(index=False)) == list(whole.itertuples(index=False))
    scores = made["scores"].compute().to_numpy()
    assert (scores == made["detector"].score_samples(table().to_pandas())).all()


def test_frames_of_dask_are_not_taken_for_arrays_nor_arrays_for_frames():
    dask = pytest.importorskip("dask.dataframe", reason=GROUP)
    frame = mixed()[["size", "weight"]].dropna()
    parts = dask.from_pandas(frame, npartitions=3)
    imputer = MAEImputer(**FAST).fit(parts)
    with pytest.raises(TypeError, match=r"got DataFrame; call \.compute\(\) first"):
        imputer.sample(parts)
    array = parts.to_dask_array(lengths=True)
    filled = MAEImputer(**FAST).fit(array).transform(array)
    assert np.array_equal(filled, frame.to_numpy())


def test_series_are_whole_after_a_shuffle_of_dask():
    dask = pytest.importorskip("dask.dataframe", reason=GROUP)
    rows = mixed(120)[["size", "weight"]].assign(shop=list("abcd") * 30, day=range(120))
    parts = dask.from_pandas(rows, npartitions=3)
    imputer = MAEImputer(window=7, time="day", groups="shop", **FAST).fit(parts)
    filled = parts.shuffle("shop").map_partitions(
        lambda part: imputer.transform(part) if len(part) else part, meta=parts
    )
    pd.testing.assert_frame_equal(filled.compute().sort_index(), imputer.transform(parts.compute()))


def test_a_partition_with_columns_of_its_own_is_named():
    dask = pytest.importorskip("dask.dataframe", reason=GROUP)
    parts = dask.from_map(lambda i: mixed().iloc[:, :: 1 - 2 * i], [0, 1], meta=mixed())
    words = "partition 1 of X has the column 'day' where X says 'size'"
    with pytest.raises(ValueError, match=words):
        MAEImputer(**FAST).fit(parts)


def test_batches_of_ray_are_filled_as_the_whole_table_is(folder, ray_cluster):
    made = run("ray_data")
    filled, whole = made["filled"].to_pandas(), made["imputer"].transform(table().to_pandas())
    assert rows(filled) == rows(whole)
    assert not pa.Table.from_pandas(mixed()).equals(pa.Table.from_pandas(filled))


def test_workers_of_ray_train_fit_the_model_of_one_process(tmp_path, monkeypatch, ray_cluster):
    monkeypatch.chdir(tmp_path)
    holes, _ = amputate(load_diabetes(as_frame=True).data, frac=0.2, random_state=0)
    (tmp_path / "people").mkdir()
    holes.to_parquet("people/part-0.parquet")
    made = run("ray_train")
    assert made["path"].is_file() and (made["apart"].abs() < 1e-4 * holes.std()).all(axis=None)


def test_batches_of_spark_are_filled_as_the_whole_table_is(folder, spark):
    zoned = table().to_pandas()
    zoned["day"] = zoned["day"].dt.as_unit("us").dt.tz_localize("Asia/Tokyo")
    shutil.rmtree("people")
    Path("people").mkdir()
    zoned.to_parquet("people/part-0.parquet")
    made = run("spark")
    filled, whole = made["filled"].toArrow().to_pandas(), made["imputer"].transform(zoned)
    assert rows(filled) == rows(whole)


@pytest.mark.parametrize("name", sorted(path.stem for path in PAGES.glob("*.rst")))
def test_a_recipe_has_at_most_fifteen_lines(name):
    code = code_of(name)
    assert len([line for line in code.splitlines() if line.strip()]) <= 15 and "assert " in code
