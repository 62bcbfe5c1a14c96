"""Drawings: only shapes pass, names are the page's own, greys follow the page."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from bayesglm.errors import OptionError
from bayesglm.report.drawing import drawing
from bayesglm.report.figures import picture, shortened

FRAME = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9">{}</svg>'


@pytest.mark.parametrize("inside", [
    "<script>alert(1)</script>",
    "<style>body { display: none }</style>",
    '<image href="data:image/png;base64,AA"/>',
    "<foreignObject><p>text</p></foreignObject>",
    '<a href="https://example.org"><path d="M0 0"/></a>',
    "<!-- comment -->",
    "<metadata>https://example.org</metadata>",
    '<path onload="alert(1)"/>',
    '<use xlink:href="https://example.org/x.svg#a"/>',
    '<path style="fill: url(https://example.org)"/>',
    '<path fill="url(https://example.org)"/>',
    '<path style="background: red; position: fixed"/>',
    '<path style="fill: expression(alert(1))"/>',
    '<path style="fill: u\\72l(https://example.org)"/>',
    "<set attributeName='href' to='x'/>",
    "<animate attributeName='x'/>",
])
def test_nothing_but_shapes_passes(inside):
    made = drawing(FRAME.format(inside), "A picture", "f")
    inner = made.replace('aria-label="A picture"', "")
    for word in ("script", "style>", "image", "foreign", "http", "on", "meta", "alert", "position", "set", "animate", "<!--"):
        assert word not in inner


def test_names_are_new_and_references_follow():
    made = drawing(FRAME.format('<defs><path id="x"/><clipPath id="y"><rect/></clipPath></defs>'
                                '<use xlink:href="#x"/><g clip-path="url(#y)" style="clip-path: url(#nowhere)"/>'), "A", "f3")
    assert 'id="f3-1"' in made
    assert 'href="#f3-1"' in made
    assert 'clip-path="url(#f3-2)"' in made
    assert "nowhere" not in made


def test_random_names_do_not_show():
    one, two = (drawing(FRAME.format(f'<path id="{name}"/><use href="#{name}"/>'), "A", "f") for name in ("m12ab", "zz9"))
    assert one == two


def test_greys_are_the_pages_and_colours_stay():
    made = drawing(FRAME.format('<path style="fill: #000000; stroke: #1f77b4"/><path fill="white" stroke="#808080"/>'), "A", "f")
    assert "fill: var(--n0)" in made
    assert "stroke: #1f77b4" in made
    assert 'fill="var(--n100)"' in made
    assert 'stroke="var(--n50)"' in made


def test_alternative_text_is_escaped():
    assert 'aria-label="&lt;script&gt; &quot;"' in drawing(FRAME.format(""), '<script> "', "f")


@pytest.mark.parametrize("text", ["no svg", "<p/>", "<svg>"])
def test_what_is_no_drawing_is_refused(text):
    with pytest.raises(OptionError, match="figure"):
        drawing(text, "A", "f")


def test_a_size_stands_in_for_a_view():
    assert drawing('<svg width="10pt" height="20pt"/>', "A", "f").startswith('<svg viewBox="0 0 10 20"')


def test_labels_that_look_like_mathematics_are_drawn_as_they_are():
    import matplotlib.pyplot as plt
    import xarray as xr

    @dataclass
    class Plot:
        viz: dict

    def make():
        figure, axes = plt.subplots()
        axes.set_xlabel("$\\frac{1}{0}")
        axes.set_ylabel("🦆" * 100)
        return Plot({"figure": xr.DataArray(figure)})

    assert picture(make).startswith("<svg")


def test_short_labels_stay():
    assert shortened("deploy[canary]", 14) == "deploy[canary]"
    assert shortened("a" * 100 + "b", 10) == "aaaaa…aaaab"
