"""Filled cells beside observed ones, and hidden cells beside what a model made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from maetab.data.containers import read_frame
from maetab.data.schema import Column
from maetab.plot import panels


@dataclass(eq=False, repr=False)
class ImputationDisplay:
    """What was filled in against what was observed, a panel for each column.

    Parameters
    ----------
    observed, imputed : one array for each column: numbers (days since 1970 for dates), or places
        in the column's `levels`
    columns : as many Columns

    Attributes
    ----------
    axes_, figure_ : the axes of the panels and their figure
    observed_, imputed_ : what was drawn on each, patches or bars

    Examples
    --------
    >>> holes = pd.DataFrame({"a": [1.0, None, 3.0], "b": [1, 2, 3]})
    >>> display = ImputationDisplay.from_frames(holes, holes.fillna(2.0))
    >>> display.columns[0].name, display.imputed[0].tolist()
    ('a', [2.0])
    """

    observed: Sequence[np.ndarray]
    imputed: Sequence[np.ndarray]
    columns: Sequence[Column]

    @classmethod
    def from_frames(cls, original: Any, filled: Any, columns: Sequence | None = None) -> Self:
        """Return the display of a table with missing cells and of the same table filled.

        Parameters
        ----------
        original, filled : (n, F) tables
        columns : names; by default those with filled cells, the 12 with most of them
        """
        before, after, schema = panels.read_pair(original, filled, "filled")
        imputed = np.isnan(before) & ~np.isnan(after)
        chosen = panels.choose(schema, imputed, columns, "a missing cell that is filled")
        seen = [before[~np.isnan(before[:, j]), j] for j in chosen]
        return cls(seen, [after[imputed[:, j], j] for j in chosen], panels.pick(schema, chosen))

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw on as many axes as columns, or a new figure; `kwargs` go to `hist` and `bar`."""
        self.axes_ = panels.panel_grid(ax, len(self.columns))
        self.figure_, self.observed_, self.imputed_ = self.axes_[0].figure, [], []
        for axes, column, *values in zip(self.axes_, self.columns, self.observed, self.imputed):
            draw = panels.draw_numbers if column.kind == "number" else panels.draw_levels
            observed, imputed = draw(axes, column, *values, **kwargs)
            self.observed_.append(observed)
            self.imputed_.append(imputed)
            axes.set_title(panels.short(column.name), fontsize="medium")
            panels.open_frame(axes)
        panels.write_legend(self.axes_, ax is None)
        return self


@dataclass(eq=False, repr=False)
class ReconstructionDisplay:
    """Cells that were hidden against what the model made of them, a panel for each column.

    Parameters
    ----------
    original, reconstruction : one array for each column, values of the same cells; numbers (days
        since 1970 for dates), or places in the column's `levels`
    columns : as many Columns

    Attributes
    ----------
    axes_, figure_ : the axes of the panels and their figure
    points_ : what was drawn on each; for categories the area of a point counts its cells

    Examples
    --------
    >>> frame, guess = pd.DataFrame({"a": [1.0, 2.0]}), pd.DataFrame({"a": [1.5, 2.0]})
    >>> display = ReconstructionDisplay.from_frames(frame, guess, hidden=[[True], [False]])
    >>> display.original[0].tolist(), display.reconstruction[0].tolist()
    ([1.0], [1.5])
    """

    original: Sequence[np.ndarray]
    reconstruction: Sequence[np.ndarray]
    columns: Sequence[Column]

    @classmethod
    def from_frames(
        cls, original: Any, reconstruction: Any, hidden: Any, columns: Sequence | None = None
    ) -> Self:
        """Return the display of two tables at the cells `hidden`.

        Parameters
        ----------
        original, reconstruction : (n, F) tables
        hidden : (n, F) bool table, True for the cells to show
        columns : names; by default those with hidden cells, the 12 with most of them
        """
        before, after, schema = panels.read_pair(original, reconstruction, "reconstruction")
        shown = panels.read_hidden(hidden, before.shape) & ~np.isnan(before) & ~np.isnan(after)
        chosen = panels.choose(schema, shown, columns, "a 'hidden' cell that both tables hold")
        hits, guesses = ([table[shown[:, j], j] for j in chosen] for table in (before, after))
        return cls(hits, guesses, panels.pick(schema, chosen))

    @classmethod
    def from_estimator(
        cls, imputer: Any, X: Any, hidden: Any, columns: Sequence | None = None
    ) -> Self:
        """Return the display of how a fitted `imputer` fills the cells `hidden` of the table X."""
        frame, back = read_frame(X)
        holes = frame.mask(panels.read_hidden(hidden, frame.shape))
        return cls.from_frames(X, imputer.transform(back.give(holes)), hidden, columns)

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw on as many axes as columns, or a new figure; `kwargs` go to `scatter`."""
        self.axes_ = panels.panel_grid(ax, len(self.columns))
        self.figure_, self.points_ = self.axes_[0].figure, []
        cells = zip(self.columns, self.original, self.reconstruction)
        for axes, (column, *values) in zip(self.axes_, cells):
            draw = panels.draw_agreement if column.kind == "number" else panels.draw_confusion
            points, found = draw(axes, column, *values, **kwargs)
            self.points_.append(points)
            axes.set_title(f"{panels.short(column.name)}: {found}", fontsize="medium")
            panels.open_frame(axes)
        panels.label_all(self.axes_, ax is None, "original", "reconstruction")
        return self
