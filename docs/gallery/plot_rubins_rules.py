"""
Multiple imputation and Rubin's rules
=====================================

A regression is wanted, and its inputs have holes. Three ways: complete rows only, one filled
table, or several filled tables whose results are pooled by Rubin's rules. The data (diabetes,
scikit-learn) are complete; we hide cells ourselves, by how far the disease had progressed (MAR),
so that the answer without holes is known.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats
from sklearn.datasets import load_diabetes

from maetab import MAEImputer
from maetab.evaluation import amputate

inputs = ["bmi", "bp", "s5"]  # body mass index, blood pressure, log of triglycerides
people = load_diabetes(as_frame=True).frame[[*inputs, "target"]]
people[inputs] /= people[inputs].std()
hide = {"mechanism": "mar", "frac": 0.4, "columns": inputs, "driven_by": ["target"]}
holes, _ = amputate(people, **hide, random_state=0)
print(f"{holes.notna().all(axis=1).sum()} of {len(holes)} rows are complete")


def regression(frame):
    """Least squares of the target: coefficients of the inputs, their variances, and residual df."""
    X = np.column_stack([np.ones(len(frame)), frame[inputs]])
    beta, _, _, _ = np.linalg.lstsq(X, frame["target"], rcond=None)
    left, df = frame["target"] - X @ beta, len(X) - X.shape[1]
    variance = left @ left / df * np.diag(np.linalg.inv(X.T @ X))
    return beta[1:], variance[1:], df


# %%
# Rubin's rules
# -------------
#
# The pooled coefficient is the mean over the filled tables. Its variance is the mean variance
# within them, and the variance between them, which is what is unknown of the missing cells. The
# degrees of freedom are Rubin's (1987), for large tables. It is important that the target is among
# the columns of the imputation: without it the filled cells would not know of the relation that is
# asked for.


def pool(betas, variances):
    m, within, between = len(betas), np.mean(variances, axis=0), np.var(betas, axis=0, ddof=1)
    total = within + (1 + 1 / m) * between
    df = (m - 1) * (total / ((1 + 1 / m) * between)) ** 2
    return np.mean(betas, axis=0), total, df


imputer = MAEImputer(preset="fast", random_state=0).fit(holes)
draws = imputer.sample(holes, n_draws=20, random_state=0)
betas, variances, _ = zip(*(regression(draw) for draw in draws))

results = {
    "no cell hidden": regression(people),
    "complete rows": regression(holes.dropna()),
    "filled once": regression(imputer.transform(holes)),
    "20 draws, pooled": pool(betas, variances),
}

# %%

table = pd.DataFrame(
    {name: [f"{b:5.1f} ± {s:.1f}" for b, s in zip(beta, np.sqrt(variance))]
     for name, (beta, variance, _) in results.items()},
    index=inputs,
)  # fmt: skip
print("coefficient ± standard error, in units of the target for one standard deviation")
print(table.T.to_string())

# %%
# How far each is from the answer without holes, and how sure it claims to be:

truth = results["no cell hidden"][0]
distance = {name: np.sqrt(np.mean((beta - truth) ** 2)) for name, (beta, _, _) in results.items()}
sure = {name: np.sqrt(variance).mean() for name, (_, variance, _) in results.items()}
for name in list(results)[1:]:
    print(f"{name:17} distance {distance[name]:5.2f}, mean standard error {sure[name]:.2f}")

# %%

fig, ax = plt.subplots(figsize=(7.5, 3.6), layout="constrained")
for place, ((name, (beta, variance, df)), colour, marker) in enumerate(
    zip(results.items(), ["#222222", "#d55e00", "#e69f00", "#0072b2"], "Dso^")
):
    half = stats.t.ppf(0.975, df) * np.sqrt(variance)
    y = np.arange(len(inputs)) + 0.18 * (place - 1.5)
    ax.errorbar(beta, y, xerr=half, color=colour, marker=marker, ls="", capsize=3, label=name)
ax.set_yticks(range(len(inputs)), ["body mass index", "blood pressure", "triglycerides (log)"])
ax.invert_yaxis()
nearest = min(list(results)[1:], key=distance.get)
ax.set_title(f"Nearest to the answer without holes: {nearest}")
ax.set_xlabel("coefficient and 95 % interval (target units per standard deviation)")
ax.legend(fontsize=8)

# %%
# One set of holes is one throw of the dice. Over several, the same comparison:

total = {name: [] for name in list(results)[1:]}
for seed in range(1, 4):
    holes, _ = amputate(people, **hide, random_state=seed)
    imputer = MAEImputer(preset="fast", random_state=0).fit(holes)
    betas, variances, _ = zip(*map(regression, imputer.sample(holes, n_draws=10, random_state=0)))
    found = [
        regression(holes.dropna()),
        regression(imputer.transform(holes)),
        pool(betas, variances),
    ]
    for name, (beta, variance, _) in zip(total, found):
        total[name].append([np.mean((beta - truth) ** 2), np.sqrt(variance).mean()])
for name, values in total.items():
    squared, error = np.mean(values, axis=0)
    print(f"{name:17} distance {np.sqrt(squared):5.2f}, mean standard error {error:.2f}")

# %%
# A table that is filled once claims more certainty than it has: it takes filled cells for observed
# ones. Pooled draws do not. Draws vary the cells, not the model that they are drawn from; of small
# tables their standard errors are therefore rather too small than too large.
