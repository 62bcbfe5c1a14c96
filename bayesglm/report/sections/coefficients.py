"""Coefficients: on the scale of the linear predictor and as ratios, and the parameters without a formula."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bayesglm.design import Predictor
from bayesglm.families.family import Parameter
from bayesglm.families.links import LINKS
from bayesglm.fitted import Fitted
from bayesglm.report import figures
from bayesglm.report.estimates import FROM, HIGH, LOW, POSITIVE, RATIO_HIGH, RATIO_LOW, TO, Estimates, estimates, under_headings
from bayesglm.report.section import Content, Heading, Material, Paragraph, Section, TableBlock
from bayesglm.report.wording import PERCENT, quoted

READING = ("A coefficient is the change of the linear predictor for one unit of its column, the others held; a ratio is what one "
           "unit multiplies by. {} is the posterior probability that the coefficient lies above 0, so its ratio above 1.")


def _content(material: Material) -> Sequence[Content]:
    fitted = material.fitted
    found = estimates(fitted)
    content: list[Content] = []
    several = len(fitted.specification.predictors) > 1
    for predictor in fitted.specification.predictors:
        parameter = fitted.specification.family.parameter(predictor.parameter)
        table = found.coefficients(predictor)
        if table.empty:
            continue
        content += [Heading(f"{quoted(parameter.name)}: {parameter.meaning}")] if several else []
        content += [_table(table, predictor, parameter)]
    constants = _constants(fitted, found)
    if not content and not constants:
        return []
    return [Paragraph(READING.format(POSITIVE)), *content, *figures.coefficients(fitted), *constants]


def _table(table: pd.DataFrame, predictor: Predictor, parameter: Parameter) -> TableBlock:
    scale = f"{predictor.link} scale"
    columns = {("", "coefficient"): table["name"], ("", "unit or reference"): table["reading"]}
    ratios = table["ratio_kind"].astype(bool)
    if ratios.any():
        kind = str(table.loc[ratios, "ratio_kind"].iloc[0])
        columns |= {(kind, "median"): table["ratio"], (kind, FROM): table[RATIO_LOW], (kind, TO): table[RATIO_HIGH]}
    columns |= {(scale, "mean"): table["mean"], (scale, "sd"): table["sd"], (scale, FROM): table[LOW], (scale, TO): table[HIGH]}
    effects = table["variable"] != predictor.name("Intercept")
    if effects.any():
        columns |= {(scale, POSITIVE): table[POSITIVE].where(effects)}
    told = f"{LINKS[predictor.link].ratio}s and " if ratios.any() else ""
    caption = f"Coefficients of {quoted(parameter.name)}: {told}{predictor.link} scale, {PERCENT} equal-tailed intervals"
    return TableBlock(under_headings(columns), caption, {"coefficient": "name", POSITIVE: "probability"})


def _constants(fitted: Fitted, found: Estimates) -> list[Content]:
    table = found.of({each.name for each in fitted.specification.constant()})
    if table.empty:
        return []
    frame = pd.DataFrame({"parameter": table["name"], "meaning": table["reading"], "mean": table["mean"], "sd": table["sd"],
                          FROM: table[LOW], TO: table[HIGH]})
    return [Heading("Parameters without a formula"),
            TableBlock(frame, f"On their natural scale, {PERCENT} equal-tailed intervals", {"parameter": "name"}, across=True)]


MEMBER = Section(name="coefficients", title="Coefficients", place=40, content=_content)
