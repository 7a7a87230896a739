"""What notebooks show of a fitted estimator, below scikit-learn's own display."""

from __future__ import annotations

from html import escape
from typing import Any

MOST_NAMES = 5  # of columns that are named

TABLE = '<table class="maetab-fitted"><caption>Fitted</caption><tbody>{}</tbody></table>'
ROW = "<tr><th scope='row'>{}</th><td>{}</td></tr>"


class ShownFitted:
    """An estimator of scikit-learn whose HTML says, once it is fitted, what was fitted."""

    def _repr_html_inner(self) -> str:
        return super()._repr_html_inner() + fitted_table(self)  # type: ignore[misc]

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        bundle = super()._repr_mimebundle_(**kwargs)  # type: ignore[misc]
        if "text/html" in bundle:
            bundle["text/html"] += fitted_table(self)
        return bundle


def fitted_table(estimator: Any) -> str:
    """Return `fitted_facts` as a table of HTML, escaped; "" where nothing is fitted."""
    facts = fitted_facts(estimator)
    lines = "".join(ROW.format(escape(name), escape(value)) for name, value in facts.items())
    return TABLE.format(lines) if lines else ""


def fitted_facts(estimator: Any) -> dict[str, str]:
    """Return what was fitted, by name; empty before fit, and without what is not known.

    Models that were saved by earlier versions do not know their rows.
    """
    if not hasattr(estimator, "model_"):
        return {}
    facts = {}
    if hasattr(estimator, "n_samples_fit_"):
        facts["rows"] = f"{estimator.n_samples_fit_:,}"
    columns = estimator.schema_.columns
    names = ", ".join(str(column.name) for column in columns[:MOST_NAMES])
    more = ", ..." if len(columns) > MOST_NAMES else ""
    facts["columns"] = f"{len(columns):,}: {names}{more}"
    timeline = estimator._timeline()
    if timeline is not None:
        facts["window"] = f"{timeline.n_steps} steps"
    return facts | _of_network(estimator)


def _of_network(estimator: Any) -> dict[str, str]:
    """Return what held-out cells said of the network, and how long it was trained."""
    model, history = estimator.model_, estimator.history_
    if not history:
        return {"network": "none, the first guess alone"}
    seconds = history[-1]["seconds"]
    facts = {"network": f"{int(history[-1]['epoch'])} epochs, {seconds:.1f} s"}
    share = model.network_weight.mean().item()
    facts["share of the network"] = f"{share:.0%} (mean over columns)"
    error = model.residual_std[model.support.is_number].square()
    told = error[error != 1]  # 1 stands where nothing was held out
    if len(told):
        skill = 1 - told.mean().item()
        facts["skill of the network"] = f"{skill:.2f} at held-out numbers (1 perfect, 0 the mean)"
    return facts
