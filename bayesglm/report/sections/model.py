"""Model and priors: formula, family, conventions of its parameters, and what was believed before the data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from bayesglm.report.section import Content, Facts, Material, Paragraph, Section, TableBlock
from bayesglm.report.wording import listed, quoted
from bayesglm.specification import Specification


def _content(material: Material) -> Sequence[Content]:
    specification = material.fitted.specification
    lines = specification.priors.lines
    users = sum(line.source == "user" for line in lines)
    whose = (f"Given by the user: {users} of {len(lines)} priors; the others are the package's defaults" if users else
             "All priors are the package's defaults, made from the scales of the design")
    table = pd.DataFrame({"parameter": [line.name for line in lines], "prior": [str(line.prior) for line in lines],
                          "from": [line.source for line in lines], "meaning": [line.reading for line in lines]})
    return [
        Facts(tuple(_facts(specification))),
        Paragraph(f"{whose}. Coefficients have their prior on the scale of the linear predictor, in the units of their column."),
        TableBlock(table, "Priors", {"parameter": "name", "prior": "name"}),
    ]


def _facts(specification: Specification) -> Iterator[tuple[str, str]]:
    family = specification.family
    for predictor in specification.predictors:
        of = "formula" if not predictor.prefix else f"formula of {quoted(predictor.parameter)}"
        yield of, quoted(predictor.formula)
    yield "family", f"{family.label} ({quoted(family.name)})"
    yield "links", listed([f"{each.link} for {quoted(each.parameter)}" for each in specification.predictors])
    for parameter in family.parameters:
        other = f"; also told as {listed([quoted(name) for name in parameter.conversions])}" if parameter.conversions else ""
        yield quoted(parameter.name), f"{parameter.meaning}{other}"
    options = {name: value for name, value in family.options.items() if value is not None}
    if options:
        yield "options", listed([f"{name} = {value}" for name, value in options.items()])
    if specification.response_levels:
        yield "levels of the response", (f"{listed([quoted(level) for level in specification.response_levels])}; "
                                         f"{quoted(specification.response_levels[0])} is the reference")
    if specification.exposure_median is not None:
        yield "dispersion", f"grows with exposure relative to its median, {specification.exposure_median:g}"
    yield "source", family.source


MEMBER = Section(name="model", title="Model and priors", place=30, content=_content)
