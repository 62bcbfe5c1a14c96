"""Cards: each component by itself: what sets it apart, what it looks like, rows that show it, name and runbook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from bayesglm.mixtures import plots
from bayesglm.mixtures.fitted import FittedMixture
from bayesglm.mixtures.membership import examples
from bayesglm.mixtures.profile import Contrast, contrasts
from bayesglm.mixtures.report.page import Material
from bayesglm.report.cells import number
from bayesglm.report.section import Content, Facts, Heading, Paragraph, Section, TableBlock
from bayesglm.report.wording import counted, quoted

MOST = 12
EXAMPLES = 3
COLUMNS = 12


def _content(material: Material) -> Sequence[Content]:
    fit = material.fit
    table = fit.components
    found = contrasts(fit.parts, fit.posterior.params, fit.weights)
    shown = examples(fit, material.frame, EXAMPLES) if material.table is not None else pd.DataFrame({"id": []})
    content: list[Content] = []
    for k, id in enumerate(fit.ids[:MOST]):
        content += [Heading(f"Component {quoted(plots.label_of(fit, id))}"), Facts(tuple(_facts(fit, table, k, id))),
                    *_looks(fit, table, found, k), *_examples(shown[shown["id"] == id], id)]
    left_out = len(fit.ids) - MOST
    return [*content, *([Paragraph(f"{counted(left_out, 'rarer component')} left out.")] if left_out > 0 else [])]


def _facts(fit: FittedMixture, table: pd.DataFrame, k: int, id: int) -> Iterator[tuple[str, str]]:
    yield "long-term weight", number(float(table["weight"].iloc[k]), ".1%")
    yield "rows behind it", f"{fit.posterior.counts[k]:,.0f}"
    apart = str(table["distinguished_by"].iloc[k])
    if apart:
        yield "what sets it apart", apart
    yield "name", fit.identity.names.get(id, "") or "none yet"
    if fit.identity.runbooks.get(id):
        yield "runbook", quoted(fit.identity.runbooks[id])


def _looks(fit: FittedMixture, table: pd.DataFrame, found: Sequence[Contrast], k: int) -> list[Content]:
    """Return means and sds of the columns, the most telling first, and probabilities of levels."""
    distance = {each.name: float(each.distance[k]) for each in found}
    numbers, levels = [], []
    others = fit.weights.copy()
    others[k] = 0.0
    rest = others / others.sum() if others.sum() > 0 else np.full(len(others), np.nan)
    for part in fit.parts:
        for name in part.layout.names:
            if part.layout.levels:
                levels += [{"level": f"{name} = {level}", "probability": table[f"{name}={level}"].iloc[k],
                            "in the others": float(rest @ table[f"{name}={level}"]), "order": -distance.get(name, 0.0)}
                           for level in part.layout.levels]
            else:
                numbers.append({"column": name, "mean": table[f"{name}_mean"].iloc[k], "sd": table[f"{name}_sd"].iloc[k],
                                "mean of the others": float(rest @ table[f"{name}_mean"]),
                                "tells apart": distance.get(name, np.nan)})
    blocks: list[Content] = []
    if numbers:
        frame = pd.DataFrame(numbers).sort_values("tells apart", ascending=False, kind="stable").head(COLUMNS)
        caption = ("Mean and sd of each column in original units; 'tells apart' is the total variation distance from the other "
                   "components, from 0 to 1")
        blocks.append(TableBlock(frame, caption, {"column": "name", "tells apart": ".2f"}, across=True))
    if levels:
        frame = pd.DataFrame(levels).sort_values("order", kind="stable").drop(columns="order").head(COLUMNS)
        blocks.append(TableBlock(frame, "Probability of each level",
                                 {"level": "name", "probability": ".3f", "in the others": ".3f"}))
    return blocks


def _examples(lines: pd.DataFrame, id: int) -> list[Content]:
    if lines.empty:
        return []
    frame = lines.drop(columns="id").iloc[:, : COLUMNS + 2]
    return [TableBlock(frame, f"Rows that show component {id} best, by their position",
                       {"row": ",.0f", "responsibility": ".3f"}, across=True)]


MEMBER = Section(name="cards", title="One by one", place=30, content=_content)
