"""
Choosing the mask ratio by GridSearchCV
=======================================

``mask_ratio`` is the share of cells that is hidden in a training step. ``MAEImputer`` and
``MAEEncoder`` have a ``score`` that needs no labels: the skill at cells that are hidden for the
purpose, 0 for the mean of each column and 1 for the truth. So scikit-learn's search works as it is.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_wine
from sklearn.model_selection import GridSearchCV, KFold

from maetab import MAEImputer

RATIOS = [0.1, 0.3, 0.6]
wine = load_wine(as_frame=True).data
imputer = MAEImputer(preset="fast", n_estimators=1, max_iter=8, batch_size=64, random_state=0)
folds = KFold(3, shuffle=True, random_state=0)  # the rows are in order of their classes
search = GridSearchCV(imputer, {"mask_ratio": RATIOS}, cv=folds)
search.fit(wine)

found = pd.DataFrame(search.cv_results_)
columns = ["param_mask_ratio", "mean_test_score", "std_test_score", "mean_fit_time"]
print(found[columns].round(4).to_string(index=False))

# %%
# Is the best one better than luck? Folds differ in how hard they are, which has nothing to do with
# the setting; so compare fold by fold with the default of 0.3.

skills = found.filter(regex=r"split\d_test_score").to_numpy()
ratios = found["param_mask_ratio"].to_numpy()
gain = skills - skills[ratios == 0.3]
for ratio, line in zip(ratios, gain):
    print(f"mask_ratio={ratio}: {line.mean():+.4f}, by folds {line.round(4).tolist()}")

best = search.best_params_["mask_ratio"]
is_clear = best != 0.3 and (gain[ratios == best] > 0).all()
words = "better than 0.3 in every fold" if is_clear else "not clearly better than 0.3"
print(f"Highest mean: mask_ratio={best}, {words}.")

# %%

fig, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
for number, (line, marker) in enumerate(zip(skills.T, "os^"), 1):
    ax.plot(ratios, line, color="#999999", marker=marker, lw=1, label=f"fold {number}")
ax.plot(ratios, skills.mean(axis=1), color="#0072b2", marker="D", lw=2, label="mean")
spread = skills.mean(axis=1)
between = skills.mean(axis=0)
title = "Ratios differ by {:.4f}, folds by {:.4f}"
ax.set_title(title.format(np.ptp(spread), np.ptp(between)))
ax.set(
    xlabel="mask_ratio", ylabel="skill at hidden cells\n(0: column mean, 1: truth)", xticks=ratios
)
ax.legend(fontsize=8)

# %%
# A setting of the network can move little where the first guess gives most of the answer, which
# held-out cells decide. Spend a search on it only where a network has weight: on tables of many
# thousand rows, and on series. And a setting that was chosen on these folds is to be judged on
# other rows.
