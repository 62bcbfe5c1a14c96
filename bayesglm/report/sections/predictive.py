"""Predictive checks: whether the model gives responses like the ones observed."""

from __future__ import annotations

from collections.abc import Sequence

from bayesglm.report import figures
from bayesglm.report.findings import evidence_of, statement_of
from bayesglm.report.section import Content, Material, Paragraph, Section
from bayesglm.report.standing import decisive

READING = ("The model is asked for new responses at the rows it was fitted to; where the observed ones lie outside of what it "
           "gives, it misses something. p is the two-sided posterior predictive probability of a statistic as far off as the "
           "observed one.")
ORDER = ("fail", "warn", "pass", "not applicable")


def _content(material: Material) -> Sequence[Content]:
    sampling = decisive(material.checks)
    results = sorted((each for each in material.checks if each not in sampling), key=lambda each: ORDER.index(each.verdict))
    if not results:
        return []
    return [
        Paragraph(READING),
        *(statement_of(each) for each in results),
        *figures.predictive(material.fitted, material.seed),
        *(block for each in results for block in evidence_of(each)),
    ]


MEMBER = Section(name="predictive", title="Predictive checks", place=60, content=_content)
