"""Groups and curves: how much groups differ, and the departure of each level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayesglm.design import Predictor
from bayesglm.families.links import LINKS
from bayesglm.fitted import Fitted
from bayesglm.predict import LEVEL, Array
from bayesglm.report import figures
from bayesglm.report.estimates import FROM, HIGH, LOW, TO, estimates, scales, under_headings
from bayesglm.report.section import Content, Heading, Material, Paragraph, Section, TableBlock
from bayesglm.report.wording import PERCENT, counted, quoted
from bayesglm.terms.term import Block

MOST = 40
ENDS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)


def _content(material: Material) -> Sequence[Content]:
    fitted = material.fitted
    names = scales(fitted)
    if not names:
        return []
    return [
        Paragraph("Levels of a group share one distribution, so each is drawn towards the others the more, the less data it has. "
                  "Departures are differences from the overall level or effect, on the scale of the linear predictor."),
        _scales(fitted, names),
        *(each for predictor in fitted.specification.predictors for block in predictor.blocks if block.role == "group"
          for each in _block(fitted, predictor, block)),
    ]


def _scales(fitted: Fitted, names: set[str]) -> TableBlock:
    table = estimates(fitted).of(names)
    frame = pd.DataFrame({"parameter": table["name"], "meaning": table["reading"], "scale": table["scale"], "mean": table["mean"],
                          "sd": table["sd"], FROM: table[LOW], TO: table[HIGH]})
    return TableBlock(frame, f"Standard deviations and correlations of groups and curves, {PERCENT} equal-tailed intervals",
                      {"parameter": "name"})


def _block(fitted: Fitted, predictor: Predictor, block: Block) -> list[Content]:
    draws = fitted.stacked(predictor.name(f"effect_{block.name}"))
    of = f" in {quoted(predictor.parameter)}" if predictor.prefix else ""
    content: list[Content] = [Heading(f"Departures by {quoted(block.name)}{of}"), figures.departures(fitted, predictor, block)]
    for j, effect in enumerate(block.effects):
        frame = departures(block.levels, draws[:, :, j], predictor.link)
        said = "the overall level" if effect == "Intercept" else f"the effect of {quoted(effect)}"
        left_out = len(frame) - MOST
        some = f"; the {MOST // 2} highest and lowest, {counted(left_out, 'level')} between them left out" if left_out > 0 else ""
        caption = (f"Departures of {quoted(block.name)} from {said}, highest first{some}; {predictor.link} scale, {PERCENT} "
                   "equal-tailed intervals")
        content.append(TableBlock(ends(frame), caption, {"level": "name"}))
    return content


def departures(levels: Sequence[str], draws: Array, link: str) -> pd.DataFrame:
    """Return one line for each level, highest mean first: mean, sd, interval, and the median ratio where it has a meaning.

    Parameters
    ----------
    levels : sequence of str
        The group's levels.
    draws : array, shape (sample, level)
        Their departures.
    link : str
        The link that they are on the scale of.
    """
    scale, ratio = f"{link} scale", LINKS[link].ratio
    mean, (low, high) = draws.mean(axis=0), np.quantile(draws, ENDS, axis=0)
    columns: dict[tuple[str, str], Any] = {("", "level"): list(levels)}
    if ratio:
        middle, ratio_low, ratio_high = np.quantile(np.exp(draws), [0.5, *ENDS], axis=0)
        columns |= {(ratio, "median"): middle, (ratio, FROM): ratio_low, (ratio, TO): ratio_high}
    columns |= {(scale, "mean"): mean, (scale, "sd"): draws.std(axis=0), (scale, FROM): low, (scale, TO): high}
    order = np.lexsort((np.array(levels), -mean))
    return under_headings(columns).iloc[order].reset_index(drop=True)


def ends(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the first and last lines of a table that is too long."""
    return frame if len(frame) <= MOST else pd.concat([frame.head(MOST // 2), frame.tail(MOST // 2)])


MEMBER = Section(name="groups", title="Groups and curves", place=50, content=_content)
