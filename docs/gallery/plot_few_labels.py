"""
Few labels: features learned without labels
===========================================

An encoder learns from all rows, none of them labelled; a logistic regression then learns from
10, 50 or 100 labels. Does it learn more from the features than from the raw columns?

The data are images of digits and measurements of tumours, both from scikit-learn. Each number of
labels is drawn several times, because a draw of ten rows is a lottery.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from maetab import MAEEncoder

LABELS, DRAWS = (10, 50, 100), 10
digits, tumours = load_digits(return_X_y=True), load_breast_cancer(return_X_y=True)
tables = {"digits": [part[:500] for part in digits], "breast cancer": tumours}


def accuracies(features, y, n_labels):
    """Accuracy on the rows without a label, for each draw of labels."""
    found = []
    for seed in range(DRAWS):
        order = np.random.default_rng(seed).permutation(len(y))
        known, new = order[:n_labels], order[n_labels:]
        probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
        found.append(probe.fit(features[known], y[known]).score(features[new], y[new]))
    return np.array(found)


results = {}
for name, (X, y) in tables.items():
    X = X[:, X.std(axis=0) > 0]  # some pixels of the digits are never written on
    encoder = MAEEncoder(n_components=64, preset="fast", random_state=0)
    features = encoder.fit_transform(X)
    for n in LABELS:
        results[name, n] = accuracies(X, y, n), accuracies(features, y, n)

# %%
# The same draws of labels go to both, so that differences are taken draw by draw. Their standard
# error says what is a finding and what is luck.

for (name, n), (raw, learned) in results.items():
    gain = learned - raw
    error = gain.std(ddof=1) / np.sqrt(DRAWS)
    clear = abs(gain.mean()) > 2 * error
    verdict = ("better" if gain.mean() > 0 else "worse") if clear else "about equal"
    print(
        f"{name:14} {n:4} labels: raw {raw.mean():.3f}, learned {learned.mean():.3f}, "
        f"difference {gain.mean():+.3f} ± {error:.3f}: {verdict}"
    )

# %%

fig, axes = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
for ax, name in zip(axes, tables):
    for place, (label, colour, marker) in enumerate(
        [("raw columns", "#555555", "s"), ("MAEEncoder", "#0072b2", "o")]
    ):
        found = np.array([results[name, n][place] for n in LABELS])
        x = np.array(LABELS) * (0.98, 1.02)[place]
        look = {"color": colour, "marker": marker, "label": label, "capsize": 3}
        ax.errorbar(x, found.mean(axis=1), found.std(axis=1), **look)
    gains = [np.subtract(*results[name, n][::-1]).mean() for n in LABELS]
    ax.set_title(f"{name}: encoder brings {min(gains):+.3f} to {max(gains):+.3f}", fontsize=10)
    ax.set(xlabel="labelled rows", xscale="log", xticks=LABELS, xticklabels=LABELS)
    ax.minorticks_off()
axes[0].set_ylabel("accuracy on the other rows\n(mean and standard deviation of draws)")
axes[0].legend()

# %%
# Read it as it stands: where the raw columns separate the classes for a linear model already,
# features that were learned without labels have little to add, even with few labels. They pay
# rather where cells are missing (:doc:`plot_missing_inputs`) or a linear model falls short.
# ``MAEClassifier.from_fitted(encoder, X, y)`` learns such a probe in one call, see
# :doc:`/guide/labels`.
# :doc:`/results/features` compares on more tables, with other learners, and with an encoder that
# has learned nothing.
