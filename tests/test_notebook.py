"""What notebooks show of estimators."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from models import QUICK
from sklearn import config_context
from sklearn.pipeline import make_pipeline

from maetab import MAEAnomalyDetector, MAEEncoder, MAEImputer, load, save
from maetab.notebook import fitted_facts

TRAINED = {"guess": QUICK, "max_iter": 2, "width": 8, "n_estimators": 1, "random_state": 0}


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    a = rng.normal(size=60)
    return pd.DataFrame(
        {"a": a, "<b>&": a + rng.normal(size=60) / 5, "c": rng.choice(["x", "y"], 60)}
    )


@pytest.fixture(scope="module")
def fitted() -> MAEImputer:
    return MAEImputer(**TRAINED).fit(frame())


def test_before_fit_scikit_learns_display_stands_alone():
    html = MAEImputer()._repr_html_()
    assert "MAEImputer" in html and "maetab-fitted" not in html


def test_the_display_of_a_fitted_estimator_says_what_was_fitted(fitted):
    for html in (fitted._repr_html_(), fitted._repr_mimebundle_()["text/html"]):
        shown = html.partition('<table class="maetab-fitted">')[2]
        assert "<td>60</td>" in shown and "share of the network" in shown
        assert "3: a, &lt;b&gt;&amp;, c" in shown and "<b>" not in shown


def test_the_facts_are_those_of_the_model(fitted):
    facts, model = fitted_facts(fitted), fitted.model_
    assert facts["network"].startswith(f"{fitted.n_iter_} epochs, ")
    assert (
        facts["share of the network"]
        == f"{model.network_weight.numpy().mean():.0%} (mean over columns)"
    )
    skill = 1 - np.mean(model.residual_std.numpy()[:2] ** 2)
    assert facts["skill of the network"].startswith(f"{skill:.2f} ")


def test_estimators_without_a_network_and_of_series_say_so():
    encoder = MAEEncoder(guess=QUICK, max_iter=0, random_state=0).fit(frame()[["a"]])
    assert fitted_facts(encoder) == {
        "rows": "60",
        "columns": "1: a",
        "network": "none, the first guess alone",
    }
    series = MAEImputer(guess=QUICK, max_iter=0, window=4, random_state=0).fit(frame()[["a"]])
    assert fitted_facts(series)["window"] == "4 steps"


def test_facts_survive_files_pickles_and_other_estimators(fitted, tmp_path):
    save(fitted, tmp_path / "m.safetensors")
    copies = load(tmp_path / "m.safetensors"), pickle.loads(pickle.dumps(fitted))
    for same in (*copies, MAEAnomalyDetector.from_fitted(fitted)):
        assert fitted_facts(same) == fitted_facts(fitted)


def test_models_that_do_not_know_their_rows_are_shown_without(fitted):
    old = pickle.loads(pickle.dumps(fitted))
    del old.n_samples_fit_
    assert "rows" not in fitted_facts(old) and "columns" in fitted_facts(old)


def test_text_displays_and_pipelines_stay_scikit_learns(fitted):
    with config_context(display="text"):
        assert "text/html" not in fitted._repr_mimebundle_()
        assert not hasattr(fitted, "_repr_html_")
    assert "MAEImputer" in make_pipeline(fitted)._repr_html_()
