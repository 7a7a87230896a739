"""Names that are hard to draw, and the texts that stand in a drawn picture."""

from __future__ import annotations

from matplotlib.text import Text

LONG = "Durchschnittliche_Größe_der_Übergangsbevölkerung_je_Straße_"
WARDS = [f"Zentralkrankenhaus für Ältere, Station {letter}" for letter in "AB"]


def history(held_out, rates=None, network=0):
    """A training with these losses at held-out cells."""
    rates = [0.1 / (1 + k) for k in range(len(held_out))] if rates is None else rates
    return [
        {
            "network": network,
            "step": 5 * (k + 1),
            "train_loss": 1.0 - 0.1 * k,
            "validation_loss": loss,
            "learning_rate": rate,
        }
        for k, (loss, rate) in enumerate(zip(held_out, rates))
    ]


def texts_of(figure):
    """Visible texts of a drawn figure; labels of ticks beyond the ends of an axis are not drawn."""
    beyond = set()
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        ticks = zip(axis.get_ticklocs(), axis.get_ticklabels())
        beyond |= {label for place, label in ticks if not low <= place <= high}
    found = set(figure.findobj(Text)) - beyond
    return [text for text in found if text.get_visible() and text.get_text().strip()]


def legend_of(display):
    """Texts of all legends of a picture."""
    figure = display.figure_
    legends = [*figure.legends, *filter(None, (axes.get_legend() for axes in figure.axes))]
    return [text.get_text() for legend in legends for text in legend.get_texts()]
