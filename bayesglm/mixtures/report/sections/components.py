"""Components: long-term weights with intervals, shares of the rows at hand, and where the components lie."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from bayesglm.mixtures import plots
from bayesglm.mixtures.profile import contrasts
from bayesglm.mixtures.report.page import Material
from bayesglm.mixtures.report.pictures import picture
from bayesglm.mixtures.shapes import Shape, shapes
from bayesglm.predict import LEVEL, interval_names
from bayesglm.report.section import Content, Figure, Heading, Paragraph, Section, TableBlock
from bayesglm.report.wording import PERCENT, quoted

COLUMNS = 3


def _content(material: Material) -> Sequence[Content]:
    fit, data = material.fit, material.frame
    table = fit.components
    low, high = interval_names("weight", LEVEL)
    columns = {("", "component"): [plots.label_of(fit, id) for id in fit.ids], ("weight", "mean"): table["weight"],
               ("weight", f"{PERCENT} from"): table[low], ("weight", f"{PERCENT} to"): table[high]}
    if material.table is not None:
        shares = fit.responsibilities(data).mean(axis=0)
        columns |= {("", "share of rows"): shares, ("", "rows"): np.round(shares * material.table.rows).astype(int)}
    frame = pd.DataFrame(columns)
    frame.columns = pd.MultiIndex.from_tuples(list(columns))
    return [
        TableBlock(frame, f"Weights of components in the long term, {PERCENT} equal-tailed intervals",
                   {"component": "name"} | dict.fromkeys(("mean", f"{PERCENT} from", f"{PERCENT} to", "share of rows"), ".3f")),
        Figure(picture(lambda: plots.weights(fit, data)),
               f"Weights: mean (dot) and {PERCENT} interval (bar); open circles are the shares of the rows at hand.",
               "Weights of the components with intervals, with the numbers of the table above."),
        *_where(material),
    ]


def _where(material: Material) -> list[Content]:
    held = shapes(material.fit)
    if not held:
        return []
    found = {each.name: float(each.distance @ material.fit.weights)
             for each in contrasts(material.fit.parts, material.fit.posterior.params, material.fit.weights)}
    content: list[Content] = [Heading("Where they lie"), Paragraph(
        "The columns that tell the components apart best. Dots are rows in the colour of their most probable component; an "
        f"ellipse holds {PERCENT} of its component.")]
    for shape in held:
        names = sorted(shape.names, key=lambda name: -found.get(name, 0.0))[:COLUMNS]
        content += [_pair(material, x, y) for x, y in combinations(names, 2)] if len(names) > 1 else [_single(material, shape)]
    return content


def _pair(material: Material, x: str, y: str) -> Figure:
    return Figure(picture(lambda: plots.ellipses(material.fit, x, y, material.frame)),
                  f"{quoted(x)} and {quoted(y)}: rows and the components' ellipses, each with its id.",
                  f"Scatter plot of {x} and {y} with one ellipse for each component.")


def _single(material: Material, shape: Shape) -> Figure:
    name = shape.names[0]
    return Figure(picture(lambda: plots.marginal(material.fit, name, material.frame)),
                  f"{quoted(name)}: rows (grey), components times their weights (colours) and their sum (line).",
                  f"Histogram of {name} with the density of each component.")


MEMBER = Section(name="components", title="Components", place=20, content=_content)
