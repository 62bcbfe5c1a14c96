"""Drawing: SVG text as a part of the page: responsive, in the page's colours, and without anything but shapes.

Only known shapes and attributes are kept, so that nothing in a figure can run, load or restyle the page. Names inside a figure
are numbered anew: figures do not meddle with each other, and random names make no page differ. Greys become the page's own,
from ink to paper, so that axes and labels stay readable on a dark screen.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from bayesglm.errors import OptionError

SHAPES = frozenset({
    "svg", "g", "path", "defs", "clipPath", "use", "rect", "circle", "ellipse", "line", "polyline", "polygon", "text",
    "tspan", "linearGradient", "radialGradient", "stop", "marker", "symbol",
})
ATTRIBUTES = frozenset({
    "id", "d", "x", "y", "x1", "y1", "x2", "y2", "dx", "dy", "cx", "cy", "r", "rx", "ry", "width", "height", "viewBox",
    "points", "transform", "style", "fill", "stroke", "offset", "href", "opacity", "clip-path", "clip-rule", "fill-rule",
    "fill-opacity", "stroke-width", "stroke-opacity", "stroke-dasharray", "stroke-linecap", "stroke-linejoin",
    "stroke-miterlimit", "stroke-dashoffset", "font-family", "font-size", "font-style", "font-weight", "text-anchor",
    "dominant-baseline", "preserveAspectRatio", "clipPathUnits", "gradientUnits", "gradientTransform", "stop-color",
    "stop-opacity", "markerWidth", "markerHeight", "refX", "refY", "orient",
})
STYLES = frozenset({"fill", "stroke", "opacity", "font", "transform", "text-anchor", "clip-path"})
SPACE = re.compile(r"\s+")
LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}(?![\de])")
REFERENCE = re.compile(r"url\(\s*['\"]?#([^'\")\s]+)['\"]?\s*\)")
GREY = re.compile(r"#(?:([0-9a-fA-F]{2})\1\1|([0-9a-fA-F])\2\2)(?![0-9a-fA-F])")
COLOUR_WORDS = {"black": "var(--n0)", "white": "var(--n100)"}


def drawing(svg: str, alternative: str, prefix: str) -> str:
    """Return an SVG picture as it stands in the page.

    Parameters
    ----------
    svg : str
        SVG text, as matplotlib writes it.
    alternative : str
        What the picture shows, for readers who do not see it.
    prefix : str
        Start of every name inside the picture, its own within the page.

    Raises
    ------
    OptionError
        The text is no SVG.

    Examples
    --------
    >>> drawing('<svg viewBox="0 0 9 9"><path id="a" d="M0 0" onclick="x()" fill="#000000"/></svg>', "A dot", "f1")
    '<svg viewBox="0 0 9 9" role="img" aria-label="A dot"><path id="f1-1" d="M0 0" fill="var(--n0)" /></svg>'
    """
    try:
        root = ElementTree.fromstring(svg)
    except ElementTree.ParseError as error:
        raise OptionError("a figure that is no SVG", value=str(error), rule="a figure of the report is SVG text",
                          fix="Give what matplotlib writes with format='svg'.") from error
    if _local(root.tag) != "svg":
        raise OptionError(f"a figure that starts with <{_local(root.tag)}>", value=_local(root.tag),
                          rule="a figure of the report is SVG text", fix="Give what matplotlib writes with format='svg'.")
    _keep_shapes(root)
    names = {old: f"{prefix}-{i + 1}" for i, old in enumerate(dict.fromkeys(e.get("id") for e in root.iter()
                                                                             if e.get("id")))}
    for element in root.iter():
        _rewrite(element, names)
    view = root.get("viewBox") or f"0 0 {_size(root, 'width')} {_size(root, 'height')}"
    root.attrib = {"viewBox": view, "role": "img", "aria-label": alternative}
    return ElementTree.tostring(root, encoding="unicode").strip()


def _local(name: object) -> str:
    """Return a name without its namespace; comments and instructions have none."""
    return name.rpartition("}")[2] if isinstance(name, str) else ""


def _size(root: ElementTree.Element, name: str) -> str:
    found = re.match(r"[0-9.]+", root.get(name, ""))
    return found[0] if found else "100"


def _keep_shapes(element: ElementTree.Element) -> None:
    element.tag = _local(element.tag)
    for child in list(element):
        if _local(child.tag) in SHAPES:
            _keep_shapes(child)
        else:
            element.remove(child)


def _rewrite(element: ElementTree.Element, names: dict[str | None, str]) -> None:
    kept = {}
    for key, value in element.attrib.items():
        name = _local(key)
        rewritten = _value(name, value, names) if name in ATTRIBUTES else None
        if rewritten is not None:
            kept[name] = rewritten
    element.attrib = kept


def _value(name: str, value: str, names: dict[str | None, str]) -> str | None:
    """Return the value of an attribute with names and greys replaced; None where it points outside."""
    if name == "id":
        return names[value]
    if name == "href":
        return f"#{names[value[1:]]}" if value.startswith("#") and value[1:] in names else None
    if name == "d":
        return LONG_NUMBER.sub(lambda found: f"{float(found[0]):.2f}", SPACE.sub(" ", value)).strip()
    if name == "style":
        parts = (part.partition(":") for part in value.split(";") if part.strip())
        return "; ".join(f"{key.strip()}: {text}" for key, _, raw in parts
                         if _styled(key.strip()) and (text := _paint(raw.strip(), names)) is not None)
    return _paint(value, names)


def _styled(name: str) -> bool:
    return name in STYLES or name.startswith(("stroke-", "fill-", "font-", "stop-"))


def _paint(value: str, names: dict[str | None, str]) -> str | None:
    missing = [name for name in REFERENCE.findall(value) if name not in names]
    inside = REFERENCE.sub("", value)
    if missing or re.search(r"[(\\@]", re.sub(r"\b(rgb|rgba|translate|rotate|scale|matrix|skewX|skewY)\(", "", inside)):
        return None
    renamed = REFERENCE.sub(lambda found: f"url(#{names[found[1]]})", value)
    return COLOUR_WORDS.get(renamed, GREY.sub(_grey, renamed))


def _grey(found: re.Match[str]) -> str:
    level = int(found[1], 16) if found[1] else int(found[2] * 2, 16)
    return f"var(--n{5 * round(level / 255 * 20)})"
