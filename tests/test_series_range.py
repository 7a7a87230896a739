"""Numbers of series beyond the range that fit has seen."""

import numpy as np
import pandas as pd

from maetab import MAEImputer


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
