"""Series in tables that are read in parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from maetab import MAEAnomalyDetector, MAEEncoder, MAEImputer
from maetab.cli import main as run
from maetab.data.parts import parts_of
from maetab.data.series_parts import SeriesInParts

GIVEN = {"window": 8, "time": "when", "groups": "shop", "max_iter": 0, "random_state": 0}
LENGTHS = {"a": 60, "b": 45, "c": 70, "d": 30, "e": 52}


def panel() -> pd.DataFrame:
    rng, frames = np.random.default_rng(0), []
    for number, (shop, n) in enumerate(LENGTHS.items()):
        t = np.arange(n)
        sold = 10 * number + 3 * np.sin(t / 4) + rng.normal(size=n).cumsum() / 4
        when = pd.date_range("2024-01-01", periods=n, freq="D")
        visits = 2 * sold + rng.normal(size=n)
        frames.append(pd.DataFrame({"shop": shop, "when": when, "sold": sold, "visits": visits}))
    frame = pd.concat(frames, ignore_index=True)
    values = frame[["sold", "visits"]]
    return frame.assign(**values.mask(rng.random(values.shape) < 0.15))


def written(folder: Path, groups: list[str]) -> ds.Dataset:
    """The shops of each text in a file, in the order of the text."""
    folder.mkdir(parents=True)
    for i, shops in enumerate(groups):
        rows = pd.concat([panel().query("shop == @shop") for shop in shops])
        own = pa.Table.from_pandas(rows, preserve_index=False)
        pq.write_table(own, folder / f"file{i}.parquet", row_group_size=25)
    return ds.dataset(folder)


def in_order(table) -> pd.DataFrame:
    frame = table.to_pandas() if hasattr(table, "to_pandas") else table
    return frame.sort_values(["shop", "when"], ignore_index=True)


@pytest.mark.slow
def test_a_panel_in_files_is_fitted_and_filled_as_in_memory(tmp_path):
    data = written(tmp_path / "in", ["ab", "c", "de"])
    in_memory = data.to_table().to_pandas()
    wanted = MAEImputer(**GIVEN).fit_transform(in_memory)
    imputer = MAEImputer(**GIVEN).fit(data)
    filled = imputer.transform(data, to=tmp_path / "out")
    got = in_order(filled.to_table())
    pd.testing.assert_frame_equal(got, in_order(wanted), check_dtype=False, rtol=1e-6)
    assert len(filled.files) == 3 and not got[["sold", "visits"]].isna().any(axis=None)


@pytest.mark.slow
def test_a_lazy_frame_is_read_as_a_panel(tmp_path):
    frame = panel()
    wanted = MAEImputer(**GIVEN).fit_transform(frame)
    lazy = pl.from_pandas(frame).lazy()
    filled = MAEImputer(**GIVEN).fit(lazy).transform(lazy, to=tmp_path / "out").to_table()
    pd.testing.assert_frame_equal(in_order(filled), in_order(wanted), check_dtype=False, rtol=1e-6)


@pytest.mark.slow
def test_the_command_line_fills_a_folder_of_series(tmp_path, capsys):
    written(tmp_path / "in", ["ab", "c", "de"])
    own = ["--window", "8", "--time", "when", "--groups", "shop", "--max-gap", "1"]
    words = [*own, "--preset", "fast", "--max-time", "20"]
    assert run(["impute", str(tmp_path / "in"), *words, "-o", str(tmp_path / "out")]) == 0
    assert "257 rows in 3 files written" in capsys.readouterr().err
    got, holes = in_order(ds.dataset(tmp_path / "out").to_table()), in_order(panel())
    for name in ("sold", "visits"):
        missing = holes[name].isna()
        run_of = (~missing).cumsum()
        long = missing & (missing.groupby([holes["shop"], run_of]).transform("sum") > 1)
        assert (got[name].isna() == long).all() and long.any()


@pytest.mark.slow
def test_scores_and_features_of_a_panel_are_those_of_the_table_in_memory(tmp_path):
    data = written(tmp_path / "in", ["ab", "c", "de"])
    in_memory = data.to_table().to_pandas()
    detector = MAEAnomalyDetector(**GIVEN).fit(in_memory)
    np.testing.assert_allclose(
        detector.score_samples(data), detector.score_samples(in_memory), rtol=1e-5, atol=1e-5
    )
    encoder = MAEEncoder(n_components=3, **GIVEN).fit(in_memory)
    got = encoder.transform(data, to=tmp_path / "out").to_table().to_pandas()
    wanted = encoder.transform(in_memory)
    np.testing.assert_allclose(got.to_numpy(), np.asarray(wanted), rtol=1e-4, atol=1e-4)


def test_whole_series_are_drawn_where_there_are_too_many_rows(tmp_path):
    parts = parts_of(written(tmp_path / "in", ["ab", "c", "de"]))
    assert parts is not None
    series, drawn = SeriesInParts(parts, "shop", "MAEImputer"), set()
    assert series.rows == LENGTHS
    for seed in range(20):
        chosen = series.some(lambda n: 130, lambda s=seed: np.random.default_rng(s))(4)
        frame = pd.concat([panel().query("shop == @shop") for shop in "abcde"])
        own = frame.iloc[chosen(frame, 0)]["shop"].value_counts().to_dict()
        assert own and all(LENGTHS[shop] == count for shop, count in own.items())
        assert sum(own.values()) <= 130
        drawn |= set(own)
    assert drawn == set(LENGTHS)


@pytest.mark.slow
def test_one_series_is_cut_where_each_is_too_long(tmp_path):
    parts = parts_of(written(tmp_path / "in", ["ab", "c", "de"]))
    assert parts is not None
    series, drawn = SeriesInParts(parts, "shop", "MAEImputer"), set()
    for seed in range(20):
        chosen = series.some(lambda n: 20, lambda s=seed: np.random.default_rng(s))(4)
        frame = pd.concat([panel().query("shop == @shop") for shop in "abcde"])
        blocks = [frame.iloc[a : a + 37] for a in range(0, len(frame), 37)]
        own = pd.concat([block.iloc[chosen(block, 0)] for block in blocks])
        assert own["shop"].nunique() == 1 and len(own) == 20
        assert (own["when"].diff().dropna() == pd.Timedelta("1D")).all()
        drawn.add(own["shop"].iloc[0])
    assert len(drawn) > 2


def test_rows_that_follow_each_other_are_drawn_of_one_series(tmp_path):
    parts = parts_of(written(tmp_path / "in", ["a"]))
    assert parts is not None
    series, starts = SeriesInParts(parts, None, "MAEImputer"), set()
    for seed in range(30):
        chosen = series.some(lambda n: 20, lambda s=seed: np.random.default_rng(s))(4)
        blocks = [(panel().iloc[a : a + 25], a) for a in (0, 25, 50)]
        places = np.concatenate([start + chosen(block[:60], start) for block, start in blocks])
        places = places[places < 60]
        assert (np.diff(places) == 1).all() and len(places) == 20
        starts.add(int(places[0]))
    assert len(starts) > 5 and min(starts) >= 0 and max(starts) <= 40


@pytest.mark.slow
def test_a_series_in_several_parts_is_not_filled_and_named(tmp_path):
    data = written(tmp_path / "in", ["ab", "cd", "be"])
    imputer = MAEImputer(**GIVEN).fit(panel())
    with pytest.raises(ValueError, match=r"the series 'b' of shop lies in several parts, file0"):
        imputer.transform(data, to=tmp_path / "out")
    alone = MAEImputer(**GIVEN | {"groups": None, "time": None}).fit(panel().query("shop == 'a'"))
    with pytest.raises(ValueError, match="one series lies in several parts"):
        alone.transform(data, to=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("groups", "words"), [("store", "must name columns or index levels of X, got 'store'")]
)
def test_groups_of_parts_are_checked(groups, words, tmp_path):
    data = written(tmp_path / "in", ["ab"])
    with pytest.raises(ValueError, match=words):
        MAEImputer(**GIVEN | {"groups": groups}).fit(data)


def test_a_row_without_group_is_refused(tmp_path):
    frame = panel()
    frame.loc[3, "shop"] = None
    data = ds.dataset(pa.Table.from_pandas(frame, preserve_index=False))
    with pytest.raises(ValueError, match="'shop' tells series apart, but a row has none"):
        MAEImputer(**GIVEN).fit(data)
