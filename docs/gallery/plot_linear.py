"""
A linear masked autoencoder and its learning curve
==================================================

The simplest masked autoencoder: flat vectors, half of the cells hidden at random (Bernoulli masks),
a linear encoder and decoder, squared error. The rows are images of digits from scikit-learn, one
column for each pixel.

In maetab a network starts from a closed-form first guess and learns what that leaves over. To
see the network at work, the guess is made as poor as it can be here: the mean of each column.
"""

import numpy as np
import torch
from sklearn.datasets import load_digits

from maetab import MAEImputer
from maetab.nn.guess.gaussian import Normal
from maetab.nn.guess.options import GuessOptions
from maetab.nn.masking import Bernoulli
from maetab.plot import HistoryDisplay

images = load_digits().data
images = images[:, (images[:400] > 0).sum(axis=0) > 20]  # without the border, hardly written on
train, test = images[:400], images[1500:]


class ColumnMeans(torch.nn.Module):
    """Guess the mean and the variance of each column, whatever is visible."""

    def __init__(self, n_columns):
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_columns))
        self.register_buffer("variance", torch.ones(n_columns))

    def fit(self, values, visible, should_stop):
        count = visible.sum(0).clamp_min(1)
        self.mean = (values * visible).sum(0) / count
        self.variance = ((values - self.mean).square() * visible).sum(0) / count

    def forward(self, values, visible):
        mean, variance = self.mean.expand_as(values), self.variance.expand_as(values)
        return Normal(torch.where(visible, values, mean), torch.where(visible, 0.0, variance))


poor = GuessOptions(base=ColumnMeans, n_remembered=16, tuning_steps=1, n_metrics=1, key_width=0)
network = {
    "backbone": "linear",
    "loss": "mse",
    "masking": Bernoulli(0.5),
    "n_estimators": 1,
    "max_iter": 20,
    "batch_size": 64,
}
model = MAEImputer(guess=poor, **network, random_state=0).fit(train)

# %%
# The learning curve
# ------------------
#
# ``history_`` has a record for each look at the cells that ``fit`` held out, and ``HistoryDisplay``
# draws it. Losses are of standardised columns. The training loss is a mean over few rows with other
# masks in each step, so it shakes. The held-out loss decides: the weights of its lowest point are
# kept, and training ends early where looks no longer gain.

curve = HistoryDisplay.from_estimator(model).plot()
losses = [record["validation_loss"] for record in model.history_]
change = min(losses) / losses[0] - 1
curve.ax_.set_title(f"Held-out squared error: {change:.0%} from the first look to the lowest")

# %%
# What the network adds
# ---------------------
#
# Half of the pixels of new images are hidden. The error is the root mean square over the hidden
# pixels, in grey levels from 0 to 16. ``max_iter=0`` is the first guess alone; the usual guess, a
# Gaussian and similar rows, is there for comparison, alone and with the same network.

hidden = np.random.default_rng(0).random(test.shape) < 0.5
holes = np.where(hidden, np.nan, test)


def error(filled):
    return np.sqrt(np.mean((filled - test)[hidden] ** 2))


usual = {"preset": "fast", "random_state": 0}
models = {
    "poor guess alone": MAEImputer(guess=poor, max_iter=0, random_state=0).fit(train),
    "poor guess, linear network": model,
    "usual guess alone": MAEImputer(**usual, max_iter=0).fit(train),
    "usual guess, linear network": MAEImputer(**usual, **network).fit(train),
}
errors = {"mean of the pixel": error(np.broadcast_to(train.mean(axis=0), test.shape))}
errors |= {name: error(fitted.transform(holes)) for name, fitted in models.items()}
for name, value in errors.items():
    print(f"{name:28} {value:.3f}")

# %%
# In words, from these numbers:

_, poor_alone, poor_with, usual_alone, usual_with = errors.values()
print(f"Upon the poor guess the network changes the error by {poor_with / poor_alone - 1:+.1%},")
print(f"upon the usual guess by {usual_with / usual_alone - 1:+.1%}.")

# %%
# The network learns, as the curve shows. But a closed form that is linear in the visible cells
# already, and is corrected by similar rows, leaves a linear network little to find in so few rows.
# Held-out cells decide how far it is followed. What the other backbones bring, and on tables of
# which size, is measured in :doc:`/results/filling`.
