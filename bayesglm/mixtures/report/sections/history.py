"""History: what happened to the components at each refresh; nothing for a first fit."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bayesglm.mixtures.report.page import Material
from bayesglm.report.section import Content, Heading, Paragraph, Section, TableBlock
from bayesglm.report.wording import counted

MOST = 40
FORMATS = {"weight before": ".3f", "weight after": ".3f", "distance": ".3f", "rows": ",.0f"}


def _content(material: Material) -> Sequence[Content]:
    identity = material.fit.identity
    if not identity.refreshes and not identity.changes:
        return []
    changes, refreshes = identity.change_table(), identity.refresh_table()
    told = changes[changes["action"] != "kept"]
    content: list[Content] = [Paragraph(
        "Ids stay with their components. A new component is a proposal: it is what new rows look like that the fit had no place "
        "for, and whether it matters is for somebody to say.")]
    if told.empty:
        content.append(Paragraph("No component came, went, was split or merged."))
    else:
        left_out = len(told) - MOST
        some = f"; the first {counted(left_out, 'line')} left out" if left_out > 0 else ""
        content.append(TableBlock(_readable(told.tail(MOST)), f"Components that came, went, were split or merged{some}",
                                  FORMATS))
    drift = changes[(changes["action"] == "kept") & (changes["refresh"] == changes["refresh"].max())]
    if not drift.empty:
        content += [Heading("How far the others moved"), TableBlock(
            _readable(drift.drop(columns=["other", "action"])), "Components that stayed, at the last refresh: Bhattacharyya "
            "distance to what they were before, in nats", FORMATS)]
    if not refreshes.empty:
        content += [Heading("Refreshes"), TableBlock(
            _readable(refreshes.tail(MOST).rename(columns={"number": "refresh"})),
            "Rows of each refresh, and their mean log density under the fit before and after",
            {"rows": ",.0f", "effective rows": ",.0f", "mean age": ".2f", "score before": ".3f", "score se": ".3f",
             "score after": ".3f"})]
    return content


def _readable(table: pd.DataFrame) -> pd.DataFrame:
    shown = table.rename(columns={name: str(name).replace("_", " ") for name in table.columns})
    if "other" in shown:
        shown["other"] = [None if pd.isna(each) else int(each) for each in shown["other"]]
    return shown


MEMBER = Section(name="history", title="History", place=50, content=_content)
