"""HTML and SVG as text in which everything that is not markup is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

LONGEST = 60  # characters of a name or a cell that are shown
LONGEST_TITLE = 300  # and that a pointer held over it shows
JOINERS = "\u200c\u200d"  # not printable, but parts of words and of emoji
VOID = {"meta", "br"}  # elements without content


class Markup(str):
    """Text that is markup already."""


def element(tag: str, *content: Any, **attributes: Any) -> Markup:
    """Return an element; content that is no `Markup` is escaped, None is left out.

    Parameters
    ----------
    content : `Markup`, text or what `str` makes text, or lists of these
    **attributes : without those that are None; `class_` is class, `aria_label` is aria-label

    Examples
    --------
    >>> element("td", "a < b", class_="number")
    '<td class="number">a &lt; b</td>'
    """
    named = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
    words = "".join(f' {key}="{_text(x)}"' for key, x in named.items() if x is not None)
    inner = "" if tag in VOID else f"{joined(*content)}</{tag}>"
    return Markup(f"<{tag}{words}>{inner}")


def joined(*content: Any) -> Markup:
    """Return content one after the other, escaped where it is no `Markup`."""
    parts = []
    for part in content:
        if isinstance(part, Markup):
            parts.append(str(part))
        elif isinstance(part, list | tuple):
            parts.append(joined(*part))
        elif part is not None:
            parts.append(_text(part))
    return Markup("".join(parts))


def shortened(text: Any, longest: int = LONGEST) -> str:
    """Return text of at most `longest` characters, the last of which then is an ellipsis."""
    whole = clean(text)
    return whole if len(whole) <= longest else f"{whole[: longest - 1]}…"


def users(text: Any) -> Markup:
    """Return a name or a cell of the user as an element of its own direction of writing."""
    whole, shown = clean(text), shortened(text)
    title = None if shown == whole else shortened(whole, LONGEST_TITLE)
    return element("bdi", shown or "(empty)", title=title)


def clean(text: Any) -> str:
    r"""Return text on one line; what neither shows nor joins is written as in Python.

    Examples
    --------
    >>> print(clean("two\nlines"))
    two\nlines
    """
    whole = str(text)
    if whole.isprintable():
        return whole
    return "".join(c if c.isprintable() or c in JOINERS else repr(c)[1:-1] for c in whole)


def table(
    caption: Any, head: Sequence[Any], rows: Iterable[Sequence[Any]], numbers: Sequence[int] = ()
) -> Markup:
    """Return a table whose first cell of each row is the head of the row.

    Parameters
    ----------
    numbers : columns that are set to the right
    """

    def of(place: int) -> str | None:
        return "number" if place in numbers else None

    top = [element("th", cell, scope="col", class_=of(i)) for i, cell in enumerate(head)]
    body = [
        element(
            "tr",
            element("th", cells[0], scope="row", class_=of(0)),
            [element("td", cell, class_=of(i)) for i, cell in enumerate(cells[1:], 1)],
        )
        for cells in rows
    ]
    parts = [element("caption", caption), element("thead", element("tr", top))]
    inner = element("table", parts, element("tbody", body))
    # Wide tables are scrolled, also by the keyboard.
    return element("div", inner, class_="wide", tabindex="0", role="group", aria_label=caption)


def paragraph(*content: Any) -> Markup:
    """Return a paragraph."""
    return element("p", *content)


def section(name: str, title: str, *content: Any) -> Markup:
    """Return a section with its heading; `name` is its id."""
    heading = element("h2", title, id=f"{name}-title")
    return element("section", heading, *content, id=name, aria_labelledby=f"{name}-title")


def _text(value: Any) -> str:
    return html.escape("".join(c if _is_text(c) else "\ufffd" for c in str(value)))


def _is_text(character: str) -> bool:
    """Whether a character may stand in HTML: no control, and no half of a pair."""
    return (character >= " " or character in "\n\t") and not "\ud800" <= character <= "\udfff"
