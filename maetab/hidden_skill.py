"""How well an estimator predicts cells that are hidden for the purpose."""

from __future__ import annotations

from typing import Any

import numpy as np

from maetab.engine.skill import skill

FRACTION, SEED = 0.2, 0  # of the observed cells that are hidden


def skill_at_hidden_cells(estimator: Any, X: Any) -> float:
    """Return the skill at cells of X hidden by a seed of its own; see `MAEImputer.score`."""
    table = estimator._read(X)
    drawn = np.random.default_rng(SEED).random(table.values.shape)
    hidden = table.observed & (drawn < FRACTION)
    filled = estimator._points(table._replace(observed=table.observed & ~hidden))
    known = ~estimator.schema_.is_free_text()
    values, filled, hidden = (x[:, known] for x in (table.values, filled, hidden))
    return skill(values, filled, hidden, estimator.schema_.is_number()[known])
