"""
A prediction as inputs go missing
=================================

A model is trained on complete rows of measurements of tumours (scikit-learn). Later, inputs go
missing: sensors fail, tests are not made. How fast does its prediction become worse?

Four ways to live with it: fill in the median, gradient boosting that takes missing cells as they
are, fill by ``MAEImputer``, features of ``MAEEncoder``. Cells are missing at random here. The
score is the log loss, which counts how sure a wrong prediction was; lower is better.
"""

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from maetab import MAEEncoder, MAEImputer
from maetab.evaluation import amputate

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
train, test, y_train, y_test = train_test_split(X, y, test_size=0.4, random_state=0, stratify=y)


# The penalty is chosen for each set of inputs by itself: they differ in how many columns they have.
penalties = {
    "Cs": [0.001, 0.01, 0.1, 1.0],
    "scoring": "neg_log_loss",
    "max_iter": 500,
    "l1_ratios": (0,),
    "use_legacy_attributes": False,
}


def linear(*before):
    return make_pipeline(*before, StandardScaler(), LogisticRegressionCV(**penalties))


fast = {"preset": "fast", "random_state": 0}
models = {
    "median, linear": linear(SimpleImputer(strategy="median")),
    "gradient boosting": HistGradientBoostingClassifier(max_iter=60, random_state=0),
    "MAEImputer, linear": linear(MAEImputer(**fast)),
    "MAEEncoder, linear": linear(MAEEncoder(n_components=32, **fast, max_iter=0)),
}
for model in models.values():
    model.fit(train, y_train)

# %%
# The same cells are hidden for all of them.

shares, losses = [0.0, 0.2, 0.4, 0.6, 0.8], {}
for share in shares:
    holes, _ = amputate(test, frac=share, random_state=1)
    losses[share] = {
        name: log_loss(y_test, model.predict_proba(holes)) for name, model in models.items()
    }
table = pd.DataFrame(losses).T
print(table.round(3).to_string())

# %%

fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
colours = ["#555555", "#e69f00", "#0072b2", "#009e73"]
for name, colour, marker in zip(models, colours, "sD^o"):
    ax.plot(100 * table.index, table[name], color=colour, marker=marker, label=name)
most = table.index[-1]
ax.set_title(f"With {most:.0%} of the inputs missing, {table.loc[most].idxmin()} loses least")
ax.set(
    xlabel="inputs missing in new rows (%)", ylabel="log loss on 40 % of the rows (lower: better)"
)
ax.legend()

# %%
# What is best at each share, and by how much it beats the median:

for share, line in table.iterrows():
    gain = line["median, linear"] - line.min()
    print(f"{share:.0%} missing: {line.idxmin()}, {gain:.3f} below the median's log loss")

# %%
# With complete inputs there is nothing to fill, and the imputer changes nothing. It pays as cells
# go missing, because these measurements tell much of each other; columns that do not would leave
# the median as good as anything. If your *training* rows have the same gaps, gradient boosting
# learns to live with them, which it could not here.
