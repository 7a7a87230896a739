"""Numbers of series beyond the range that fit has seen."""

import numpy as np
import pandas as pd
import pytest

from maetab import MAEImputer
from maetab.data.columns import Column
from maetab.data.schema import Schema
from maetab.ranges import Range


@pytest.mark.parametrize(
    ("seen", "dtype", "ends"),
    [
        ((-5, 0), "float64", (-20, 0)),
        ((0, 5), "float64", (0, 20)),
        ((-1, 4), "float64", (-16, 19)),
        ((90, 100), "int8", (60, 127)),
        ((-100, -90), "int8", (-128, -60)),
    ],
)
def test_the_range_of_series_ends_at_zero_and_where_the_dtype_does(seen, dtype, ends):
    low, high = seen
    integer = dtype == "int8"
    column = Column("a", "number", dtype, lower=low, upper=high, n_observed=9, integer=integer)
    found = Range(Schema((column,)), None, None, True, in_time=True).ends()
    assert found.tolist() == [[ends[0]], [ends[1]]]


def test_series_may_leave_the_range_of_fit_but_not_its_sign_or_its_dtype():
    level = np.sin(np.arange(400) / 4) + 2
    known = pd.DataFrame({"x": level, "n": np.round(level * 40).astype("uint8")})
    imputer = MAEImputer(window=16, max_iter=0, random_state=0).fit(known)
    high, low = known["x"] + 4, known["x"] - 1
    later = pd.DataFrame({"x": high.mask(np.arange(400) % 7 == 3), "n": known["n"]})
    filled = imputer.transform(later)["x"]
    assert filled[later["x"].isna()].max() > known["x"].max() + 1
    assert (filled - high).abs().mean() < 0.2
    later = pd.DataFrame({"x": low.mask(np.arange(400) % 7 == 3), "n": known["n"]})
    assert imputer.transform(later)["x"][later["x"].isna()].min() >= 0
    n = (known["n"].astype("Int64") + 130).mask(np.arange(400) % 7 == 3).astype("UInt8")
    filled = imputer.transform(pd.DataFrame({"x": known["x"], "n": n}))["n"]
    assert filled.dtype == "UInt8" and filled.notna().all()
