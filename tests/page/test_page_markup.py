"""Markup: what users write stays text."""

from __future__ import annotations

import pytest

from maetab.page.markup import LONGEST, Markup, clean, element, joined, shortened, table, users

HOSTILE = ["<script>alert(1)</script>", "\"'><img src=x>", "a&amp;b", "</td></table>", "{{x}}"]


@pytest.mark.parametrize("text", HOSTILE)
def test_text_never_becomes_markup(text, read_page):
    page = read_page(element("p", text, title=text))
    assert [name for name, _ in page.elements] == ["p"]
    assert page.text == text and page.elements[0][1] == {"title": text}


def test_markup_is_not_escaped_twice():
    inner = element("b", "a < b")
    assert element("p", inner) == "<p><b>a &lt; b</b></p>"
    assert isinstance(joined(inner, "&"), Markup) and joined(inner, ["&", None]).endswith("&amp;")


def test_controls_are_spelled_and_halves_of_pairs_replaced():
    assert clean("two\nlines\x00\u202eback") == "two\\nlines\\x00\\u202eback"
    assert clean("👩\u200d🔬") == "👩\u200d🔬"
    element("p", "\ud800").encode()  # would raise for half of a pair
    assert element("p", "\ud800\x01") == "<p>\ufffd\ufffd</p>"


def test_long_names_are_shortened_and_told_in_a_title(read_page):
    name = "x" * 1000
    page = read_page(users(name))
    assert page.text == "x" * (LONGEST - 1) + "…" == shortened(name)
    assert len(page.elements[0][1]["title"]) < 400
    assert users("") == "<bdi>(empty)</bdi>"


def test_cells_of_tables_have_heads_for_columns_and_rows(read_page):
    page = read_page(table("All", ["name", "size"], [["a", 1], ["b", 2]], (1,)))
    scopes = [given.get("scope") for name, given in page.elements if name == "th"]
    assert scopes == ["col", "col", "row", "row"]
    assert [name for name, _ in page.elements].count("caption") == 1
