"""Rubin's rules: pooled estimates, their variances and degrees of freedom."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, special

from maetab.evaluation import pool


def density(x: float, dof: float) -> float:
    """Student's t, from its definition."""
    scale = special.gamma((dof + 1) / 2) / (np.sqrt(dof * np.pi) * special.gamma(dof / 2))
    return scale * (1 + x * x / dof) ** (-(dof + 1) / 2)


def test_three_tables_by_hand():
    """Estimates 1, 2, 3 with variances 1: between tables 1, and a third of that for the draws."""
    found = pool([1.0, 2.0, 3.0], [1.0, 1.0, 1.0], dof=10).iloc[0]
    share = Fraction(4, 3) / Fraction(7, 3)
    many = 2 / share**2
    observed = Fraction(11, 13) * 10 * (1 - share)
    dof = 1 / (1 / many + 1 / observed)
    assert found["estimate"] == 2
    assert found["variance"] == pytest.approx(7 / 3)
    assert found["std_error"] == pytest.approx((7 / 3) ** 0.5)
    assert found["dof"] == pytest.approx(float(dof))
    missing = (Fraction(4, 3) + 2 / (many + 3)) / Fraction(7, 3)
    assert found["fmi"] == pytest.approx(float(missing))
    inside = integrate.quad(density, -found["t"], found["t"], args=(float(dof),))[0]
    assert found["p_value"] == pytest.approx(1 - inside)
    reach = (found["upper"] - 2) / found["std_error"]
    assert integrate.quad(density, -reach, reach, args=(float(dof),))[0] == pytest.approx(0.95)
    assert found["lower"] == pytest.approx(4 - found["upper"])
    large = pool([1.0, 2.0, 3.0], [1.0, 1.0, 1.0]).iloc[0]
    assert large["dof"] == pytest.approx(float(many))


def test_intervals_of_small_incomplete_samples_hold_the_mean_as_often_as_they_say():
    """Of 20 normal numbers half are missing, and drawn from their posterior, five times."""
    random, held = np.random.default_rng(0), []
    for _ in range(1500):
        seen = random.normal(size=10)
        variance = 9 * seen.var(ddof=1) / random.chisquare(9, 5)
        mean = seen.mean() + random.normal(size=5) * np.sqrt(variance / 10)
        drawn = mean[:, None] + random.normal(size=(5, 10)) * np.sqrt(variance)[:, None]
        whole = np.column_stack([np.tile(seen, (5, 1)), drawn])
        one = pool(whole.mean(1), whole.var(1, ddof=1) / 20, dof=19, confidence=0.9).iloc[0]
        held.append(one["lower"] < 0 < one["upper"])
    assert 0.87 < np.mean(held) < 0.94


def test_without_missing_cells_the_analysis_of_the_table_comes_back():
    same = pool([0.5] * 4, [0.04] * 4).iloc[0]
    assert same[["estimate", "variance", "fmi"]].tolist() == pytest.approx([0.5, 0.04, 0])
    assert same["upper"] == pytest.approx(0.5 + 0.2 * 1.959964, abs=1e-6)
    few = pool([0.5] * 4, [0.04] * 4, dof=12).iloc[0]
    assert few["dof"] == pytest.approx(12 * 13 / 15)


def test_covariance_matrices_and_named_results_give_the_same_as_numbers():
    random = np.random.default_rng(1)
    names, many = ["one", "two"], random.normal(size=(5, 2))
    roots = random.normal(size=(5, 2, 4))
    matrices = roots @ roots.transpose(0, 2, 1)
    plain = pool(many, [np.diag(matrix) for matrix in matrices], dof=30)
    named = pool(
        [pd.Series(one, names) for one in many],
        [pd.DataFrame(matrix, names, names) for matrix in matrices],
        dof=30,
    )
    assert named.index.tolist() == names
    np.testing.assert_array_equal(named.to_numpy(), plain.to_numpy())
    dicts = pool([dict(zip(names, one)) for one in many.tolist()], matrices, dof=30)
    pd.testing.assert_frame_equal(dicts, named)
    alone = pool(many[:, 1], matrices[:, 1, 1], dof=30)
    np.testing.assert_array_equal(alone.to_numpy()[0], plain.to_numpy()[1])


@pytest.mark.parametrize(
    ("estimates", "variances", "more", "words"),
    [
        ([1.0], [1.0], {}, "at least two"),
        ([1.0, 2.0], [1.0], {}, "at least two"),
        ([1.0, 2.0, 3.0], [1.0, 1.0], {}, "variances must be of 3 tables"),
        ([1.0, 2.0], [1.0, 0.0], {}, "above 0, got 0.0"),
        ([1.0, np.nan], [1.0, 1.0], {}, "estimates must be finite"),
        ([[1.0, 2.0], [1.0]], [[1.0], [1.0]], {}, "one shape"),
        ([1.0, 2.0], [1.0, 1.0], {"dof": 0}, "dof"),
        ([1.0, 2.0], [1.0, 1.0], {"confidence": 1}, "confidence"),
        ([{"a": 1}, {"b": 1}], [{"a": 1}, {"a": 1}], {}, "same names"),
        ([{"a": 1, "b": 2}, {"b": 2, "a": 1}], [[1.0, 1.0]] * 2, {}, "names in the same order"),
        ([{"a": 1}, {"a": 1}], [{"b": 1}, {"b": 1}], {}, "names of the estimates"),
        (pd.DataFrame([[1.0, 5.0]] * 2, columns=[1, 2]), [[1.0, 1.0]] * 2, {}, "got a DataFrame"),
        ({1: 0.5, 2: 0.7}, [1.0, 1.0], {}, "estimates must be a list .* got a dict"),
        (
            [[1.0, 2.0]] * 2,
            [pd.DataFrame(np.eye(2), [0, 1], [1, 0])] * 2,
            {},
            "same names for rows",
        ),
    ],
)
def test_what_does_not_fit_is_refused(estimates, variances, more, words):
    with pytest.raises(ValueError, match=words):
        pool(estimates, variances, **more)
