from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import wasserstein_distance

from maetab.data.schema import infer_schema
from maetab.evaluation import cell_scores
from maetab.evaluation.interpolation import LinearInterpolation


def people() -> pd.DataFrame:
    """Numbers, a category and a column of truth and falsehood."""
    age = np.random.default_rng(0).normal(40, 12, 60)
    return pd.DataFrame(
        {"age": age, "income": 100 * age, "color": [*"xxyxxz"] * 10, "owner": age > 45}
    )


def test_cell_scores_agree_with_formulas_written_out() -> None:
    truth = pd.DataFrame({"size": [1.0, 2.0, 3.0, 6.0], "kind": ["a", "a", "b", "a"]})
    filled = pd.DataFrame({"size": [1.0, 3.0, 3.0, 4.0], "kind": ["a", "b", "b", "a"]})
    hidden = pd.DataFrame({"size": [False, True, True, True], "kind": [False, True, True, True]})
    scores = cell_scores(truth, filled, hidden, infer_schema(truth)).set_index(["column", "metric"])
    scale = np.std([1.0, 2.0, 3.0, 6.0])
    expected = {
        ("size", "rmse"): np.sqrt((1 + 0 + 4) / 3) / scale,
        ("size", "mae"): (1 + 0 + 2) / 3 / scale,
        ("size", "wasserstein"): wasserstein_distance([2.0, 3.0, 6.0], [3.0, 3.0, 4.0]) / scale,
        ("kind", "accuracy"): 2 / 3,
        ("kind", "f1_macro"): (2 / 3 + 2 / 3) / 2,
    }
    assert scores["value"].to_dict() == pytest.approx(expected, rel=1e-6)
    assert (scores["n_cells"] == 3).all()


def test_f1_is_averaged_over_the_levels_among_the_hidden_cells_alone() -> None:
    truth = pd.DataFrame({"kind": ["a", "a", "b", "c", "c"]})
    filled = pd.DataFrame({"kind": ["a", "c", "b", "c", "c"]})
    hidden = pd.DataFrame({"kind": [True, True, True, False, False]})
    scores = cell_scores(truth, filled, hidden, infer_schema(truth), ["f1_macro"])
    assert scores["value"].tolist() == pytest.approx([(2 / 3 + 1) / 2])  # of a and b


def test_a_perfect_filling_has_no_error_and_full_accuracy() -> None:
    frame = people()
    hidden = frame.notna()
    scores = cell_scores(frame, frame, hidden, infer_schema(frame))
    best = scores["metric"].isin(["accuracy", "f1_macro"]).astype(float)
    assert (scores["value"] == best).all()


def test_columns_without_hidden_cells_have_no_line() -> None:
    frame = people()
    hidden = pd.DataFrame(False, index=frame.index, columns=frame.columns)
    hidden.loc[1, "income"] = True
    scores = cell_scores(frame, frame, hidden, infer_schema(frame))
    assert set(scores["column"]) == {"income"}


def test_columns_of_free_text_have_no_line() -> None:
    names = [f"No. {i}, called {'abc'[i % 3] * (i % 7 + 1)}" for i in range(100)]
    frame = pd.DataFrame({"name": names, "size": np.arange(100.0)})
    schema = infer_schema(frame)
    assert schema.is_free_text().tolist() == [True, False]
    scores = cell_scores(frame, frame, frame.notna(), schema, ["accuracy", "mae"])
    assert scores[["column", "metric", "value"]].to_numpy().tolist() == [["size", "mae", 0.0]]


@pytest.mark.parametrize("unit", ["days", "numbers"])
def test_lines_go_by_time_and_not_by_rows_and_end_with_their_series(unit: str) -> None:
    at = np.array([0, 1, 10, 0, 2, 8, 10])
    when = pd.Timestamp("2024-01-01") + pd.to_timedelta(at, unit="D") if unit == "days" else at
    index = pd.MultiIndex.from_arrays([list("xxxyyyy"), when], names=["series", "when"])
    cells = {
        "a": [0.0, np.nan, 20.0, np.nan, 3.0, np.nan, 11.0],
        "b": [0, None, 9, 5, None, None, None],
        "c": [None, "p", None, None, "q", None, "r"],
    }
    frame = pd.DataFrame(cells, index=index).astype({"b": "Int64"})
    filled = LinearInterpolation(1).fit(frame).transform(frame)
    assert filled["a"].tolist() == [0.0, 2.0, 20.0, 3.0, 3.0, 9.0, 11.0]
    assert filled["b"].tolist() == [0, 1, 9, 5, 5, 5, 5] and filled["b"].dtype == "Int64"
    assert filled["c"].tolist() == list("pppqqqr")
