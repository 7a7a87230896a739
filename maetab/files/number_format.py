"""Numbers in text files: with units, signs, groups of digits, decimals and exponents."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pandas as pd

from maetab.files.layout import WAYS_OUT, Found, Layout

DIGITS = 7  # a float32 knows no more
WHOLE = np.iinfo(np.int64)
_SYMBOLS = "$€£¥¢₹₽₩₺₴₪₫฿₱"
_CODES = "AUD|BRL|CAD|CHF|CNY|CZK|DKK|EUR|GBP|HUF|INR|JPY|KRW|MXN|NOK|NZD|PLN|SEK|TRY|USD|ZAR"
OF_MONEY = 2  # decimals, which stand behind whole amounts, too
_UNIT = rf"(?:[A-Z]{{0,2}}\$|[{_SYMBOLS}]|{_CODES})"
_GROUPERS = ",.'’ \u00a0\u2009\u202f"


@dataclass(frozen=True)
class Number:
    r"""Numbers with a fixed or a largest count of decimals.

    Parameters
    ----------
    whole : True where the values are whole numbers
    decimals : digits after the decimal mark; for whole numbers these are zeros
    fewest : decimals that are written even where they are zeros; as many as `decimals`, or less
        where the cells differ
    exponent : "" for none; letter, sign and least digits, such as e+00; "mixed" where only very
        small and very large numbers have one
    decimal : the decimal mark
    thousands : what stands between groups of three digits; empty where nothing does
    pairs : whether the digits before the last three are grouped by two, as in India: 12,34,567
    prefix, suffix : what stands before and after every number, such as $ or %
    sign_first : True for -$5 and ($5), False for $-5 and $(5)
    plus : True where positive numbers have a sign
    negative : how -1 is written: -1, \u22121, (1) or 1-
    """

    whole: bool = False
    decimals: int = 0
    fewest: int = 0
    exponent: str = ""
    decimal: str = "."
    thousands: str = ""
    pairs: bool = False
    prefix: str = ""
    suffix: str = ""
    sign_first: bool = True
    plus: bool = False
    negative: str = "-1"

    @property
    def unusual(self) -> str:
        marks = self.prefix, self.thousands, self.suffix
        if self.negative != "-1":
            return f"numbers, such as {self._text(-1234)} for -1234"
        shown = 123456 if self.pairs else 1234
        return f"numbers, such as {self._text(shown)}" if any(marks) else ""

    def unpadded(self) -> Number:
        """Return the format without zeros at the end, but with up to two, as money has them."""
        return replace(self, fewest=0) if self.decimals > OF_MONEY else self

    def parse(self, texts: pd.Series) -> pd.Series:
        if self.prefix or self.suffix or self.thousands or self.negative != "-1":
            plain = plain_numbers(texts, self.decimal, self.thousands or None)
        else:
            plain = texts.str.strip().str.replace(self.decimal, ".", regex=False)
        if self.whole:  # digits only: floats would lose those of long numbers
            whole = plain.str.split(".").str[0].map(lambda text: text if text[-1:].isdigit() else 0)
            return whole.map(int).astype("Int64")
        return pd.to_numeric(plain).astype("float64")

    def write(self, values: pd.Series) -> list[str]:
        return [self._text(value) for value in values]

    def _text(self, value: float) -> str:
        digits = self._digits(value)
        if self.negative != "-1" and digits.startswith("-"):
            outside = "" if self.sign_first else self.prefix
            inside = replace(self, negative="-1", prefix="" if outside else self.prefix)
            return outside + self.negative.replace("1", inside._text(-value))
        sign = "-" if digits.startswith("-") else "+" if self.plus and float(digits) else ""
        whole, mark, fraction = digits.removeprefix("-").partition(".")
        if self.thousands and not self.exponent:
            head, last = whole[:-3], whole[-3:]
            head = re.sub(rf"(?<=\d)(?=(?:\d{{{2 if self.pairs else 3}}})+$)", self.thousands, head)
            whole = head + self.thousands * bool(head) + last
        before, behind = (sign, "") if self.sign_first else ("", sign)
        number = whole + (self.decimal if mark else "") + fraction
        return before + self.prefix + behind + number + self.suffix

    def _digits(self, value: float) -> str:
        """Return the number alone, with a point and a minus sign where it needs one."""
        if self.whole:
            return f"{round(value)}" + ("." + "0" * self.decimals if self.decimals else "")
        if self.exponent == "mixed":
            return f"{value:.{DIGITS - 1}g}"
        if self.exponent:
            mantissa, power = f"{value:.{self.decimals}e}".split("e")
            sign = "-" if int(power) < 0 else "+" if "+" in self.exponent else ""
            width = sum(map(str.isdigit, self.exponent))
            return f"{self._trimmed(mantissa)}{self.exponent[0]}{sign}{abs(int(power)):0{width}d}"
        text = self._trimmed(f"{value:.{self.decimals}f}")
        return text.removeprefix("-") if not float(text) else text

    def _trimmed(self, text: str) -> str:
        whole, mark, fraction = text.partition(".")
        zeros = self.decimals - self.fewest  # the last ones, which may be left out
        kept = fraction[: self.fewest] + fraction[len(fraction) - zeros :].rstrip("0")
        return whole + mark * bool(kept) + kept


def _with_minus(text: str) -> tuple[str, str]:
    """Return a text with a minus sign before what is marked as negative, and how it was marked."""
    if text[-1:] not in ")-" and "\u2212" not in text:
        return text, "-1"
    if "\u2212" in text:
        return text.replace("\u2212", "-"), "\u22121"
    if bracketed := re.fullmatch(r"([^\d()+-]*)\(([^()+-]+)\)", text):
        return "-".join(bracketed.groups()), "(1)"
    if text[-1:] == "-" and text[:1] not in "-+":
        return "-" + text[:-1].strip(), "1-"
    return text, "-1"


@lru_cache
def pattern(decimal: str, thousands: str | None) -> re.Pattern[str]:
    """Return written numbers; 007 and the like are left out, for they are names.

    Parameters
    ----------
    decimal : the decimal mark
    thousands : mark between groups of three digits; None for any usual one
    """
    mark = re.escape(decimal)
    groups = re.escape(_GROUPERS.replace(decimal, "") if thousands is None else thousands)
    grouped = rf"[1-9]\d{{0,2}}(?P<group>[{groups}])\d{{3}}(?:(?P=group)\d{{3}})*"
    grouped += rf"|[1-9]\d?(?P<pairs>(?=[{groups}]),)(?:\d\d,)+\d{{3}}"
    return re.compile(
        rf"(?P<before>[+-]?)(?P<prefix>(?:{_UNIT}\s?)?)(?P<behind>[+-]?)"
        rf"(?={mark}?\d)(?P<whole>{grouped}|0|[1-9]\d*)?(?P<fraction>{mark}\d*)?"
        rf"(?P<power>[eE][+-]?\d+)?(?P<suffix>(?:\s?(?:[%‰]|{_UNIT}))?)"
    )


def plain_numbers(texts: pd.Series, decimal: str, thousands: str | None) -> pd.Series:
    """Return the numbers as Python writes them; None for a text that is no number."""
    found = pattern(decimal, thousands)

    def plain(text: str) -> str | None:
        text = text.strip()
        if text.isascii() and text.isdecimal() and (text[0] != "0" or text == "0"):
            return text  # as most numbers are, and soon found
        match = found.fullmatch(_with_minus(text)[0])
        if match is None or (match["before"] and match["behind"]):
            return None
        whole = match["whole"] or "0"
        whole = re.sub(r"\D", "", whole)
        fraction = (match["fraction"] or "").replace(decimal, ".")
        return match["before"] + match["behind"] + whole + fraction + (match["power"] or "")

    return texts.map(plain).astype(object)


def find_numbers(counts: pd.Series, layout: Layout) -> Found:
    """Return which texts are numbers, and how they are written.

    Parameters
    ----------
    counts : how often each different text of a column occurs, by text
    layout : its `decimal` is the decimal mark, or empty where point and comma are as likely
    """
    texts, thousands = counts.index.to_series(), layout.thousands

    def fits(mark: str) -> np.ndarray:
        return plain_numbers(texts, mark, thousands).notna().to_numpy()

    mark = layout.decimal or "."
    other = "," if mark == "." else "."
    best = fits(mark)
    if layout.decimal and not best.all() and (others := fits(other)).all():
        seen = f"such as {texts.iloc[0]!r}, look like numbers with the decimal mark {other!r}"
        way = f"pass --decimal={other} if so, or the column in {WAYS_OUT}"
        return Found(others, doubt=f"its cells, {seen} and not {mark!r}; {way}")
    if not layout.decimal:
        others = fits(other)
        commas = texts[texts.str.contains(",")]
        if best.all() and others.all() and thousands is None and len(commas):
            seen = f"the comma in {commas.iloc[0]!r} may be a decimal mark or stand between"
            return Found(best, doubt=f"{seen} thousands; pass --decimal=, or --thousands=,")
        if counts[others].sum() > counts[best].sum():
            mark, best = other, others
    if not best.any():
        return Found(best)
    chosen, doubt = _number_format(texts[best], mark, thousands)
    return Found(best, chosen, doubt)


def _number_format(
    texts: pd.Series, decimal: str, thousands: str | None
) -> tuple[Number | None, str | None]:
    """Return the format of texts that are all numbers, or why they have none."""
    found = pattern(decimal, thousands)
    signed = [_with_minus(text) for text in texts]
    marks = Counter(mark for _, mark in signed if mark != "-1")
    if marks["(1)"] == len(texts) > 0:
        return None, (
            "all its numbers stand in brackets, as negative ones may; write them with a minus if "
            f"they are, or pass the column in {WAYS_OUT}"
        )
    matches = [match for match in (found.fullmatch(text) for text, _ in signed) if match]
    units = Counter((match["prefix"], match["suffix"]) for match in matches)
    if len({(prefix.strip(), suffix.strip()) for prefix, suffix in units}) > 1:
        shown = ", ".join(repr((before + behind).strip()) for before, behind in list(units)[:5])
        return None, (
            f"its numbers have different units ({shown}); bring them to one, or pass the column "
            f"in {WAYS_OUT}"
        )
    prefix, suffix = units.most_common(1)[0][0]
    groups = Counter(filter(None, (match["group"] or match["pairs"] for match in matches)))
    plain = plain_numbers(texts, decimal, thousands)
    signs = [
        match["before"] + match["behind"] for match, number in zip(matches, plain) if float(number)
    ]
    shared = Number(
        decimal=decimal,
        thousands=groups.most_common(1)[0][0] if groups else "",
        pairs=any(match["pairs"] for match in matches),
        prefix=prefix,
        suffix=suffix,
        sign_first=not prefix or not any(match["behind"] for match in matches),
        plus=bool(signs) and all(signs) and "+" in signs,
        negative=marks.most_common(1)[0][0] if marks else "-1",
    )
    return _with_digits(plain, shared), None


def _with_digits(plain: pd.Series, shared: Number) -> Number | None:
    """Return the format with the digits that the numbers have; None where they have too many."""
    parts = plain.str.extract(r"[+-]?(\d*)(?:\.(\d*))?([eE].*)?").fillna("")
    longest, lengths = parts[0].str.len().max(), parts[1].str.len()
    powers = parts[2][parts[2] != ""]
    if powers.empty and not lengths.any():
        fits = longest < 19 or all(WHOLE.min <= int(text) <= WHOLE.max for text in plain)
        return replace(shared, whole=True) if fits else None
    if powers.empty and lengths.all() and longest <= 15 and not parts[1].str.strip("0").any():
        return replace(shared, whole=True, decimals=int(lengths.max()))
    fewest, decimals = int(lengths.min()), int(lengths.max())
    if len(powers):
        plus = "+" if powers.str.contains("+", regex=False).any() else ""
        shape = powers.iloc[0][0] + plus + "0" * powers.str.count(r"\d").min()
        mantissas = plain.str.fullmatch(r"[+-]?([1-9](\.\d*)?|0(\.0*)?)[eE].*")
        exponent = shape if mantissas.all() else "mixed"
        return replace(shared, decimals=decimals, fewest=fewest, exponent=exponent)
    if fewest < decimals and decimals >= DIGITS:  # all that a float has is no form to keep
        largest = pd.to_numeric(plain).abs().max()
        room = DIGITS - 1 - math.floor(math.log10(largest)) if 0 < largest < math.inf else DIGITS
        decimals = min(decimals, max(room, fewest))
    return replace(shared, decimals=decimals, fewest=fewest)
