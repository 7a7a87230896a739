"""Models that maetab 0.1.0 has saved or pickled predict what they did then.

The files in data/ were written by 0.1.0, from the table in predictions.json; what the models
predicted for its first rows stands beside it.
"""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from maetab import load, save
from maetab.files.models import FORMAT, read_info

DATA = Path(__file__).parent / "data"
WRITTEN = json.loads((DATA / "predictions.json").read_text(encoding="utf-8"))
DTYPES = {"size": "float64", "weight": "float64", "rooms": "Int64", "color": "object"}
TABLE = pd.DataFrame({c: pd.Series(WRITTEN["table"][c], dtype=DTYPES[c]) for c in DTYPES})
ROWS = TABLE.iloc[:12]


def saved(name):
    return load(DATA / f"{name}.safetensors")


def pickled(name):
    return pickle.loads((DATA / f"{name}.pickle").read_bytes())


def assert_same(found, written):
    """Numbers to 1e-6, everything else the same."""
    if isinstance(written, dict):
        for column, cells in written.items():
            assert_same(list(found[column]), cells)
    elif any(isinstance(cell, str) for cell in written):
        assert list(found) == written
    else:
        found, written = np.asarray(found, float), np.array(written, float)
        np.testing.assert_allclose(found, written, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("opened", [saved, pickled])
def test_an_old_imputer_fills_and_bounds_as_it_did(opened):
    imputer, written = opened("MAEImputer"), WRITTEN["predictions"]["MAEImputer"]
    assert_same(imputer.transform(ROWS), written["transform"])
    lower, upper = imputer.predict_interval(ROWS)
    assert_same(lower, written["lower"])
    assert_same(upper, written["upper"])
    assert_same(imputer.predict_proba(ROWS)["color"], written["proba"])


@pytest.mark.parametrize("opened", [saved, pickled])
def test_an_old_encoder_makes_the_features_it_did(opened):
    encoder, written = opened("MAEEncoder"), WRITTEN["predictions"]["MAEEncoder"]
    assert_same(encoder.transform(ROWS), written["transform"])
    assert type(encoder.masking).__name__ == "Block"


@pytest.mark.parametrize("opened", [saved, pickled])
def test_an_old_detector_scores_and_explains_as_it_did(opened):
    detector, written = opened("MAEAnomalyDetector"), WRITTEN["predictions"]["MAEAnomalyDetector"]
    for method in ("score_samples", "predict", "score_cells"):
        assert_same(getattr(detector, method)(ROWS), written[method])
    # A score that is that of a training row but for the last bit, in which processors differ,
    # counts it or not.
    one, found = 1 / (len(detector.scores_) + 1), detector.p_values(ROWS)
    np.testing.assert_allclose(found, written["p_values"], rtol=0, atol=1.01 * one)
    reasons = detector.explain(ROWS, top=2)
    assert [list(reasons["row"]), list(reasons["column"])] == written["explain"][:2]
    assert_same(reasons["expected"].astype(str), written["explain"][2])


@pytest.mark.parametrize("name", ["MAEImputer", "MAEEncoder", "MAEAnomalyDetector"])
def test_the_files_are_those_of_the_first_version(name):
    """Files written anew would prove nothing."""
    info = read_info(DATA / f"{name}.safetensors")
    assert (info["format"], info["versions"]["maetab"]) == (1, "0.1.0")


@pytest.mark.parametrize("name", ["MAEImputer", "MAEEncoder", "MAEAnomalyDetector"])
def test_an_old_model_that_is_saved_again_has_the_present_format(name, tmp_path):
    save(saved(name), tmp_path / "again.safetensors")
    assert read_info(tmp_path / "again.safetensors")["format"] == FORMAT
    again = load(tmp_path / "again.safetensors")
    assert again.schema_ == pickled(name).schema_
