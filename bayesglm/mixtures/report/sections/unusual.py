"""Unusual rows: those that the mixture has least of, and which of their values make them so."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bayesglm.mixtures.explain import explain
from bayesglm.mixtures.report.page import Material
from bayesglm.report.cells import decimals, number
from bayesglm.report.section import Content, Paragraph, Section, TableBlock

MOST = 8
REASONS = 2
SIMULATED = 10_000


def _content(material: Material) -> Sequence[Content]:
    if material.table is None:
        return []
    fit, data = material.fit, material.whole
    tails = fit.tail_probability(data, seed=material.seed, size=SIMULATED)
    rows = np.lexsort((fit.score(data), tails))[:MOST]
    told = explain(fit, data.iloc[rows])
    frame = pd.DataFrame({"row": rows, "tail probability": tails[rows],
                          "what makes it unusual": [_reasons(told[told["row"] == place]) for place in range(len(rows))]})
    return [
        Paragraph("The tail probability is the share of the mixture that is at most as dense as the row: on rows of the same "
                  "kinds it is uniform, so some rows are always at the end. Each value is held against its distribution given "
                  "the others in its row; a responsibility would not show such rows: it only says which component is nearest."),
        TableBlock(frame, "The rows with the lowest density", {"row": ",.0f", "tail probability": ".2g"}),
    ]


def _reasons(lines: pd.DataFrame) -> str:
    chosen = [line for _, line in lines.head(REASONS).iterrows() if line["contribution"] > 1]
    return "; ".join(_reason(line) for line in chosen) or "no single value: the combination is rare"


def _reason(line: pd.Series) -> str:
    if np.isnan(line["expected_low"]):
        return f"{line['feature']} is {line['value']}, usually {line['expected']}"
    ends = [float(line[each]) for each in ("value", "expected_low", "expected_high")]
    value, low, high = (number(each, f",.{decimals(ends)}f") for each in ends)
    inside = ends[1] <= ends[0] <= ends[2]
    return f"{line['feature']} is {value}, {f'rare between {low} and {high}' if inside else f'expected {low} to {high}'}"


MEMBER = Section(name="unusual", title="The most unusual rows", place=40, content=_content)
