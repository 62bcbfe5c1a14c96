"""Checks: what the checks found, the worst first, with their evidence."""

from __future__ import annotations

from collections.abc import Sequence

from bayesglm.mixtures.check import PANEL
from bayesglm.mixtures.report.page import Material
from bayesglm.report.findings import evidence_of, statement_of
from bayesglm.report.section import Content, Section

ORDER = ("fail", "warn", "pass", "not applicable")


def _content(material: Material) -> Sequence[Content]:
    results = sorted(material.checks, key=lambda each: ORDER.index(each.verdict))
    return [*(statement_of(each) for each in results), *(block for each in results for block in evidence_of(each, PANEL))]


MEMBER = Section(name="checks", title="Checks", place=60, content=_content)
