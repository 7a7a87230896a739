"""Tables that are read in parts: files, slices and partitions give what the whole table gives."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from table_in_files import FAST, N, mixed, table, written

from maetab import MAEAnomalyDetector, MAEEncoder, MAEImputer, streams
from maetab.data import parts as parts_file
from maetab.data.parts import alike, draw, parts_of


@pytest.fixture(scope="module")
def whole() -> MAEImputer:
    return MAEImputer(**FAST).fit(table())


def same_model(one: MAEImputer, other: MAEImputer) -> bool:
    states = (x.model_.state_dict() for x in (one, other))
    return all(
        np.allclose(a, b, rtol=1e-3, atol=1e-4, equal_nan=True)
        for a, b in zip(*(s.values() for s in states), strict=True)
    )


@pytest.mark.parametrize("cuts", [[], [100], [1, 30, 200], [0, 120]])
def test_however_rows_are_split_the_model_is_that_of_the_whole_table(tmp_path, whole, cuts):
    mine = MAEImputer(**FAST).fit(written(tmp_path / "in", cuts))
    for one, other in zip(mine.schema_.columns, whole.schema_.columns, strict=True):
        assert (one.levels, one.counts, one.step) == (other.levels, other.counts, other.step)
        np.testing.assert_allclose((one.center, one.scale), (other.center, other.scale), rtol=1e-9)
    assert mine.missing_features_.tolist() == whole.missing_features_.tolist()
    assert same_model(mine, whole)


@pytest.mark.slow
def test_lazy_frames_of_polars_are_read_in_batches(monkeypatch, tmp_path, whole):
    monkeypatch.setattr(parts_file, "BLOCK", 30)
    lazy = pl.from_arrow(table()).lazy()
    (part,) = parts_of(lazy)
    assert part.n_rows == N and max(map(len, part.read(None))) <= 30
    assert same_model(MAEImputer(**FAST).fit(lazy), whole)
    filled = whole.transform(lazy, to=tmp_path / "out").to_table()
    assert_same(filled, whole.transform(table()))


def test_partitions_of_dask_are_parts(tmp_path, whole):
    dask = pytest.importorskip("dask.dataframe", reason="dependency group engines")
    frame = table().to_pandas()
    parts = dask.from_pandas(frame, npartitions=3)
    assert same_model(MAEImputer(**FAST).fit(parts), whole)
    filled = whole.transform(parts, to=tmp_path / "out")
    assert len(filled.files) == 3
    numbers = ["size", "weight"]
    mine = filled.to_table().to_pandas()[numbers]
    pd.testing.assert_frame_equal(mine, whole.transform(frame)[numbers], check_index_type=False)


def of_dask(rows: pa.Table) -> Any:
    dask = pytest.importorskip("dask.dataframe", reason="dependency group engines")
    return dask.from_pandas(rows.to_pandas(), npartitions=2)


@pytest.mark.parametrize("made", [ds.dataset, lambda rows: pl.from_arrow(rows).lazy(), of_dask])
def test_a_folder_of_other_rows_is_refused_where_no_file_tells_them_apart(tmp_path, whole, made):
    out = tmp_path / "out"
    before = whole.transform(made(table()), to=out).to_table()
    with pytest.raises(ValueError, match="another model, or another table"):
        whole.transform(made(table().take(np.arange(N)[::-1])), to=out)
    assert whole.transform(made(table()), to=out).to_table().equals(before)


def assert_same(one: pa.Table, other: pa.Table) -> None:
    pd.testing.assert_frame_equal(one.to_pandas(), other.to_pandas(), check_dtype=False)


def test_parts_are_filled_as_the_whole_table_is_and_keep_their_names(tmp_path, whole):
    data = written(tmp_path / "in", [100, 150])
    filled = whole.transform(data, to=tmp_path / "out")
    assert [Path(file).name for file in filled.files] == [f"file{i}.parquet" for i in range(3)]
    assert filled.to_table().equals(whole.transform(table()))
    assert ds.dataset(tmp_path / "in").to_table().equals(table())  # what is read stays as it is


@pytest.mark.slow
def test_what_folders_tell_is_in_the_names_of_the_folders_again(tmp_path, whole):
    rows = table().append_column("year", pa.array([2020] * 100 + [2021] * 140))
    pq.write_to_dataset(rows, tmp_path / "in", partition_cols=["year"])
    data = ds.dataset(tmp_path / "in", partitioning="hive")
    imputer = MAEImputer(**FAST).fit(data)
    assert imputer.feature_names_in_.tolist() == data.schema.names
    filled = imputer.transform(data, to=tmp_path / "out")
    assert filled.schema.names == data.schema.names
    assert {Path(file).parent.name for file in filled.files} == {"year=2020", "year=2021"}
    assert "year" not in pq.ParquetFile(filled.files[0]).schema.names
    assert_same(filled.to_table(), imputer.transform(data.to_table()))


@pytest.mark.slow
def test_a_folder_of_csv_files_is_read_as_well(tmp_path, whole):
    (tmp_path / "in").mkdir()
    mixed().iloc[:100].to_csv(tmp_path / "in" / "a.csv", index=False)
    mixed().iloc[100:].to_csv(tmp_path / "in" / "b.csv", index=False)
    data = ds.dataset(tmp_path / "in", format="csv")
    filled = MAEImputer(**FAST).fit(data).transform(data, to=tmp_path / "out")
    assert [Path(file).name for file in filled.files] == ["a.parquet", "b.parquet"]
    assert filled.count_rows() == N and not filled.to_table().to_pandas().isna().any(axis=None)


def test_what_was_stopped_goes_on_with_the_parts_that_are_missing(tmp_path, whole):
    data, out = written(tmp_path / "in", [100, 150]), tmp_path / "out"
    whole.transform(data, to=out)
    before = (out / "file0.parquet").stat().st_mtime_ns
    (out / "file1.parquet").unlink()
    (out / ".file1.parquet.1234").write_text("half")  # of somebody who was killed
    assert whole.transform(data, to=out).to_table().equals(whole.transform(table()))
    assert (out / "file0.parquet").stat().st_mtime_ns == before
    assert sorted(os.listdir(out)) == [streams.NOTE, *(f"file{i}.parquet" for i in range(3))]


def test_a_part_is_there_whole_or_not_at_all(monkeypatch, tmp_path, whole):
    monkeypatch.setattr(parts_file, "BLOCK", 50)
    data, out, left = written(tmp_path / "in", [100]), tmp_path / "out", iter([1, 1, 1])

    def stopped(self, *args):
        next(left)
        return finish(self, *args)

    finish = MAEImputer._finish
    monkeypatch.setattr(MAEImputer, "_finish", stopped)
    with pytest.raises(RuntimeError):  # from StopIteration in a generator
        whole.transform(data, to=out)
    assert sorted(os.listdir(out)) == [streams.NOTE, "file0.parquet"]
    monkeypatch.undo()
    assert whole.transform(data, to=out).to_table().equals(whole.transform(table()))


@pytest.mark.slow
def test_scores_of_parts_are_those_of_the_whole_table(tmp_path):
    data = written(tmp_path / "in", [7, 150])
    detector = MAEAnomalyDetector(random_state=0, n_masks=2).fit(data)
    assert np.array_equal(detector.score_samples(data), detector.score_samples(table()))
    assert np.array_equal(detector.predict(data), detector.predict(table()))
    trimmed = MAEAnomalyDetector(random_state=0, n_masks=2, trim=0.1)
    one, other = trimmed.fit(data).offset_, trimmed.fit(table()).offset_
    assert one == pytest.approx(other, rel=1e-3)


@pytest.mark.slow
def test_features_of_parts_are_those_of_the_whole_table(tmp_path):
    data = written(tmp_path / "in", [7, 150])
    encoder = MAEEncoder(**FAST).fit(data)
    features = encoder.transform(data, to=tmp_path / "out").to_table()
    assert features.equals(encoder.transform(table()))


def test_a_table_in_memory_can_be_written_too(tmp_path, whole):
    filled = whole.transform(table(), to=tmp_path / "out").to_table()
    assert filled.equals(whole.transform(table()))


def test_a_folder_of_another_table_in_memory_is_refused(tmp_path, whole):
    frame, out = mixed(), tmp_path / "out"
    written_before = whole.transform(frame, to=out).to_table()
    for other in (frame[::-1], frame.assign(size=0.5), mixed().set_index(frame.index + 1)):
        with pytest.raises(ValueError, match="another model, or another table"):
            whole.transform(other, to=out)
    assert whole.transform(frame, to=out).to_table().equals(written_before)


def test_a_table_in_memory_that_cannot_be_read_is_refused_and_does_not_claim_the_folder(
    tmp_path, whole
):
    frame, out = mixed(), tmp_path / "out"
    wrong = [
        (None, TypeError, "must be a table in memory, got NoneType"),
        (frame[:0], ValueError, "Found array with 0 sample"),
        (frame.iloc[:, [0, 0]], ValueError, "Column names must be unique"),
        (frame.iloc[:, ::-1], ValueError, "same order as they were in fit"),
    ]
    for given, error, words in wrong:
        with pytest.raises(error, match=words):
            whole.transform(given, to=out)
    with pytest.raises(TypeError, match="'to' must be the path of a folder, got 3"):
        whole.transform(frame, to=3)
    assert whole.transform(frame, to=out).count_rows() == N


def drawn_of(data: ds.Dataset, n: int, seed: int) -> pa.Table:
    """Return n rows, drawn by a seed."""
    parts, random = parts_of(data), lambda: np.random.default_rng(seed)
    choose = alike(data.count_rows(), lambda _: n, random)
    return draw(parts, choose, "auto", np.nan, "X", print).table


def test_rows_are_drawn_alike_likely_whatever_the_parts(tmp_path):
    drawn = [
        drawn_of(written(tmp_path / f"{i}", cuts), 60, 5) for i, cuts in enumerate([[], [10, 100]])
    ]
    assert drawn[0].equals(drawn[1]) and drawn[0].num_rows == 60
    rows = pa.Table.from_pandas(pd.DataFrame({"row": np.arange(1000)}))
    counts = np.zeros(1000)
    for seed in range(200):
        found = drawn_of(ds.dataset(rows), 100, seed)
        counts[found["row"].to_numpy()] += 1
    assert counts.sum() == 200 * 100 and counts.min() >= 5 and counts.max() <= 40  # 20 expected


def test_only_some_rows_are_drawn_but_all_are_counted(monkeypatch, tmp_path):
    monkeypatch.setattr(streams, "LEAST_ROWS", 50)
    monkeypatch.setattr(streams, "MOST_ROWS", 50)
    rare = table().set_column(2, "kind", pa.array(["only once"] + ["usual"] * (N - 1)))
    imputer = MAEImputer(**FAST).fit(ds.dataset(rare))
    assert len(imputer.model_.guess.memory.values) <= 50
    assert imputer.schema_.columns[2].counts == (N - 1, 1)
    assert imputer.schema_.columns[0].n_observed == N - table()["size"].null_count


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda imputer, data, to: imputer.transform(data), ValueError, "pass to='folder'"),
        (lambda imputer, data, to: imputer.sample(data), TypeError, r"call \.to_table\(\) first"),
        (lambda imputer, data, to: imputer.transform(data, to=to), ValueError, "other files"),
        (
            lambda imputer, data, to: imputer.transform(data, to=to / "file0.parquet"),
            ValueError,
            "is a file; pass a folder",
        ),
        (
            lambda imputer, data, to: imputer.fit(ds.dataset(data.schema.empty_table())),
            ValueError,
            "has no rows",
        ),
        (
            lambda imputer, data, to: imputer.fit(pl.LazyFrame({"x": []})),
            ValueError,
            "has no rows",
        ),
        (
            lambda imputer, data, to: imputer.transform(
                ds.dataset([*data.files, *data.files]), to=to / "new"
            ),
            ValueError,
            "written to the same name",
        ),
        (
            lambda imputer, data, to: imputer.fit(data.filter(ds.field("size") > 0)),
            ValueError,
            "filtered",
        ),
        (
            lambda imputer, data, to: (
                MAEImputer(**FAST)
                .fit(table())
                .set_output(transform="pandas")
                .transform(data, to=to / "new")
            ),
            ValueError,
            r"set_output\(transform='pandas'\)",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_words(tmp_path, whole, call, error, words):
    data = written(tmp_path / "in", [100])
    with pytest.raises(error, match=words):
        call(whole, data, tmp_path / "in")


@pytest.mark.slow
def test_a_folder_of_another_model_or_table_is_refused(tmp_path, whole):
    data, out = written(tmp_path / "in", [100]), tmp_path / "out"
    whole.transform(data, to=out)
    other = MAEImputer(max_iter=0, random_state=0).fit(table().slice(0, 200))
    for imputer, given in ((other, data), (whole, written(tmp_path / "in2", [150]))):
        with pytest.raises(ValueError, match="another model, or another table"):
            imputer.transform(given, to=out)
    clipped = MAEImputer(**FAST, max_value=0.0).fit(table())
    with pytest.raises(ValueError, match="another model, or another table"):
        clipped.transform(data, to=out)
    assert json.loads((out / streams.NOTE).read_text())["class"] == "MAEImputer"


def test_files_are_told_apart_by_all_of_their_names(tmp_path, whole):
    (tmp_path / "in").mkdir()
    for i in range(3):
        pq.write_table(table().slice(80 * i, 80), tmp_path / "in" / f"day.2024-0{i}")
    names = [str(tmp_path / "in" / f"day.2024-0{i}") for i in range(3)]
    filled = whole.transform(ds.dataset(names), to=tmp_path / "out")
    assert filled.to_table().equals(whole.transform(table()))


def test_files_whose_names_arrow_passes_over_are_returned(tmp_path, whole):
    pq.write_table(table(), tmp_path / "_x.parquet")
    data = ds.dataset([str(tmp_path / "_x.parquet")])
    assert whole.transform(data, to=tmp_path / "out").count_rows() == N


def test_a_file_that_was_changed_is_another_table(tmp_path, whole):
    data, out = written(tmp_path / "in", [100]), tmp_path / "out"
    whole.transform(data, to=out)
    other = table().slice(0, 100).set_column(0, "size", pa.array(np.ones(100)))
    pq.write_table(other, tmp_path / "in" / "file0.parquet")
    with pytest.raises(ValueError, match="another table"):
        whole.transform(ds.dataset(tmp_path / "in"), to=out)


@pytest.mark.slow
def test_folders_that_tell_of_missing_cells_are_refused(tmp_path, whole):
    rows = table().set_column(2, "kind", pa.array([None, "big"] * (N // 2)))
    pq.write_to_dataset(rows, tmp_path / "in", partition_cols=["kind"])
    data = ds.dataset(tmp_path / "in", partitioning="hive")
    imputer = MAEImputer(**FAST).fit(data)
    with pytest.raises(ValueError, match="tell that 'kind' is missing"):
        imputer.transform(data, to=tmp_path / "out")


@pytest.mark.slow
def test_arrays_and_frames_of_pandas_can_be_written(tmp_path):
    frame = mixed()[["size", "weight"]]
    imputer = MAEImputer(**FAST).fit(frame)
    filled = imputer.transform(frame, to=tmp_path / "a").to_table().to_pandas()
    pd.testing.assert_frame_equal(filled, imputer.transform(frame))
    array = MAEImputer(**FAST).fit(frame.to_numpy())
    rows = array.transform(frame.to_numpy(), to=tmp_path / "b").to_table()
    assert np.array_equal(rows.to_pandas().to_numpy(), array.transform(frame.to_numpy()))


@pytest.mark.slow
def test_a_random_state_is_drawn_from_only_where_rows_are_left_out(tmp_path):
    models = [
        MAEImputer(max_iter=0, random_state=np.random.RandomState(3)).fit(X)
        for X in (table(), ds.dataset(table()))
    ]
    assert same_model(*models)
