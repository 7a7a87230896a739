"""The base guess: the conditional mean and variance of hidden cells under a Gaussian.

Every number is one coordinate, every category one coordinate per level (its indicator), so the
conditional mean of a hidden category is a linear guess at its probabilities.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

MAX_EXACT = 512  # coordinates up to which the factors start from an exact decomposition
N_ITER, TOL = 20, 1e-3  # rounds of EM; what they move by when they end, in standard deviations
# Rounds with more coordinates than `MAX_EXACT`, which take long: as many again took .6 % off
# the squared error of 1,555 columns. `benchmarks.speed --rows 500 --columns 1000` times such fits.
WIDE_ITER = 10
SYSTEMS = 4_000_000  # entries of covariances that are solved together
MAX_DENSE = 50  # coordinates up to which the full covariance is used; factors beyond


class Normal(NamedTuple):
    """Conditional mean and variance (B, C) of each coordinate; the value and 0 where visible."""

    mean: Tensor
    variance: Tensor


class Shrinkage(NamedTuple):
    """How much a `Gaussian` is shrunk.

    correlations : share that is taken from covariances, beside that for few rows; not of factors
    loadings : rows without any factor that loadings are fitted to, too
    levels : rows of noise that the variance of each level of a category has: what a rare level says
        of other columns is worth as little as its rows are few
    """

    correlations: float = 0.0
    loadings: float = 1.0
    levels: float = 0.0


class BaseGuess(Protocol):
    """A torch.nn.Module class for the base guess; made with the number of coordinates of a window.

    A coordinate is a number, or the indicator of one level of a category. Fitted arrays are
    registered buffers. A guess may also have `residuals` and `ask`, as `Gaussian` has: where it
    lacks them, they are made of calls, one per cell of a window. One whose results for a row depend
    in the last bit on how many rows are asked together has `whole_batches` True. In tables of 20 to
    5,000 rows copies of a fitted one are fitted again, three to ten times, without a part of the
    rows each.
    """

    def fit(self, values: Tensor, visible: Tensor, should_stop: Callable[[], bool]) -> None:
        """Learn from (n, T * C) coordinates; return soon once `should_stop()` is True."""

    def __call__(self, values: Tensor, visible: Tensor) -> Normal:
        """Return the guess (B, T * C) at every coordinate; the value and 0 where visible."""


class Gaussian(nn.Module):
    """A multivariate normal over C coordinates, fitted by EM on incomplete rows.

    Up to `MAX_DENSE` coordinates the covariance is full (Little and Rubin 2019, section 11.2);
    beyond, it is a factor model, whose conditionals cost k x k instead of C x C per row
    (Rubin and Thayer 1982).

    Parameters
    ----------
    n_coordinates : C, of a window
    n_factors : k of the factor model, 0 for the full covariance; None for what C suggests
    """

    location: Tensor
    covariance: Tensor
    loadings: Tensor
    noise: Tensor
    of_levels: Tensor

    def __init__(self, n_coordinates: int, n_factors: int | None = None) -> None:
        super().__init__()
        c = n_coordinates
        suggested = 0 if c <= MAX_DENSE else min(32, c // 4)
        self.n_factors = k = suggested if n_factors is None else n_factors
        self.whole_batches = False  # products in double precision; rows are rounded to single
        self.shrinkage = Shrinkage()
        self.register_buffer("of_levels", torch.zeros(c, dtype=torch.bool), persistent=False)
        double = torch.float64
        self.register_buffer("location", torch.zeros(c, dtype=double))
        self.register_buffer("covariance", torch.eye(0 if k else c, dtype=double))
        self.register_buffer("loadings", torch.zeros(c if k else 0, k, dtype=double))
        self.register_buffer("noise", torch.ones(c if k else 0, dtype=double))

    @torch.no_grad()
    def forward(self, values: Tensor, visible: Tensor) -> Normal:
        """Return the guess at every coordinate from the visible ones.

        Parameters
        ----------
        values : (B, C) float; what is not visible is never read
        visible : (B, C) bool
        """
        most = max(16, SYSTEMS // len(self.location) ** 2)
        if len(values) > most and not self.n_factors:
            parts = map(self, values.split(most), visible.split(most))
            return Normal(*map(torch.cat, zip(*parts, strict=True)))
        centred = torch.where(visible, values.double() - self.location, 0.0)
        if self.n_factors:
            mean, variance = self._condition_factors(centred, visible)
        else:
            mean, variance, _ = self._condition_dense(centred, visible)
        mean = torch.where(visible, values, (mean + self.location).to(values.dtype))
        variance = torch.where(visible, 0.0, variance).clamp_min(0).to(values.dtype)
        return Normal(mean, variance)

    @torch.no_grad()
    def ask(self, values: Tensor, visible: Tensor, asked: Tensor) -> Normal:
        """Return the guess at some coordinates, as `forward` gives it; (B, asked) each.

        Rows that show the same coordinates share all that does not depend on their values, so
        this is done once for each set of visible coordinates.

        Parameters
        ----------
        values : (B, C) float; what is not visible is never read
        visible : (B, C) bool
        asked : (C,) bool, coordinates that are visible in no row
        """
        if self.n_factors:
            return Normal(*(part[:, asked] for part in self(values, visible)))
        seen, location, covariance = visible[:, ~asked], self.location, self.covariance
        centred = torch.where(seen, values[:, ~asked].double() - location[~asked], 0.0)
        bit = torch.arange(seen.shape[1], device=seen.device)  # at most `MAX_DENSE`
        codes, which = (seen.long() << bit).sum(1).unique(return_inverse=True)
        distinct = (codes[:, None] >> bit & 1).bool()
        cross = torch.where(distinct[:, :, None], covariance[~asked][:, asked], 0.0)
        system = _visible_system(covariance[~asked][:, ~asked], distinct)
        gain = torch.cholesky_solve(cross, torch.linalg.cholesky(system))
        variance = covariance.diagonal()[asked] - (gain * cross).sum(1)
        mean = (gain[which] * centred[:, :, None]).sum(1) + location[asked]
        variance = variance.clamp_min(0)[which]
        return Normal(mean.to(values.dtype), variance.to(values.dtype))

    @torch.no_grad()
    def residuals(self, values: Tensor, visible: Tensor) -> Tensor:
        """Return (n, C): each visible value less its guess from the other visible ones; 0 else."""
        out = []
        for values_, visible_ in zip(values.split(1024), visible.split(1024), strict=True):
            centred = torch.where(visible_, values_.double() - self.location, 0.0)
            if self.n_factors:
                scaled = self.loadings / self.noise[:, None]
                mean, covariance = self._factor_posterior(centred, visible_)
                pull = centred / self.noise - mean @ scaled.T
                k = self.n_factors
                outer = (scaled[:, :, None] * scaled[:, None, :]).reshape(-1, k * k)
                diagonal = 1 / self.noise - covariance.reshape(-1, k * k) @ outer.T
            else:
                system = _visible_system(self.covariance, visible_)
                precision = torch.cholesky_inverse(torch.linalg.cholesky(system))
                pull = torch.einsum("bij,bj->bi", precision, centred)
                diagonal = precision.diagonal(dim1=1, dim2=2)
            out.append(torch.where(visible_, pull / diagonal, 0.0).to(values.dtype))
        return torch.cat(out)

    @torch.no_grad()
    def fit(
        self,
        values: Tensor,
        visible: Tensor,
        should_stop: Callable[[], bool] = lambda: False,
        n_iter: int | None = None,
    ) -> None:
        """Estimate mean and covariance by EM, until they hardly move, in `n_iter` rounds at most.

        Parameters
        ----------
        values : (n, C) float
        visible : (n, C) bool
        should_stop : True ends it; of factors a round that has begun is given up, which leaves them
            as the round before, or the principal components that they start from
        """
        values = torch.where(visible, values.double(), 0.0)
        self.location.copy_(values.sum(0) / visible.sum(0).clamp_min(1))
        variance = variances(values, visible)
        if self.n_factors:
            self._start_factors(torch.where(visible, values - self.location, 0.0), variance)
        else:
            self.covariance.copy_(torch.diag(variance))
        self.refine(values, visible, should_stop, n_iter)

    @torch.no_grad()
    def refine(
        self,
        values: Tensor,
        visible: Tensor,
        should_stop: Callable[[], bool] = lambda: False,
        n_iter: int | None = None,
    ) -> None:
        """Go on with EM from the mean and covariance there are; `n_iter` rounds at most."""
        if n_iter is None:
            n_iter = N_ITER if values.shape[1] <= MAX_EXACT else WIDE_ITER
        values = torch.where(visible, values.double(), 0.0)
        variance = variances(values, visible)
        step: Callable[..., float | None] = self._em_dense
        if self.n_factors:
            step = partial(self._em_factors, should_stop=should_stop)
        for _ in range(n_iter):
            moved = step(values, visible, variance)
            if moved is None or moved < TOL or should_stop():
                break

    def _noise_of_levels(self, n_rows: int) -> Tensor:
        return self.of_levels * (self.shrinkage.levels / n_rows)

    # ---- full covariance

    def _condition_dense(self, centred: Tensor, visible: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return conditional mean (B, C), variance (B, C) and the whitened cross term (B, C, C).

        The identity stands in the rows and columns that are not visible, so that one batched
        Cholesky factor serves rows with different visible cells.
        """
        system = _visible_system(self.covariance, visible)
        cross = torch.where(visible[:, :, None], self.covariance, 0.0)
        factor = torch.linalg.cholesky(system)
        whitened = torch.linalg.solve_triangular(
            factor, torch.cat([cross, centred[:, :, None]], dim=2), upper=False
        )
        cross, right = whitened[:, :, :-1], whitened[:, :, -1:]
        mean = (cross * right).sum(1)
        variance = self.covariance.diagonal() - cross.square().sum(1)
        return mean, variance, cross

    def _em_dense(self, values: Tensor, visible: Tensor, variance: Tensor) -> float:
        n, c = values.shape
        total, second = torch.zeros(c).double(), torch.zeros(c, c).double()
        total, second = total.to(values.device), second.to(values.device)
        explained = torch.zeros_like(second)
        chunk = max(16, min(1024, SYSTEMS // (c * c)))
        for values_, visible_ in zip(values.split(chunk), visible.split(chunk), strict=True):
            centred = torch.where(visible_, values_ - self.location, 0.0)
            mean, _, cross = self._condition_dense(centred, visible_)
            filled = torch.where(visible_, centred, mean)
            total += filled.sum(0)
            second += filled.T @ filled
            flat = cross.reshape(-1, c)
            explained += flat.T @ flat
        shift = total / n
        covariance = (second + n * self.covariance - explained) / n - torch.outer(shift, shift)
        # Towards the diagonal: by a thousandth, and by more where rows are few.
        share = min(1.0, 1e-3 + c / (c + 20.0 * n) + self.shrinkage.correlations)
        covariance.mul_(1 - share).diagonal().add_(share * variance + self._noise_of_levels(n))
        scale = variance.sqrt()
        moved = ((covariance - self.covariance) / torch.outer(scale, scale)).abs().max()
        self.location.add_(shift)
        self.covariance.copy_((covariance + covariance.T) / 2)
        return float(moved)

    # ---- factor model

    def _start_factors(self, centred: Tensor, variance: Tensor) -> None:
        scaled = centred / variance.sqrt()
        rows, k = scaled[:20_000], self.n_factors
        top, right = centred.new_zeros(k), centred.new_zeros(centred.shape[1], k)
        if centred.shape[1] <= MAX_EXACT:
            _, singular, found = torch.linalg.svd(rows.T @ rows / len(rows))
            top, right = singular[:k].sqrt(), found[:k].T
        else:  # randomised (Halko et al. 2011), which costs k instead of C products per cell
            n = min(k, len(rows))
            _, top[:n], right[:, :n] = torch.svd_lowrank(rows / len(rows) ** 0.5, n, niter=4)
        self.loadings.copy_(right * top * variance.sqrt()[:, None] * 0.9)
        self.noise.copy_((variance - self.loadings.square().sum(1)).clamp_min(0.05 * variance))

    def _factor_posterior(self, centred: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean (B, k) and covariance (B, k, k) of the factors of each row."""
        k = self.n_factors
        scaled = self.loadings / self.noise[:, None]  # (C, k)
        outer = (scaled[:, :, None] * self.loadings[:, None, :]).reshape(-1, k * k)
        precision = (visible.double() @ outer).view(-1, k, k)
        precision.diagonal(dim1=1, dim2=2).add_(1.0)
        covariance = torch.cholesky_inverse(torch.linalg.cholesky(precision))
        mean = torch.einsum("bij,bj->bi", covariance, centred @ scaled)
        return mean, covariance

    def _condition_factors(self, centred: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        mean, covariance = self._factor_posterior(centred, visible)
        k = self.n_factors
        outer = (self.loadings[:, :, None] * self.loadings[:, None, :]).reshape(-1, k * k)
        variance = covariance.reshape(-1, k * k) @ outer.T + self.noise
        return mean @ self.loadings.T, variance

    def _em_factors(
        self,
        values: Tensor,
        visible: Tensor,
        variance: Tensor,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> float | None:
        k, c = self.n_factors, values.shape[1]
        gram = torch.zeros(c, (k + 1) * (k + 1), dtype=torch.float64, device=values.device)
        right = torch.zeros(c, k + 1, dtype=torch.float64, device=values.device)
        for values_, visible_ in zip(values.split(1024), visible.split(1024), strict=True):
            if should_stop():
                return None
            centred = torch.where(visible_, values_ - self.location, 0.0)
            mean, covariance = self._factor_posterior(centred, visible_)
            one = torch.cat([mean, torch.ones_like(mean[:, :1])], 1)  # (B, k + 1)
            moment = one[:, :, None] * one[:, None, :]
            moment[:, :k, :k] += covariance
            gram += visible_.double().T @ moment.flatten(1)
            right += torch.where(visible_, values_, 0.0).T @ one
        gram = gram.view(c, k + 1, k + 1)
        ridge = torch.full(
            (k + 1,), self.shrinkage.loadings, dtype=torch.float64, device=values.device
        )
        ridge[-1] = 1e-6
        solved = torch.linalg.solve(gram + torch.diag(ridge), right[:, :, None])[:, :, 0]
        count = visible.sum(0).clamp_min(1)
        square = torch.where(visible, values, 0.0).square().sum(0)
        fit = torch.einsum("ci,cij,cj->c", solved, gram, solved)
        noise = (square - 2 * (solved * right).sum(1) + fit) / count
        moved = ((solved[:, :k] - self.loadings) / variance.sqrt()[:, None]).abs().max()
        self.loadings.copy_(solved[:, :k])
        self.location.copy_(solved[:, k])
        noise = torch.maximum(noise, 0.01 * variance)
        self.noise.copy_(noise + self._noise_of_levels(len(values)))
        return float(moved)


def variances(values: Tensor, visible: Tensor) -> Tensor:
    """Return (C,) the variance of what is visible, not quite 0."""
    count = visible.sum(0).clamp_min(1)
    centred = torch.where(visible, values - torch.where(visible, values, 0.0).sum(0) / count, 0.0)
    return (centred.square().sum(0) / count).clamp_min(1e-6)


def _visible_system(covariance: Tensor, visible: Tensor) -> Tensor:
    """Return (B, C, C): the covariance of what is visible, the identity elsewhere."""
    both = visible[:, :, None] & visible[:, None, :]
    system = torch.where(both, covariance, 0.0)
    system.diagonal(dim1=1, dim2=2).add_((~visible).double())
    return system
