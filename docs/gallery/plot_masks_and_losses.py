"""
Masks, losses and reconstructions
=================================

Which cells are hidden in training, which of them count in the loss, and how an error is measured
are parameters: ``masking``, ``visible_weight`` and ``loss``. Images of digits make the choices
visible. Each image is a row of a table; that pixels are neighbours is not told to the model.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_digits

from maetab import MAEImputer, load, save
from maetab.nn.guess.gaussian import Normal
from maetab.nn.guess.options import GuessOptions
from maetab.nn.masking import Bernoulli, Block
from maetab.plot import ReconstructionDisplay

images = pd.DataFrame(load_digits().data).add_prefix("pixel")
images = images.loc[:, (images[:400] > 0).sum() > 20]  # without the border, hardly written on
places = images.columns.str.removeprefix("pixel").astype(int).to_numpy()
train, test = images[:400], images[1600:]

# %%
# Two ways to hide pixels
# -----------------------
#
# Half of the pixels one by one, or a region: the upper half. A hidden pixel among visible
# neighbours is easy; a hidden region is not.

hidden = {
    "random": np.random.default_rng(0).random(test.shape) < 0.5,
    "region": np.broadcast_to(places < 32, test.shape),
}


def error(model, how):
    """Root mean square error at hidden pixels, in grey levels from 0 to 16."""
    filled = model.transform(test.mask(hidden[how]))
    return np.sqrt(((filled - test) ** 2).to_numpy()[hidden[how]].mean())


# %%
# Settings side by side
# ---------------------
#
# To see what networks learn, they start from a poor first guess here, the mean of each column, as
# in :doc:`plot_linear`. In all of them the encoder reads tokens of visible cells only; hidden ones
# enter in the decoder. ``Block`` hides runs of 12 neighbouring columns, about two lines of an
# image. ``visible_weight=0`` takes the loss on hidden cells alone, as masked autoencoders do; 1 on
# all cells alike.


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
shared = {"guess": poor, "backbone": "mlp", "n_estimators": 1, "max_iter": 8, "batch_size": 64}
shared |= {"masking": Bernoulli(0.5), "loss": "mse", "visible_weight": 0.0, "random_state": 0}
settings = {
    "poor guess alone": {"max_iter": 0},
    "random masks, MSE on hidden cells": {},
    "random masks, MSE on all cells": {"visible_weight": 1.0},
    "block masks, MSE on hidden cells": {"masking": Block(0.5, length=12)},
    "random masks, cosine": {"loss": "cosine"},
    "random masks, absolute error, dropout": {"loss": "mae", "dropout": 0.1},
}
models = {name: MAEImputer(**shared | own).fit(train) for name, own in settings.items()}

# %%
# The last line is maetab as it comes, with its usual guess (a Gaussian and similar rows) and, in
# the fastest preset, no network at all.

models["usual guess, no network"] = MAEImputer(preset="fast", random_state=0).fit(train)
table = pd.DataFrame(
    {how: [error(model, how) for model in models.values()] for how in hidden}, index=list(models)
)
print(table.round(3).to_string())

# %%

fig, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
for how, colour, marker in [("random", "#0072b2", "o"), ("region", "#d55e00", "s")]:
    label = f"{how}: {'half of the pixels' if how == 'random' else 'upper half'} hidden"
    ax.plot(table[how], table.index, color=colour, marker=marker, ls="", label=label)
ax.invert_yaxis()
ax.grid(axis="y", alpha=0.3)
ax.set_xlabel("RMSE at hidden pixels (grey levels, 0 to 16)")
best = {how: table[how][1:-1].idxmin() for how in hidden}
ax.set_title(
    "Least error of a network, random: {random}\nregion: {region}".format(**best), fontsize=10
)
ax.legend(fontsize=8)

# %%
# Differences between the settings are from one seed each and one data set: they show what the
# parameters do, not which is best. Choose on your own table, as :doc:`plot_mask_ratio` does. And
# mind the last line before you spend time on a network.
#
# Saved and loaded
# ----------------
#
# A model is one file of numbers and JSON, and predicts the same after loading, bit for bit. (One
# with a guess of your own can be pickled, but not saved: loading a model file runs no code.)

holes = test.mask(hidden["random"])
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "digits.safetensors"
    save(models["usual guess, no network"], path)
    model = load(path)
same = model.transform(holes).equals(models["usual guess, no network"].transform(holes))
print(f"filled the same after loading: {same}")

# %%
# Original, masked, reconstruction
# --------------------------------

shown = slice(0, 8)


def as_images(frame):
    grid = np.zeros((len(frame), 64))
    grid[:, places] = frame
    return grid.reshape(-1, 8, 8)


lines = {"original": test[shown]}
for how in hidden:
    masked = test[shown].mask(hidden[how][shown])
    lines[f"{how}:\nmasked"] = masked
    lines[f"{how}:\nfilled"] = model.transform(masked)
cmap = plt.get_cmap("gray_r").with_extremes(bad="#56b4e9")
fig, axes = plt.subplots(5, 8, figsize=(8, 5.6), subplot_kw={"xticks": [], "yticks": []})
for line, (label, frame) in zip(axes, lines.items()):
    line[0].set_ylabel(label, rotation=0, ha="right", va="center")
    for ax, image in zip(line, as_images(frame)):
        ax.imshow(image, cmap=cmap, vmin=0, vmax=16)
fig.suptitle("Single pixels come back sharper than a hidden upper half (blue: hidden)")
fig.tight_layout()

# %%
# Pixels of a hidden region are expectations, each on its own: where several digits would fit, their
# mean is filled in, which is blurred. ``sample`` draws likely completions instead.
# ``ReconstructionDisplay`` shows the same cell by cell, here for four pixels from the middle.

chosen = ["pixel20", "pixel27", "pixel36", "pixel43"]
display = ReconstructionDisplay.from_estimator(model, test, hidden["random"], chosen).plot()
