"""
Ratings of items by users
=========================

Users rate a few items each; what would they give the others? A table of users by items with most
cells missing is what an imputer takes. The ratings are **simulated**: three hidden tastes of
each user times three properties of each item, a level for each item and each user, noise,
rounded to 1 to 5 stars. Real ratings are not missing at random, as they are here.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from maetab import MAEImputer

generator = np.random.default_rng(0)
n_users, n_items, n_tastes = 250, 30, 3
tastes, properties = (
    generator.normal(size=(n_users, n_tastes)),
    generator.normal(size=(n_tastes, n_items)),
)
levels = 3.3 + generator.normal(0, 0.4, n_items) + generator.normal(0, 0.4, (n_users, 1))
ratings = levels + 0.6 * tastes @ properties + generator.normal(0, 0.5, (n_users, n_items))
truth = pd.DataFrame(ratings.round().clip(1, 5)).add_prefix("item")
seen = truth.where(generator.random(truth.shape) < 0.4)
asked = seen.isna().to_numpy()

# %%
# Baselines first: the mean of the item, and the mean of the item plus how much the user is above
# or below the means. Then the matrix of low rank that the simulation asks for, found by repeated
# singular value decompositions with the true number of tastes, which nobody would know.

item_mean = seen.fillna(seen.mean())
user_level = seen.sub(seen.mean()).mean(axis=1)
item_and_user = seen.fillna(seen.mean()).where(seen.notna(), item_mean.add(user_level, axis=0))

low_rank = item_and_user.to_numpy()
for _ in range(50):
    middle = low_rank.mean(axis=0)
    u, s, v = np.linalg.svd(low_rank - middle, full_matrices=False)
    shrunk = np.maximum(s[: n_tastes + 1] - 8, 0)
    low_rank = np.where(asked, middle + (u[:, : n_tastes + 1] * shrunk) @ v[: n_tastes + 1], seen)

imputer = MAEImputer(preset="fast", keep_grid=False, random_state=0).fit(seen)
filled = {
    "item mean": item_mean,
    "item + user": item_and_user,
    "low rank (knows the simulation)": low_rank,
    "MAEImputer": imputer.transform(seen),
}
errors = {
    name: np.sqrt(np.mean((np.asarray(table) - truth.to_numpy())[asked] ** 2))
    for name, table in filled.items()
}
for name, error in errors.items():
    print(f"{name:32} {error:.3f} stars")

# %%

fig, ax = plt.subplots(figsize=(7, 2.6), layout="constrained")
colours = ["#999999", "#999999", "#e69f00", "#0072b2"]
bars = ax.barh(list(errors), list(errors.values()), color=colours)
ax.bar_label(bars, fmt="%.2f", padding=3)
ax.invert_yaxis()
ax.spines[["top", "right"]].set_visible(False)
change = errors["MAEImputer"] / errors["item + user"] - 1
ax.set_title(f"MAEImputer: {change:+.0%} error against item + user", fontsize=11)
ax.set_xlabel("root mean square error at unrated cells (stars)")

# %%
# How sure is it of one rating? An interval says; ten items for one user, and how many of all
# intervals hold the rating that the simulation knows.

lower, upper = imputer.predict_interval(seen, coverage=0.8)
inside = ((lower <= truth) & (truth <= upper)).to_numpy()[asked].mean()
print(f"80 % intervals hold {inside:.0%} of the unrated cells")
print(
    pd.DataFrame({"from": lower.loc[0], "to": upper.loc[0], "truth": truth.loc[0]})[asked[0]].head(
        10
    )
)

# %%
# Ratings are whole stars, at which nearly all ends of intervals lie, and a star is inside as a
# whole or not at all: so they hold more than they promise, numbers with many values less so.
#
# Thousands of items make thousands of columns, which is not what maetab is for: use a package for
# recommendations then.
