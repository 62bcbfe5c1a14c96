"""Sampling diagnostics: whether the draws stand for the posterior, and how they were made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayesglm.fitted import Fitted
from bayesglm.report import figures
from bayesglm.report.estimates import estimates
from bayesglm.report.findings import PRECISION, evidence_of, statement_of
from bayesglm.report.section import Content, Facts, Heading, Material, Section, TableBlock
from bayesglm.report.standing import decisive
from bayesglm.report.wording import counted, moment, quoted, sentence


def _content(material: Material) -> Sequence[Content]:
    fitted = material.fitted
    results = decisive(material.checks)
    evidence = [block for each in results for block in evidence_of(each)]
    return [
        *(statement_of(each) for each in results), *(evidence or [_from_summary(fitted)]), *figures.traces(fitted),
        Heading("How the draws were made"), Facts(tuple(_facts(fitted))),
    ]


def _from_summary(fitted: Fitted) -> TableBlock:
    """R-hat and ESS of what the coefficient table shows, where no check has looked at them."""
    table = estimates(fitted).table
    frame = pd.DataFrame({"parameter": table["name"], "R-hat": table["r_hat"], "ESS bulk": table["ess_bulk"],
                          "ESS tail": table["ess_tail"]})
    return TableBlock(frame, "R-hat and effective sample sizes", {"parameter": "name", **PRECISION})


def _facts(fitted: Fitted) -> Iterator[tuple[str, str]]:
    chains, draws = fitted.shape
    yield "engine", f"{quoted(fitted.engine)}: {fitted.label}"
    yield "draws", f"{counted(chains, 'chain')} of {counted(draws, 'draw')}"
    if fitted.verdict is not None:
        yield "verdict", sentence(fitted.verdict.summary)
    if not fitted.complete:
        yield "run", "stopped before it had all its draws"
    divergences = _divergences(fitted)
    if divergences is not None:
        yield "divergences", f"{divergences:,}"
    yield "seed", str(fitted.seed)
    if fitted.settings:
        yield "settings", _pairs(fitted.settings)
    if fitted.seconds:
        yield "time", _pairs({f"{name} ": f" {value:.1f} s" for name, value in fitted.seconds.items()})
    if fitted.created:
        yield "fitted", moment(fitted.created)
    if fitted.versions:
        yield "versions", _pairs({f"{name} ": f" {version}" for name, version in fitted.versions.items()}).replace(" = ", "")
    for note in fitted.notes:
        yield "note", sentence(note)


def _divergences(fitted: Fitted) -> int | None:
    if "sample_stats" not in fitted.draws.children or "diverging" not in fitted.draws["sample_stats"]:
        return None
    return int(np.asarray(fitted.draws["sample_stats"]["diverging"]).sum())


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in values.items())


MEMBER = Section(name="diagnostics", title="Sampling diagnostics", place=70, content=_content)
