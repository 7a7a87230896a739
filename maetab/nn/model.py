"""The masked autoencoder: an encoder that sees visible cells, a decoder that guesses the rest."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from maetab.nn.backbones import make_backbone
from maetab.nn.guess import Guess, Prior
from maetab.nn.tokens import Tokens, per_column, time_identity

N_LEVELS_CALIBRATION = 101


@dataclass(frozen=True)
class ModelConfig:
    """Everything that fixes the shapes of a model; weights aside, a model is its config.

    Parameters
    ----------
    n_levels : per column; 0 for a number, else how many levels of the category are modelled
    n_steps : T
    width, n_heads, n_encoder_layers, n_decoder_layers, dropout : of the networks
    n_bins, n_pieces : bins that are predicted, pieces that are read
    backbone, loss : names
    n_estimators : networks that are averaged
    n_memory : rows that the first guess remembers
    """

    n_levels: tuple[int, ...]
    n_steps: int = 1
    width: int = 32
    n_heads: int = 4
    n_encoder_layers: int = 1
    n_decoder_layers: int = 1
    dropout: float = 0.1
    n_bins: int = 32
    n_pieces: int = 16
    backbone: str = "transformer"
    loss: str = "distribution"
    n_estimators: int = 1
    n_memory: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, ready for JSON."""
        return asdict(self) | {"n_levels": list(self.n_levels)}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> ModelConfig:
        """Return the config that `to_dict` described."""
        return cls(**fields | {"n_levels": tuple(fields["n_levels"])})


class Prediction(NamedTuple):
    """What a network says of every cell: logits (B, T, F, K) and point (B, T, F)."""

    logits: Tensor
    point: Tensor


class MaskedAutoencoder(nn.Module):
    """A network that predicts every cell of a row from its visible ones.

    Parameters
    ----------
    config : shapes
    prior : the first guess, shared by the networks of an ensemble
    """

    def __init__(self, config: ModelConfig, prior: Prior) -> None:
        super().__init__()
        self.config, self.prior = config, prior
        c, f = config, len(config.n_levels)
        length = 1 + c.n_steps * f
        self.tokens = Tokens(c.n_levels, c.n_pieces, c.width)
        self.row = nn.Parameter(torch.randn(c.width) * 0.02)
        shape = (length, c.width, c.n_heads)
        self.encoder = make_backbone(c.backbone, *shape, c.n_encoder_layers, c.dropout)
        self.decoder = make_backbone(c.backbone, *shape, c.n_decoder_layers, c.dropout)
        self.norm = nn.LayerNorm(c.width)
        self.head = nn.Parameter(torch.zeros(f, c.width, prior.support.size))
        self.bias = nn.Parameter(torch.zeros(f, prior.support.size))
        self.swap = nn.Parameter(torch.zeros(c.width))
        self.swap_bias = nn.Parameter(torch.zeros(f))

    def fit_tokens(self, values: Tensor, observed: Tensor) -> None:
        """Place the pieces of the tokens' encoding by (n, F) values."""
        numbers = self.tokens.numbers
        self.tokens.pieces.fit(values[:, numbers], observed[:, numbers])

    def encode(self, values: Tensor, visible: Tensor) -> Tensor:
        """Return (B, 1 + L, D): the row's token, then one per cell; zeros where not visible.

        Parameters
        ----------
        values : (B, T, F) float; what is not visible is never read
        visible : (B, T, F) bool
        """
        b, t, f = values.shape
        clean = torch.where(visible, values, 0.0).flatten(0, 1)
        tokens = self._join(self.tokens.visible(clean), b)
        seen = nn.functional.pad(visible.reshape(b, t * f), (1, 0), value=True)
        return self.encoder(tokens, seen)

    def decode(self, latent: Tensor, visible: Tensor, guess: Guess) -> Tensor:
        """Return (B, 1 + L, D): the latent, mask tokens with the guess in its gaps, decoded."""
        b = len(visible)
        hidden = self._join(self.tokens.hidden(guess, self.prior.coordinates), b)
        seen = nn.functional.pad(visible.reshape(b, -1), (1, 0), value=True)
        return self.norm(self.decoder(torch.where(seen[..., None], latent, hidden), None))

    def forward(
        self, values: Tensor, visible: Tensor, first: tuple[Guess, Tensor] | None = None
    ) -> Prediction:
        """Predict every cell from the visible ones.

        Parameters
        ----------
        values : (B, T, F) float; what is not visible is never read
        visible : (B, T, F) bool
        first : what `prior` says of the (B * T, F) rows, if it is known already
        """
        if first is None:
            first = self.prior(values.flatten(0, 1), visible.flatten(0, 1))
        return self.read(self.encode(values, visible), visible, first)

    def read(self, latent: Tensor, visible: Tensor, first: tuple[Guess, Tensor]) -> Prediction:
        """Predict every cell from the latent (B, 1 + L, D) that `encode` gave."""
        b, t, f = visible.shape
        guess, base = first
        decoded = self.decode(latent, visible, guess)
        cells = decoded[:, 1:].reshape(b * t, f, -1)
        raw = per_column(cells, self.head) + self.bias  # (B * T, F, K)
        support = self.prior.support
        seen, start = visible.flatten(0, 1), self.prior.point(guess)
        if self.config.loss == "distribution":
            # The guess may lie beyond all bins: the network moves it and does not replace it.
            logits = base + raw
            before, after = ((x.softmax(-1) * support.center).sum(-1) for x in (base, logits))
            point = torch.where(seen, after, start + after - before)
        else:
            logits = torch.where(support.is_number[:, None], base, base + raw)
            point = torch.where(seen, 0.0, start) + raw[..., 0]
        return Prediction(logits.view(b, t, f, -1), point.view(b, t, f))

    def tell(self, latent: Tensor) -> Tensor:
        """Return (B, T, F) logits that a cell holds another row's value, from `encode`'s tokens."""
        cells = latent[:, 1:] @ self.swap
        return cells.view(len(cells), self.config.n_steps, -1) + self.swap_bias

    def _join(self, cells: Tensor, batch: int) -> Tensor:
        """(B * T, F, D) -> (B, 1 + T * F, D): steps told apart, the row's token in front."""
        t = self.config.n_steps
        if t > 1:
            wave = time_identity(t, self.config.width, cells)
            cells = (cells.unflatten(0, (batch, t)) + wave[:, None]).flatten(0, 1)
        tokens = cells.reshape(batch, -1, self.config.width)
        return torch.cat([self.row.expand(batch, 1, -1), tokens], 1)


