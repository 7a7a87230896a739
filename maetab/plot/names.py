"""Names and shares as short texts that matplotlib draws as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def shortened(names: Sequence, most: int = 24) -> list[str]:
    """Return names as texts of at most `most` letters that matplotlib draws as they are.

    Long ones are cut in their centre. Different names that are then the same lose what they begin
    with in common; if they are still the same, the second ends in "#2" and so on. Letters
    that the font lacks are spelled as in Python (\\u65e5), and no dollar starts a formula.
    """
    wholes = [_spelled(name) for name in names]
    cuts = [_cut(whole, most) for whole in wholes]
    texts: list[str] = []
    for whole, text in zip(wholes, cuts):
        alike = {other for other, cut in zip(wholes, cuts) if cut == text}
        if len(alike) > 1:
            differ = [place for place, letters in enumerate(zip(*alike)) if len(set(letters)) > 1]
            text = _cut("…" + whole[differ[0] :], most) if differ else text
        first, number = text, 1
        while text in texts:
            number += 1
            text = _cut(first, most - len(f" #{number}")) + f" #{number}"
        texts.append(text)
    return [text.replace("$", r"\$") for text in texts]


def short(name: Any, most: int = 24) -> str:
    """Return one name as `shortened` does."""
    return shortened([name], most)[0]


def _cut(text: str, most: int) -> str:
    """Return the text, of a long one `most` letters with an ellipsis in their centre."""
    if len(text) <= most:
        return text
    return f"{text[: most // 2]}…{text[len(text) - (most - most // 2 - 1) :]}"


def _spelled(name: Any) -> str:
    """Return a name on one line, letters that the font lacks spelled as in Python."""
    text = " ".join(str(name).split())
    if text.isascii() and text.isprintable():
        return text
    from matplotlib import rcParams
    from matplotlib.font_manager import FontProperties, findfont, get_font

    fonts = [get_font(findfont(FontProperties(family=[name]))) for name in rcParams["font.family"]]
    known = [any(font.get_char_index(ord(letter)) for font in fonts) for letter in text]
    spelled = (letter.encode("unicode_escape").decode() for letter in text)
    return "".join(a if has else b for a, b, has in zip(text, spelled, known))


def share_text(count: int, total: int) -> str:
    """Return a share in percent, with as many decimals as tell it from none and from all."""
    percent, decimals = 100 * count / total, 0 if count in (0, total) else 1
    while decimals and round(percent, decimals) in (0, 100):
        decimals += 1
    return f"{percent:.{decimals}f} %"
