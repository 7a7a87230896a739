"""Adam by torch's functional form, and how a step's rate rises and falls.

The first `torch.optim.Optimizer` of a process loads torch's compiler, which takes time and memory,
for nothing that is used here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim.adamw import adamw


class Group(NamedTuple):
    """Parameters that are learned at one rate; `weight_decay` is that of AdamW."""

    parameters: Sequence[Tensor]
    rate: float
    weight_decay: float


class Adam:
    """AdamW over groups of parameters (Loshchilov and Hutter 2019); Adam where nothing decays.

    Parameters
    ----------
    groups : none of them share a parameter
    betas : how much of the mean gradient, and of the mean square, a step keeps
    """

    def __init__(self, groups: Iterable[Group], betas: tuple[float, float]) -> None:
        self.groups, self.betas = list(groups), betas
        self.n_steps, self.means, self.squares = (
            [[make(p) for p in group.parameters] for group in self.groups]
            for make in (lambda _: torch.zeros(()), torch.zeros_like, torch.zeros_like)
        )

    @property
    def parameters(self) -> list[Tensor]:
        """All that is learned."""
        return [p for group in self.groups for p in group.parameters]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, share: float = 1.0) -> None:
        """Take a step at a share of the rates; parameters without gradient stay as they are."""
        for group, *states in zip(self.groups, self.means, self.squares, self.n_steps, strict=True):
            moved = [i for i, p in enumerate(group.parameters) if p.grad is not None]
            means, squares, n_steps = ([state[i] for i in moved] for state in states)
            adamw(
                [group.parameters[i] for i in moved],
                [group.parameters[i].grad for i in moved],  # type: ignore[misc]
                means,
                squares,
                [],
                n_steps,
                amsgrad=False,
                beta1=self.betas[0],
                beta2=self.betas[1],
                lr=share * group.rate,
                weight_decay=group.weight_decay,
                eps=1e-8,
                maximize=False,
            )

    def state_dict(self) -> dict[str, Any]:
        """Return what the steps so far have left, to go on with."""
        return {"n_steps": self.n_steps, "means": self.means, "squares": self.squares}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where another of the same parameters was, on whatever device that ran."""
        for name in ("n_steps", "means", "squares"):
            for group, found in zip(getattr(self, name), state[name], strict=True):
                for own, tensor in zip(group, found, strict=True):
                    own.copy_(tensor)


def share_of_rate(step: int, n_steps: int) -> float:
    """Return what a step, counted from 0, takes of the rate: a linear rise over 5 % of the steps,
    then half a cosine down to nothing.
    """
    warm = max(1, n_steps // 20)
    if step < warm:
        return (1 + step) / warm
    return (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, n_steps - warm)))) / 2
