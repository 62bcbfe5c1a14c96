"""Cards: each component by itself: what sets it apart, what it looks like, rows that show it, name and runbook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from bayesglm.mixtures import plots
from bayesglm.mixtures.fitted import FittedMixture
from bayesglm.mixtures.intervals import center_table
from bayesglm.mixtures.membership import examples
from bayesglm.mixtures.profile import Contrast, contrasts
from bayesglm.mixtures.report.page import Material
from bayesglm.predict import LEVEL, interval_names
from bayesglm.report.cells import decimals, number
from bayesglm.report.section import Content, Facts, Heading, Paragraph, Section, TableBlock
from bayesglm.report.wording import PERCENT, counted, quoted

MOST = 12
EXAMPLES = 3
COLUMNS = 12
DRAWS = 1000
CENTER = f"; the center with its {PERCENT} interval is the mean, or what the transform's inverse makes of the transformed mean"
_NUMBERS = 2e7  # drawn at once; full covariances of many columns get no intervals


def _content(material: Material) -> Sequence[Content]:
    fit = material.fit
    table = fit.components
    found = contrasts(fit.parts, fit.posterior.params, fit.weights)
    shown = examples(fit, material.frame, EXAMPLES) if material.table is not None else pd.DataFrame({"id": []})
    content: list[Content] = []
    centers = _centers(fit)
    for k, id in enumerate(fit.ids[:MOST]):
        content += [Heading(f"Component {quoted(plots.label_of(fit, id))}"), Facts(tuple(_facts(fit, table, k, id))),
                    *_looks(fit, table, found, centers, k), *_examples(shown[shown["id"] == id], id)]
    left_out = len(fit.ids) - MOST
    return [*content, *([Paragraph(f"{counted(left_out, 'rarer component')} left out.")] if left_out > 0 else [])]


def _facts(fit: FittedMixture, table: pd.DataFrame, k: int, id: int) -> Iterator[tuple[str, str]]:
    yield "long-term weight", number(float(table["weight"].iloc[k]), ".1%")
    yield "rows behind it", f"{fit.posterior.counts[k]:,.0f}"
    since = int(table["since"].iloc[k])
    if fit.identity.refreshes:
        yield "first seen", f"refresh {since}" if since else "the first fit"
    apart = str(table["distinguished_by"].iloc[k])
    if apart:
        yield "what sets it apart", apart
    yield "name", fit.identity.names.get(id, "") or "none yet"
    if fit.identity.runbooks.get(id):
        yield "runbook", quoted(fit.identity.runbooks[id])


def _centers(fit: FittedMixture) -> pd.DataFrame | None:
    """Return the centers of the columns with intervals, unless their draws would take too much memory."""
    if DRAWS * fit.posterior.size * sum(len(part.layout.names) ** 2 for part in fit.parts) > _NUMBERS:
        return None
    return center_table(fit.draws(fit.seed, DRAWS)["posterior"].to_dataset(), fit.parts, LEVEL)


def _looks(fit: FittedMixture, table: pd.DataFrame, found: Sequence[Contrast], centers: pd.DataFrame | None,
           k: int) -> list[Content]:
    """Return means and sds of the columns, the most telling first, and probabilities of levels."""
    shown = dict(zip(interval_names("center", LEVEL), (f"{PERCENT} from", f"{PERCENT} to"), strict=True))
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
                doubt = {} if centers is None else {str(each): centers[each][(fit.ids[k], name)] for each in centers}
                numbers.append({"column": name, "mean": table[f"{name}_mean"].iloc[k], "sd": table[f"{name}_sd"].iloc[k], **doubt,
                                "mean of the others": float(rest @ table[f"{name}_mean"]),
                                "tells apart": distance.get(name, np.nan)})
    blocks: list[Content] = []
    if numbers:
        frame = pd.DataFrame(numbers).sort_values("tells apart", ascending=False, kind="stable").head(COLUMNS)
        caption = ("Mean and sd of each column in original units; 'tells apart' is the total variation distance from the other "
                   f"components, from 0 to 1{CENTER if centers is not None else ''}")
        blocks.append(TableBlock(frame.rename(columns=shown), caption, {"column": "name", "tells apart": ".2f"}, across=True))
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
                       {"row": ",.0f", "responsibility": ".3f"} | _formats(frame.drop(columns=["row", "responsibility"])))]


def _formats(columns: pd.DataFrame) -> dict[str, str]:
    """Return how to write each column of numbers, whose units are its own."""
    return {str(name): f",.{decimals(values.tolist())}f" for name, values in columns.items()
            if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)}


MEMBER = Section(name="cards", title="One by one", place=30, content=_content)
