"""What a cell may be: bins of a number, levels of a category; and distributions over them."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from maetab.nn.guess.coordinates import Coordinates


class Support(nn.Module):
    """The K possibilities of each of F columns.

    Buffers: `lower`, `upper`, `center` (F, K) of a bin, in standardised units; `share` (F, K)
    observed frequencies; `edges` (F, K - 1) between bins, infinite behind the last; `lift` (F,) of
    categories, see `level_logits`.

    Parameters
    ----------
    n_levels : one number per column; 0 for a number, else how many levels are predicted
    n_bins : most bins of a number
    """

    lower: Tensor
    upper: Tensor
    center: Tensor
    share: Tensor
    edges: Tensor
    lift: Tensor
    is_number: Tensor

    def __init__(self, n_levels: tuple[int, ...], n_bins: int) -> None:
        super().__init__()
        self.n_levels, self.n_bins = n_levels, n_bins
        self.coordinates = Coordinates(n_levels, 1)
        most = max(n_bins if 0 in n_levels else 1, *n_levels, 2)
        self.size = -(-most // 4) * 4  # K; products of other widths differ in the last bit by row
        f, k = len(n_levels), self.size
        for name in ("lower", "upper", "center", "share"):
            self.register_buffer(name, torch.zeros(f, k))
        self.register_buffer("edges", torch.full((f, k - 1), math.inf))
        self.register_buffer("lift", torch.ones(f))
        self.register_buffer("is_number", torch.tensor([n == 0 for n in n_levels]))

    @torch.no_grad()
    def fit(self, values: Tensor, observed: Tensor) -> None:
        """Place bins at the quantiles of the observed numbers, count the levels.

        Parameters
        ----------
        values : (n, F) standardised numbers and level codes
        observed : (n, F) bool
        """
        for j, n_levels in enumerate(self.n_levels):
            column = values[observed[:, j], j].float()
            if n_levels:
                known = column[column < n_levels].long()
                count = torch.bincount(known, minlength=n_levels)[:n_levels].float()
                self.share[j, :n_levels] = (count + 0.5) / (count + 0.5).sum()
            elif len(column) == 0:
                self.share[j, 0] = 1.0
            else:
                self._fit_bins(j, column)

    def _fit_bins(self, j: int, column: Tensor) -> None:
        unique, count = column.unique(return_counts=True)
        if len(unique) <= self.n_bins:
            group = torch.arange(len(unique), device=column.device)
        else:
            rank = (count.cumsum(0) - count / 2) / len(column)
            group = (rank * self.n_bins).long().clamp_max(self.n_bins - 1)
        _, group = group.unique(return_inverse=True)
        k = int(group.max()) + 1
        size = torch.zeros(k, device=column.device).index_add_(0, group, count.float())
        total = torch.zeros(k, device=column.device).index_add_(0, group, count * unique)
        first = torch.searchsorted(group, torch.arange(k, device=column.device))
        last = torch.searchsorted(group, torch.arange(k, device=column.device), right=True) - 1
        lower, upper = unique[first], unique[last]
        self.lower[j, :k], self.upper[j, :k] = lower, upper
        self.center[j, :k] = (total / size).clamp(lower, upper)
        self.share[j, :k] = size / len(column)
        self.edges[j, : k - 1] = (upper[:-1] + lower[1:]) / 2

    def index(self, values: Tensor) -> Tensor:
        """Return (B, F) the possibility each value is; -1 for a level that is not predicted."""
        found = torch.searchsorted(self.edges, values.T.contiguous()).T  # (B, F)
        n_levels = torch.tensor(self.n_levels, device=values.device)
        code = torch.where(values < n_levels, values, -1.0).long()
        return torch.where(self.is_number, found, code)

    def number_logits(self, mean: Tensor, variance: Tensor) -> Tensor:
        """Return (B, F, K) log mass of each bin under a normal, a little mixed with the marginal.

        Parameters
        ----------
        mean, variance : (B, F), read only in number columns
        """
        scale = (2 * (variance + 1e-4)).sqrt()[..., None]
        below = 0.5 * (1 + torch.erf((self.edges - mean[..., None]) / scale))
        below = nnf.pad(nnf.pad(below, (1, 0)), (0, 1), value=1.0)
        mass = below.diff(dim=-1)
        return (0.95 * mass + 0.05 * self.share).log()

    def level_logits(self, column: int, linear: Tensor, lift: Tensor | None = None) -> Tensor:
        """Return (B, K) logits of a category from linear guesses (B, levels) at its indicators.

        lift : power of how much likelier a level is than its frequency; None for the column's own,
            (n, 1, 1) for n of them at once, which gives (n, B, K)
        """
        n_levels = self.n_levels[column]
        linear = linear.clamp_min(0.0)
        linear = linear / linear.sum(1, keepdim=True).clamp_min(1e-6)
        share = self.share[column, :n_levels]
        usual, mixed = share.log(), (0.9 * linear + 0.1 * share).log()
        lifted = usual + (self.lift[column] if lift is None else lift) * (mixed - usual)
        return nnf.pad(lifted, (0, self.size - n_levels), value=-math.inf)

    def quantile(self, probabilities: Tensor, level: Tensor) -> Tensor:
        """Return (B, F) the value below which a share `level` (B, F) of the distribution lies.

        Inside a bin the mass is spread evenly; a category gives the level that the share falls on,
        so uniform random shares are draws.
        """
        k, before, inside = self._bin(probabilities, level)
        part = ((level - before) / inside.clamp_min(1e-9)).clamp(0, 1)
        lower, upper = (self._of(x, k) for x in (self.lower, self.upper))
        return torch.where(self.is_number, lower + part * (upper - lower), k.float())

    def ends(self, probabilities: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, F) the ends of intervals between two shares (B, F), as `quantile` gives them.

        A number that stands alone in its bin is inside whole or not at all: it is where half of its
        share is, so intervals cover about what they say and not always more.
        """
        last = (self.share > 0).sum(-1) - 1
        found = []
        for level, inwards in ((low, 1), (high, -1)):
            k, before, inside = self._bin(probabilities, level)
            half = before + inside / 2
            alone = self.is_number & (self._of(self.lower, k) == self._of(self.upper, k))
            outside = alone & ((half < level) if inwards > 0 else (half > level))
            other = torch.minimum((k + inwards).clamp_min(0), last)
            moved = self._of(self.lower if inwards > 0 else self.upper, other)
            found.append(torch.where(outside, moved, self.quantile(probabilities, level)))
        crossed = found[0] > found[1]
        each = zip(found, (low, high), strict=True)
        ends = (torch.where(crossed, self.quantile(probabilities, x), end) for end, x in each)
        return next(ends), next(ends)

    def _bin(self, probabilities: Tensor, level: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return (B, F) the bin that a share falls on, the share before it, and its own."""
        upto = probabilities.cumsum(-1)
        upto = upto / upto[..., -1:]
        last = (self.share > 0).sum(-1) - 1
        k = torch.minimum((upto < level[..., None]).sum(-1), last)
        before = nnf.pad(upto, (1, 0)).gather(-1, k[..., None])[..., 0]
        return k, before, upto.gather(-1, k[..., None])[..., 0] - before

    def _of(self, table: Tensor, k: Tensor) -> Tensor:
        """Return (B, F) what a table (F, K) says of some bins (B, F)."""
        return table.expand(len(k), -1, -1).gather(-1, k[..., None])[..., 0]

    def rank(self, column: Tensor, chances: Tensor, values: Tensor, spread: Tensor) -> Tensor:
        """Return (N,) the share of its distribution below each number (the PIT).

        A number that stands alone in its bin has all of the bin's share: it lies at `spread` of it,
        as if equal numbers were told apart by it (Czado et al. 2009, section 2). Evenly spread
        ones make the ranks of truths uniform where the distributions are right.

        Parameters
        ----------
        column : (N,) of each number
        chances : (N, K) its distribution over the bins
        values : (N,) the numbers, standardised
        spread : (N,) in [0, 1]
        """
        k = (self.edges[column] < values[:, None]).sum(1, keepdim=True)
        upto = chances.cumsum(1).gather(1, k)[:, 0]
        lower, upper = (x[column].gather(1, k)[:, 0] for x in (self.lower, self.upper))
        wide = upper > lower
        part = ((values - lower) / torch.where(wide, upper - lower, 1.0)).clamp(0, 1)
        return upto - torch.where(wide, 1 - part, 1 - spread) * chances.gather(1, k)[:, 0]
