"""MAEEncoder: features of rows for whatever is learned next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import TransformerMixin
from sklearn.linear_model import Ridge
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from maetab.base import BaseMAE
from maetab.components import fit_components, read_features
from maetab.data.back import Back
from maetab.data.blanks import blank_frame
from maetab.data.codec import Encoded, decode
from maetab.data.feature_names import distinct_names, piece_names, step_names
from maetab.data.timeline import Timeline
from maetab.data.window_steps import stride_steps
from maetab.engine.embedding import READOUTS, Blocks, Projection, Steps, blocks_of, embed
from maetab.engine.pieces import decode_pieces, piece_steps
from maetab.engine.reference import remembered
from maetab.engine.runtime import pick_device
from maetab.hidden_skill import skill_at_hidden_cells
from maetab.nn.windows import Windows
from maetab.parameters import ATTRIBUTES, PARAMETERS
from maetab.series import begun_once, check_level, modelled, window_index
from maetab.streams import by_parts, output_kind
from maetab.table import Table

RIDGE = 0.01  # penalty of the linear map back from features to cells


@dataclass(kw_only=True, eq=False, repr=False)
class MAEEncoder(TransformerMixin, BaseMAE):
    __doc__ = f"""Turn the rows of a table into numbers for whatever is learned next.

    A masked autoencoder learns, without labels, to predict hidden cells. Which rows it finds alike
    for that describes how the columns go together. Missing cells are first completed with what the
    model says of them, so that features stay informative where cells are missing; they hold
    neither NaN nor infinity.

    Parameters
    ----------
    n_components : "auto", None or int, at least 1
        Components that the readout is cut down to at most, learned from the training rows that the
        model remembers: principal ones; of "concat" of rows a third for each kind of similarity,
        and a third single keys. Those that missing cells would move by more than they vary are left
        out. None keeps the readout whole; "auto" is 192 of rows with keys, else 128; ten thousand
        labels carry more, such as 512. Those of windows are turned to vary alike.
    readout : "concat", "mean" or "cls"
        What is read: what row attention has learned (similarities to up to 512 training rows by
        single cells and by learned keys, and the keys), which needs no network, so that
        `max_iter=0` saves time; the mean of the cells' tokens; or the token of the row. Of windows
        "concat" is all tokens, the cells less those of the last step, and what the first guess
        expects of the quarter of a window that follows, less the same.
    add_raw : bool or None
        Append the encoded input: numbers standardised and in piecewise-linear steps, an indicator
        per level of a category, expectations where a cell is missing; `get_feature_names_out`
        says which is which. None is True of rows, False of windows. May be changed after fit.
    level : "row" or "window"
        What the features are of. "row": of each row; with `window` in the context of the rows
        before and after it. "window": of each window; only with `window`.
    stride : None, int or duration such as "1h"
        With level="window", steps from one window to the next, at most those of a window. None is
        a window, so that they follow one another without overlap; 1 is a window that begins at
        every row. Windows begin at multiples of it. May be changed after fit.
    swap_ratio : float, in [0, 1)
        Share of the visible cells that hold another row's value in a training step; the network
        learns to tell which, beside predicting what is hidden (swap-noise detection: Rubachev et
        al. 2022, "Revisiting Pretraining Objectives for Tabular Deep Learning", section 3).
    {PARAMETERS}

    Attributes
    ----------
    n_components_ : columns of the output that stand before the encoded input
    components_ : (`n_components_`, D) rows of the projection, None without one
    mean_ : (D,) what is subtracted before it, None without one
    {ATTRIBUTES}

    Notes
    -----
    Each network of `model_.members` has `encode(values, visible)`, from (B, 1, F) standardised
    numbers and codes of levels and (B, 1, F) bool, as from `to_tensors`, to (B, 1 + F, width)
    tokens, the row's first.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({{"size": [1.0, 2.0, 3.0, None], "color": ["red", None, "blue", "b"]}})
    >>> encoder = MAEEncoder(n_components=2, add_raw=False, max_iter=2, random_state=0)
    >>> encoder.fit_transform(frame).shape
    (4, 2)
    """

    n_components: int | str | None = "auto"
    readout: str = "concat"
    level: str = "row"
    stride: int | str | None = None
    add_raw: bool | None = None
    swap_ratio: float = 0.0

    _fit_only = ("swap_ratio",)
    _share_of_model = 0.7

    @classmethod
    def from_fitted(cls, other: BaseMAE, **parameters: Any) -> Self:
        new = super().from_fitted(other, **parameters)
        new._fit_components()
        return new

    @by_parts
    def transform(self, X: Any, to: Any = None) -> Any:
        """Return the features of each row or window, in the same kind of container.

        Parameters
        ----------
        X : (n, F) table with the columns of fit; missing cells and unseen levels are fine
        to : folder for the features, as in `MAEImputer.transform`

        Returns
        -------
        features : float32 table
            (n, n_features_out), and a frame keeps its index. With level="window" a frame has the
            labels of the group and the stamp of the first row of each window as its index; other
            tables have them as their first columns, arrays and `set_output("polars")` not at all.
        """
        table = self._read(X)
        names = self.get_feature_names_out()
        windows = self._read_windows(table)
        if self.level == "window":
            index = window_index(table, windows, self._view(table), self.timeline_)
            features = self._embed(windows, with_pieces=self._adds_raw())
            frame = pd.DataFrame(features, index, names, copy=False)
            return frame if output_kind(self) == "polars" else table.back.indexed(frame)
        features = self._of_rows(table, windows)
        frame = pd.DataFrame(features, index=table.frame.index, columns=names, copy=False)
        return table.back.table(frame)

    def to_tensors(self, X: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what the network in `model_` reads, to train them further with labels.

        Parameters
        ----------
        X : (n, F) table

        Returns
        -------
        values : (W, T, F) float32; standardised numbers and codes of levels, 0 where missing
            Of rows T is 1 and W is n. With `window`, of the columns that the model sees;
            the windows are those of `transform` with level="window", overlapping ones with "row".
        visible : (W, T, F) bool, True where a cell is not missing
        """
        return self._read_windows(self._read(X)).take(slice(None))

    def inverse_transform(self, Z: Any) -> Any:
        """Return the table that features stand for.

        With `add_raw` the encoded input is read back: observed cells return to float32 accuracy,
        and missing ones as they were completed. Without it the cells are reconstructed by the
        linear map that is best, in least squares, for the training rows that the model remembers;
        that loses what the features leave out. Levels that the model does not tell apart come
        back missing, or as another level.

        Parameters
        ----------
        Z : (n, n_features_out) as from `transform`, with level="row"; else a ValueError is raised

        Returns
        -------
        table : (n, F) frame, or array if fit saw no column names
        """
        check_is_fitted(self, "model_")
        if self.level == "window":
            raise ValueError("Features of windows cannot be inverted; use level='row'.")
        features = read_features(Z, self.get_feature_names_out().tolist())
        if self._adds_raw():
            raw = features[:, self.n_components_ :]
        else:
            known = self._embed_remembered(remembered(self.model_), with_pieces=True)
            latent, pieces = np.split(known, [self.n_components_], axis=1)
            raw = Ridge(RIDGE).fit(latent, pieces).predict(features)
        values, observed = map(self._in_all_columns, decode_pieces(self.model_.support, raw))
        index = Z.index if isinstance(Z, pd.DataFrame) else None
        frame = decode(
            values, observed, self.schema_, blank_frame(self.schema_, len(features), index)
        )
        return frame if self._fit_saw_names() else frame.to_numpy()

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the features, all different.

        "component0" and so on; then, with `add_raw`, the encoded input: "age" is the standardised
        number, "age_step3of16" how far it has come through the third of sixteen steps between
        quantiles of the training rows (0 before the step, 1 behind it), "sex=male" whether the
        level is male; of windows "age[0]" and "sex[0]=male" of the first step and so on. A name
        that comes again ends in "_2", "_3" and so on.

        Parameters
        ----------
        input_features : None for the names of fit, which any others must equal; where fit saw
            none these are "x0", "x1" and so on, and others can be given
        """
        check_is_fitted(self, "model_")
        names = [f"component{i}" for i in range(self.n_components_)]
        inputs = _check_feature_names_in(self, input_features)
        if self._adds_raw():
            support, columns = self.model_.support, self.schema_.columns
            places = modelled(self.schema_, self._timeline()).tolist()
            seen = [inputs[j] for j in places], [columns[j] for j in places]
            if self.level == "window":
                names += step_names(*seen, self.model_.config.n_steps)
            else:
                for place, (name, column) in enumerate(zip(*seen, strict=True)):
                    names += piece_names(name, column, piece_steps(support, place))
        return np.array(distinct_names(names), dtype=object)

    def score(self, X: Any, y: Any = None) -> float:
        """Return the skill on cells hidden for the purpose, as `MAEImputer.score` does.

        Parameters
        ----------
        X : (n, F) table
        y : ignored
        """
        return skill_at_hidden_cells(self, X)

    @property
    def n_components_(self) -> int:
        """Columns of the output before the encoded input."""
        check_is_fitted(self, "model_")
        if self.components_ is not None:
            return len(self.components_)
        return sum(self._blocks().sizes)

    def _blocks(self) -> Blocks:
        return blocks_of(self.model_.config, self.readout, self._of_steps())

    def _of_steps(self) -> bool:
        """Whether features are of single steps of windows."""
        return self.level == "row" and self.model_.config.n_steps > 1

    def _read_windows(self, table: Table) -> Windows:
        """Return the windows that features are read from."""
        timeline = self._timeline()
        if self.level == "row" or timeline is None:
            return self._windows(table)
        return begun_once(self._windows(table, self._stride(timeline)))

    def _table(self, frame: pd.DataFrame, back: Back, encoded: Encoded) -> Table:
        timeline = self._timeline()
        if self.level == "window" and timeline is not None:
            self._stride(timeline)  # refused before anything is learned
        return super()._table(frame, back, encoded)

    def _stride(self, timeline: Timeline) -> int:
        """Return the steps from one window to the next."""
        return stride_steps(self.stride, timeline.n_steps, timeline.step, timeline.unit)

    def _of_rows(self, table: Table, windows: Windows) -> np.ndarray:
        """Return (n, D) the features of rows, each from where it is nearest to a middle."""
        if not self._of_steps():
            return self._embed(windows, with_pieces=self._adds_raw())
        steps = Steps.nearest_middle(windows)
        features = self._embed(windows, steps, self._adds_raw())
        rows, view = windows.rows.numpy()[steps], self._view(table)
        assert view is not None
        out = np.empty_like(features)
        out[view.order[rows]] = features
        return out

    def _embed_remembered(self, windows: Windows, with_pieces: bool = False) -> np.ndarray:
        """Return the readout of remembered windows; of rows that of the step in their middle."""
        steps = Steps.middle(windows) if self._of_steps() else None
        return self._embed(windows, steps, with_pieces)

    def _in_all_columns(self, cells: np.ndarray) -> np.ndarray:
        """Return (n, F) of cells of the columns that the model sees, 0 in the others."""
        out = np.zeros((len(cells), len(self.schema_.columns)), cells.dtype)
        out[:, modelled(self.schema_, self._timeline())] = cells
        return out

    def _embed(
        self, windows: Windows, steps: Steps | None = None, with_pieces: bool = False
    ) -> np.ndarray:
        """Return the readout of windows, projected if there are components; and pieces."""
        projection = None
        if self.components_ is not None:
            assert self.mean_ is not None
            if len(self.mean_) != sum(self._blocks().sizes):
                raise ValueError(
                    f"The 'readout' parameter of MAEEncoder was changed to {self.readout!r}, or "
                    f"'level' to {self.level!r}, after fit; fit again, or make another by "
                    f"MAEEncoder.from_fitted."
                )
            projection = Projection(self.mean_, self.components_)
        how = self.readout, projection, with_pieces, self.level == "window", steps
        return embed(self.model_, windows, pick_device(self.device), *how)

    def _fit_components(self) -> None:
        """Learn the projection from the rows that the model remembers; see `fit_components`."""
        self.components_: np.ndarray | None = None
        self.mean_: np.ndarray | None = None
        if self.n_components is None:
            return
        windows, parts, n = remembered(self.model_), self._blocks(), self.n_components
        n = parts.n_components if isinstance(n, str) else n
        given = windows, parts, n, self._deadline, pick_device(self.device)
        self.mean_, self.components_ = fit_components(self._embed_remembered, *given)

    def _reads_tokens(self) -> bool:
        return True

    def _adds_raw(self) -> bool:
        return self.level == "row" if self.add_raw is None else bool(self.add_raw)

    def _swap_ratio(self) -> float:
        return self.swap_ratio

    def _fit_model(self, X: Any, kept: np.ndarray | None = None) -> Table:
        table = super()._fit_model(X, kept)
        self._check_cells(table.observed)
        if not (self._adds_raw() or self.readout == "concat" or self.model_.members):
            raise ValueError(
                f"readout={self.readout!r} reads tokens of a network, and max_time={self.max_time} "
                f"left none; give it more time, or use readout='concat' or add_raw=True."
            )
        self._report("components")
        self._fit_components()
        return table

    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._check_choice("readout", READOUTS)
        self._check_choice("level", ("row", "window"))
        check_level(self.level, self.window, self.stride)
        if self.n_components is not None and self.n_components != "auto":
            words = "'auto', None or an int of at least 1"
            self._check_number("n_components", 1, np.inf, words, whole=True)
        self._check_shares("swap_ratio")
        if self.add_raw is not None:
            self._check_flags("add_raw")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
