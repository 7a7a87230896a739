"""The first guess in the words of cells: Gaussian and similar rows, stacked column by column."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from maetab.nn.memory import MAX_ROWS, Neighbours, RowMemory
from maetab.nn.objectives import Support
from maetab.nn.prior import MAX_DENSE, SYSTEMS, GaussianPrior, Normal

N_TUNING = 150  # steps that the metric of the memory is tuned for
N_TUNING_ROWS = 2048  # remembered rows that tuning compares with
TUNING_CELLS = 60_000_000  # products that a step of tuning may take: wide rows come in few
MAX_SHIFT = 300  # coordinates up to which rows are weighted by what is missing
HIDE = 0.3  # share of the cells hidden while tuning and stacking
STACKED = 2_000_000  # coordinates of rows that stacking may look at, 4096 rows at most
PRODUCTS = 800_000_000  # that a chunk of these may take to be compared with remembered rows
# Shares of the time after which the Gaussian, the metric and the stack are left as they are.
TIMES = (0.3, 0.5, 0.6)


class Guess(NamedTuple):
    """What is guessed of each coordinate before any network looks.

    mean, variance : (B, C); the value and 0 where visible
    parts : (B, C, 3) means of the Gaussian, of similar rows, and of the Gaussian corrected by
        what it missed in similar rows
    """

    mean: Tensor
    variance: Tensor
    parts: Tensor


class Prior(nn.Module):
    """The first guess: a Gaussian and a memory of rows, stacked.

    Parameters
    ----------
    n_levels : per column; 0 for a number
    n_bins : most bins of a number
    n_rows : rows that the memory holds
    """

    stack: Tensor
    inflate: Tensor

    def __init__(self, n_levels: tuple[int, ...], n_bins: int, n_rows: int) -> None:
        super().__init__()
        self.n_levels = n_levels
        self.coordinates = coordinates(n_levels)
        columns = [j for j, c in enumerate(self.coordinates) for _ in range(c.stop - c.start)]
        n = len(columns)
        self.gaussian = GaussianPrior(n, 0 if n <= MAX_DENSE else min(32, n // 4))
        self.memory = RowMemory(columns, n_rows)
        self.support = Support(n_levels, n_bins)
        self.register_buffer("stack", torch.zeros(n, 2))
        self.register_buffer("inflate", torch.full((n, 2), 0.5))

    def expand(self, values: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, C) coordinates and their visibility; an unknown level is not visible."""
        if not any(self.n_levels):
            return values, visible
        parts, seen = [], []
        for j, n in enumerate(self.n_levels):
            column, there = values[:, j : j + 1], visible[:, j : j + 1]
            if n:
                levels = torch.arange(n, device=values.device)
                parts.append((column == levels).to(values.dtype))
                seen.append((there & (column < n)).expand(-1, n))
            else:
                parts.append(column)
                seen.append(there)
        return torch.cat(parts, 1), torch.cat(seen, 1)

    @torch.no_grad()
    def forward(
        self, values: Tensor, visible: Tensor, exclude: Tensor | None = None
    ) -> tuple[Guess, Tensor]:
        """Return the guess at the coordinates and the logits (B, F, K) that it implies.

        Parameters
        ----------
        values : (B, F); what is not visible is never read
        visible : (B, F) bool
        exclude : (B,) the remembered row that each row is, -1 for none

        Visible cells get the logits of their column's marginal: their value is no guess.
        """
        guess = self.guess_cells(values, visible, exclude)
        first = [c.start for c in self.coordinates]
        logits = self.support.number_logits(guess.mean[:, first], guess.variance[:, first])
        for j, n_levels in enumerate(self.n_levels):
            if n_levels:
                said = guess.mean[:, self.coordinates[j]]
                logits[:, j] = self.support.level_logits(j, said)
        return guess, torch.where(visible[..., None], self.support.share.log(), logits)

    @torch.no_grad()
    def points(self, values: Tensor, visible: Tensor, exclude: Tensor | None = None) -> Tensor:
        """Return (B, F) the number expected or the likeliest level, of cells as in `forward`.

        That is what its logits say, without those of numbers, which are many.
        """
        guess = self.guess_cells(values, visible, exclude)
        points = self.point(guess)
        for j, n_levels in enumerate(self.n_levels):
            if n_levels:
                logits = self.support.level_logits(j, guess.mean[:, self.coordinates[j]])
                marginal = self.support.share[j].log()
                logits = torch.where(visible[:, j, None], marginal, logits)
                points[:, j] = logits.softmax(-1).argmax(-1).float()
        return points

    def guess_cells(self, values: Tensor, visible: Tensor, exclude: Tensor | None) -> Guess:
        """Return the guess at the coordinates of cells, (B, F) each."""
        return self.guess(*self.expand(torch.where(visible, values, 0.0), visible), exclude)

    @torch.no_grad()
    def guess(
        self,
        values: Tensor,
        visible: Tensor,
        exclude: Tensor | None = None,
        n_rows: int | None = None,
    ) -> Guess:
        """Return the guess at coordinates, (B, C) each; `n_rows` as in `RowMemory.forward`."""
        normal = self.gaussian(values, visible)
        near = self.memory(values, visible, exclude, n_rows)
        moved = normal.mean + near.residual
        mean = normal.mean + (_corrections(normal, near) * self.stack.to(values.dtype)).sum(-1)
        variance = self.inflate[:, 0] * normal.variance + self.inflate[:, 1] * near.variance
        parts = torch.stack([normal.mean, near.mean, moved], -1)
        mean = torch.where(visible, values, mean)
        return Guess(mean, torch.where(visible, 0.0, variance), parts)

    @torch.no_grad()
    def means(
        self, values: Tensor, visible: Tensor, asked: Tensor, exclude: Tensor | None = None
    ) -> Tensor:
        """Return (B, C) the means that `guess` gives for the columns asked; 0 at other coordinates.

        asked : (F,) bool, columns that are visible in no row
        """
        wanted = asked[self.memory.columns]
        normal = self.gaussian.ask(values, visible, wanted)
        near = self.memory(values, visible, exclude, asked=asked)
        stack = self.stack[wanted].to(values.dtype)
        means = torch.zeros_like(values)
        means[:, wanted] = normal.mean + (_corrections(normal, near) * stack).sum(-1)
        return means

    def point(self, guess: Guess) -> Tensor:
        """Return (B, F) the guess at numbers; 0 for categories."""
        first = [c.start for c in self.coordinates]
        return torch.where(self.support.is_number, guess.mean[:, first], 0.0)

    def fit(
        self,
        values: Tensor,
        observed: Tensor,
        generator: torch.Generator,
        batch: int = 256,
        used: Callable[[], float] = lambda: 0.0,
    ) -> Tensor:
        """Estimate everything from (n, F) values.

        Parameters
        ----------
        used : returns the share of the time that has passed; each stage stops at its own, see
            `TIMES`, and does little if that has passed before it begins

        Returns
        -------
        remembered : (n,) the place of each row in the memory, -1 if it is not remembered
        """
        self.support.fit(values, observed)
        spread, seen = self.expand(values, observed)
        every = max(1, -(-len(values) // 10_000))
        self.gaussian.fit(spread[::every], seen[::every], late=lambda: used() > TIMES[0])
        n = len(values)
        rows = torch.randperm(n, generator=generator, device=values.device)[:MAX_ROWS]
        self.memory.fill(
            spread[rows], seen[rows], self.gaussian.residuals(spread[rows], seen[rows])
        )
        remembered = torch.full((n,), -1, device=values.device)
        remembered[rows] = torch.arange(len(rows), device=values.device)
        if n > 1:
            self._tune(values, observed, remembered, generator, batch, lambda: used() > TIMES[1])
            self._fit_stack(values, observed, remembered, generator, lambda: used() > TIMES[2])
        return remembered

    def _hide(self, values: Tensor, observed: Tensor, generator: torch.Generator) -> tuple:
        """Return coordinates (B, C), which are visible, and which were hidden just now."""
        drawn = torch.rand(observed.shape, generator=generator, device=observed.device)
        visible = observed & (drawn >= HIDE)
        spread, seen = self.expand(values, visible)
        _, there = self.expand(values, observed)
        return spread, seen, there & ~seen

    def _tune(
        self,
        values: Tensor,
        observed: Tensor,
        remembered: Tensor,
        generator: torch.Generator,
        batch: int,
        late: Callable[[], bool],
    ) -> None:
        """Learn the metric of the memory: squared error of the two guesses it gives."""
        optimizer = torch.optim.Adam(self.memory.parameters(), lr=0.1)
        rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, N_TUNING)
        n, cells = len(values), min(len(values), N_TUNING_ROWS) * len(self.stack)
        batch = min(batch, n, max(16, TUNING_CELLS // cells))
        for _ in range(N_TUNING):
            rows = torch.randint(n, (batch,), generator=generator, device=values.device)
            spread, seen, hidden = self._hide(values[rows], observed[rows], generator)
            normal = self.gaussian(spread, seen)
            near = self.memory(spread, seen, remembered[rows], N_TUNING_ROWS)
            direct = (near.mean - spread).square()
            moved = (normal.mean + near.residual - spread).square()
            middle = ((near.mean + normal.mean) / 2 - spread).square()
            loss = ((direct + moved + middle) * hidden).sum() / hidden.sum().clamp_min(1)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            rate.step()
            if late():
                break

    @torch.no_grad()
    def _fit_stack(
        self,
        values: Tensor,
        observed: Tensor,
        remembered: Tensor,
        generator: torch.Generator,
        late: Callable[[], bool],
    ) -> None:
        """Least squares, per coordinate, of the truth on the guesses; shrunk to the pooled one."""
        n, c = len(values), len(self.stack)
        most = min(4096, max(256, STACKED // c))
        rows = torch.randperm(n, generator=generator, device=values.device)[:most]
        chunk = min(512, max(32, PRODUCTS // (c * len(self.memory.values))))
        basis: list[Tensor] = []
        truth, spread_of, hidden_ = [], [], []
        for some in rows.split(chunk):
            if basis and late():
                break
            spread, seen, hidden = self._hide(values[some], observed[some], generator)
            normal = self.gaussian(spread, seen)
            near = self.memory(spread, seen, remembered[some])
            basis.append(_corrections(normal, near))
            truth.append(spread - normal.mean)
            spread_of.append(torch.stack([normal.variance, near.variance], -1))
            hidden_.append(hidden)
        hidden = torch.cat(hidden_)
        rows = rows[: len(hidden)]
        counts = hidden * self._odds(values[rows], observed[rows]).sqrt()
        x = torch.cat(basis).double() * counts[..., None]  # (n, C, 2)
        y = torch.cat(truth).double() * counts
        gram, right = torch.einsum("bci,bcj->cij", x, x), torch.einsum("bci,bc->ci", x, y)
        count = hidden.sum(0)
        unit = torch.eye(2, dtype=torch.float64, device=values.device)
        scale = gram.diagonal(dim1=1, dim2=2).sum(1) / 2
        pooled = torch.linalg.solve(gram.sum(0) + (1e-3 * scale.sum() + 1e-9) * unit, right.sum(0))
        ridge = (scale * 20 / count.clamp_min(1) + 1e-9)[:, None, None] * unit
        stack = torch.linalg.solve(gram + ridge, right + (ridge @ pooled[:, None])[..., 0])
        self.stack.copy_(stack.clamp(-0.5, 1.5))
        error = (y - (x * self.stack).sum(-1)).square().sum(0)
        told = (torch.cat(spread_of).double() * counts.square()[..., None]).sum(0)
        half = error[:, None] / 2 / told.clamp_min(1e-6)
        enough = (count > 5)[:, None].expand(c, 2)
        self.inflate.copy_(torch.where(enough, half, 0.5).clamp(0.05, 5.0))

    def _odds(self, values: Tensor, observed: Tensor) -> Tensor:
        """Return (n, C): how much likelier a row is among those that miss a coordinate.

        What is missing may differ from what is observed (MAR). Rows are weighted by the odds that
        a linear discriminant gives (Bickel et al. 2009, section 3), so that the guesses are judged
        where they will be used. Weights lie in [0.1, 10], and are about 1 where cells are missing
        at random.
        """
        n, c = len(values), len(self.stack)
        if c > MAX_SHIFT:
            return torch.ones(n, c, dtype=torch.float64, device=values.device)
        spread, seen = self.expand(values, observed)
        filled = self.gaussian(spread, seen).mean.double()  # (n, C)
        filled = (filled - filled.mean(0)) / filled.std(0).clamp_min(1e-6)
        gone, there = (~seen).double(), seen.double()
        count = gone.sum(0)[:, None]
        apart = gone.T @ filled / count.clamp_min(1) - there.T @ filled / (n - count).clamp_min(1)
        column = self.memory.columns
        unit = torch.eye(c, dtype=torch.float64, device=values.device)
        together, directions = filled.T @ filled / n, []
        at_once = max(1, SYSTEMS // (c * c))
        for own, apart_ in zip(column.split(at_once), apart.split(at_once), strict=True):
            other = own[:, None] != column[None, :]
            both = other[:, :, None] & other[:, None, :]
            spread_of = torch.where(both, together, 0.0) + 0.1 * unit
            directions.append(torch.linalg.solve(spread_of, torch.where(other, apart_, 0.0)))
        direction = torch.cat(directions)  # (C, C)
        logit = filled @ (direction * count / (count + 50)).T
        odds = logit.clamp(-2.3, 2.3).exp()
        mean = (odds * there).sum(0) / there.sum(0).clamp_min(1)
        return (odds / mean.clamp_min(1e-6)).clamp(0.1, 10)


def _corrections(normal: Normal, near: Neighbours) -> Tensor:
    """Return (B, C, 2): how far similar rows would move the Gaussian guess, in two ways.

    An average of rows cannot reach beyond them, where a line can: so it moves the guess by two
    conditional standard deviations at most.
    """
    reach = 2 * normal.variance.sqrt()
    direct = (near.mean - normal.mean).clamp(-reach, reach)
    return torch.stack([direct, near.residual], -1)


def coordinates(n_levels: tuple[int, ...]) -> list[slice]:
    """Return the coordinates of each column: one for a number, one per level of a category."""
    start, slices = 0, []
    for n in n_levels:
        slices.append(slice(start, start + max(n, 1)))
        start += max(n, 1)
    return slices
