"""Mixed frames as numbers, for peers that read matrices, and back."""

from __future__ import annotations

import numpy as np
import pandas as pd


def is_number(column: pd.Series) -> bool:
    """Return True for a column of numbers; text, categories and booleans are categories."""
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def levels_of(column: pd.Series) -> list:
    """Return the levels that occur in a column: in declared order, else sorted."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return list(column.cat.remove_unused_categories().cat.categories)
    return sorted(column.dropna().unique())


class Coder:
    """A frame as a matrix of standardised numbers and back; learned from observed cells.

    Parameters
    ----------
    one_hot : bool
        True gives a category one column of 0 and 1 per level; False gives it one column of
        codes, standardised like a number.
    """

    def __init__(self, one_hot: bool) -> None:
        self.one_hot = one_hot

    def fit(self, frame: pd.DataFrame) -> Coder:
        """Learn the levels, and the mean and standard deviation of every numeric block."""
        self.levels = [None if is_number(c) else levels_of(c) for _, c in frame.items()]
        self.center, self.scale = [], []
        for (_, column), levels in zip(frame.items(), self.levels, strict=True):
            block = self._block(column, levels)
            standardised = block.shape[1] == 1 and not (levels is not None and self.one_hot)
            empty = np.isnan(block).all()
            self.center.append(np.nanmean(block) if standardised and not empty else 0.0)
            self.scale.append((np.nanstd(block) if standardised and not empty else 1.0) or 1.0)
        return self

    def _block(self, column: pd.Series, levels: list | None) -> np.ndarray:
        """Return the columns of the matrix that stand for one column of the frame."""
        if levels is None:
            return column.to_numpy(dtype=np.float64, na_value=np.nan)[:, None]
        codes = pd.Index(levels).get_indexer(column.astype(object))
        if not self.one_hot:
            return np.where(codes < 0, np.nan, codes.astype(np.float64))[:, None]
        block = (codes[:, None] == np.arange(max(len(levels), 1))).astype(np.float64)
        block[column.isna().to_numpy()] = np.nan
        return block

    def encode(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the float64 matrix of a frame, NaN where a cell is empty."""
        parts = zip(frame.items(), self.levels, self.center, self.scale, strict=True)
        return np.hstack([(self._block(c, lv) - m) / s for (_, c), lv, m, s in parts])

    def decode(self, matrix: np.ndarray, frame: pd.DataFrame) -> pd.DataFrame:
        """Return `frame` with its empty cells filled from a completed matrix."""
        filled, start = {}, 0
        for (name, column), levels, center, scale in zip(
            frame.items(), self.levels, self.center, self.scale, strict=True
        ):
            width = 1 if levels is None or not self.one_hot else max(len(levels), 1)
            block = matrix[:, start : start + width] * scale + center
            start += width
            if levels is None:
                guess = pd.Series(block[:, 0], index=frame.index)
            elif levels:
                codes = block.argmax(axis=1) if self.one_hot else np.rint(block[:, 0])
                codes = np.clip(codes, 0, len(levels) - 1).astype(int)
                guess = pd.Series([levels[k] for k in codes], index=frame.index, dtype=object)
            else:
                guess = column
            filled[name] = fill_empty(column, guess)
        return pd.DataFrame(filled, index=frame.index)


def fill_empty(column: pd.Series, guess: pd.Series) -> pd.Series:
    """Return `column` with only its empty cells taken from `guess`, in its own dtype."""
    empty = column.isna()
    return column.where(~empty, guess.astype(column.dtype))