class Ensemble(nn.Module):
    """Networks averaged with each other and, column by column, blended with the prior.

    Buffers: `trust` (F,) what share of the blend is the networks'; `spread` (F,) standard
    deviation of their point errors; `ranks` (F, 101) quantiles of where held-out truths fell in
    the predicted distributions, for intervals that cover what they say.
    """

    trust: Tensor
    spread: Tensor
    ranks: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.prior = Prior(config.n_levels, config.n_bins, config.n_memory)
        self.members = nn.ModuleList(
            MaskedAutoencoder(config, self.prior) for _ in range(config.n_estimators)
        )
        f = len(config.n_levels)
        self.register_buffer("trust", torch.zeros(f))
        self.register_buffer("spread", torch.ones(f))
        self.register_buffer("ranks", torch.linspace(0, 1, N_LEVELS_CALIBRATION).repeat(f, 1))

    def forward(
        self, values: Tensor, visible: Tensor, exclude: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return probabilities (B, T, F, K) and points (B, T, F) of every cell.

        The point of a number is its expectation, of a category its likeliest level. `exclude`
        (B * T,) names the remembered row that each row is itself, -1 for none.
        """
        shape, support = values.shape, self.prior.support
        first = self.prior(values.flatten(0, 1), visible.flatten(0, 1), exclude)
        mixed, point = first[1].softmax(-1), self.prior.point(first[0])
        if self.consulted:
            told = [member(values, visible, first) for member in self.members]
            chances = torch.stack([self.probabilities(x).flatten(0, 1) for x in told]).mean(0)
            points = torch.stack([x.point.flatten(0, 1) for x in told]).mean(0)
            mixed = torch.lerp(mixed, chances, self.trust[:, None])
            point = torch.lerp(point, points, self.trust)
        point = torch.where(support.is_number, point, mixed.argmax(-1).float())
        return mixed.view(*shape, -1), point.view(shape)

    @property
    def consulted(self) -> bool:
        """Whether any network has a say; else the first guess alone speaks."""
        return bool(self.trust.any())

    def points(self, values: Tensor, visible: Tensor, exclude: Tensor | None = None) -> Tensor:
        """Return the points (B, T, F) that `forward` gives, without probabilities if possible."""
        if self.consulted:
            return self(values, visible, exclude)[1]
        flat = values.flatten(0, 1), visible.flatten(0, 1)
        return self.prior.points(*flat, exclude).view(values.shape)

    def keep(self, n_members: int) -> None:
        """Keep the first networks alone; without any the first guess speaks."""
        self.members = self.members[:n_members]
        self.config = replace(self.config, n_estimators=n_members)

    def probabilities(self, said: Prediction) -> Tensor:
        """Return (B, T, F, K); a point loss is read as a normal with the held-out spread."""
        if self.config.loss == "distribution":
            return said.logits.softmax(-1)
        support = self.prior.support
        normal = support.number_logits(said.point.flatten(0, 1), self.spread.square())
        logits = torch.where(support.is_number[:, None], normal.view_as(said.logits), said.logits)
        return logits.softmax(-1)
