"""Which cells of a table are missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from maetab.data.containers import read_frame
from maetab.plot import panels
from maetab.plot.panels import ORANGE


@dataclass(eq=False, repr=False)
class MissingnessDisplay:
    """Which cells are missing, and what share of each column.

    Parameters
    ----------
    missing : (n, F) bool, True where a cell is missing
    columns : F names

    Attributes
    ----------
    axes_, figure_ : the two axes, shares above and cells below, and their figure
    bars_, image_ : what they hold

    Examples
    --------
    >>> display = MissingnessDisplay.from_frame(pd.DataFrame({"a": [1.0, None], "b": ["x", "y"]}))
    >>> display.missing.mean(0).tolist()
    [0.5, 0.0]
    """

    missing: np.ndarray
    columns: Sequence

    @classmethod
    def from_frame(cls, X: Any) -> Self:
        """Return the display of a table (n, F) of any container."""
        frame = read_frame(X)[0]
        return cls(frame.isna().to_numpy(), list(frame.columns))

    def plot(self, ax: Sequence | None = None, **kwargs: Any) -> Self:
        """Draw on two axes, or a new figure; `kwargs` go to `imshow`."""
        n_rows, n_columns = self.missing.shape
        size = (min(max(4.0, 1.5 + 0.4 * n_columns), 16.0), 5.0)
        above, below = self.axes_ = panels.stacked_axes(ax, size)
        self.figure_ = below.figure
        shares = self.missing.mean(0)
        self.bars_ = above.bar(range(n_columns), shares, 0.8, color=ORANGE)
        above.set(ylabel="missing", ylim=(0, min(1, max(0.1, 1.2 * shares.max()))))
        above.yaxis.set_major_formatter("{x:.0%}")
        above.tick_params(axis="x", bottom=False, labelbottom=False)
        panels.open_frame(above)
        self.image_ = panels.draw_blocks(below, self.missing, **kwargs)
        below.set(ylabel=f"row ({n_rows} in all)")
        panels.write_names(below, self.columns)
        return self
