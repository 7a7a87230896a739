"""What fit warns of: text that should be numbers or dates, marks of missing, networks left out."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from maetab import MAEImputer
from maetab.warned import warn_of_networks


def test_code_without_a_name_is_warned_as_any_other():
    code = "imputer.fit(X)"
    X = np.column_stack([np.ones(20), np.arange(20.0)])
    with pytest.warns(UserWarning, match="column 'x0' is constant") as said:
        exec(compile(code, "given.py", "exec"), {"imputer": MAEImputer(max_iter=0), "X": X})
    assert said[0].filename == "given.py"


@pytest.mark.parametrize(
    ("n_begun", "words"),
    [
        (0, "s no network was trained (2 columns); the first guess alone will be used."),
        (2, "s 2 of 3 networks were trained (2 columns); these will be used."),
    ],
)
def test_networks_left_out_are_told_in_plain_words(n_begun, words):
    imputer = MAEImputer(max_iter=0).fit(np.random.default_rng(0).normal(size=(20, 2)))
    imputer.set_params(max_iter=None, max_time=3.0, n_estimators=3)
    imputer.history_ = [{"network": i} for i in range(n_begun)]
    with pytest.warns(UserWarning) as said:
        warn_of_networks(imputer)
    assert f"MAEImputer: within max_time=3 {words} A larger max_time" in str(said[0].message)
    imputer.history_ = [{"network": i} for i in range(3)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_networks(imputer)
