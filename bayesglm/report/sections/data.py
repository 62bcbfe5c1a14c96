"""Data: what was read, and what of it the likelihood uses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bayesglm.data.audit import Audit
from bayesglm.data.table import Roles
from bayesglm.report.section import Content, Facts, Heading, Material, Paragraph, Section
from bayesglm.report.wording import counted, moment, quoted, sentence


def _content(material: Material) -> Sequence[Content]:
    audit, roles = material.fitted.audit, material.fitted.specification.roles
    facts = Facts((*_columns(roles), *_rows(audit, roles)))
    if not audit.findings:
        return [facts]
    return [facts, Heading("Worth knowing"), *(Paragraph(sentence(each.text)) for each in audit.findings)]


def _columns(roles: Roles) -> Iterator[tuple[str, str]]:
    yield "response", quoted(roles.response)
    if roles.exposure is not None:
        unit = f", in {roles.exposure_unit}" if roles.exposure_unit else ", its unit was not named"
        yield "exposure", f"{quoted(roles.exposure)}{unit}; rates are per one unit of it"
    if roles.trials is not None:
        yield "trials", quoted(roles.trials) if isinstance(roles.trials, str) else f"{roles.trials:,} in every row"
    if roles.weights is not None:
        yield "weights", f"{quoted(roles.weights)}: how many identical rows a row stands for"


def _rows(audit: Audit, roles: Roles) -> Iterator[tuple[str, str]]:
    yield "rows read", f"{audit.rows:,}"
    stand = f", standing for {audit.represented:,}" if audit.represented != audit.likelihood_rows else ""
    yield "rows in the likelihood", f"{audit.likelihood_rows:,}{stand}"
    if roles.exposure is not None:
        yield "rows with exposure 0", _idle(audit.zero_exposure.count)
    if roles.trials is not None:
        yield "rows with 0 trials", _idle(audit.zero_trials.count)
    if audit.zero_weight.count:
        yield "rows with weight 0", f"{audit.zero_weight.count:,}, left out"
    if audit.patterns is not None:
        yield "distinct covariate patterns", f"{audit.patterns:,}"
    if audit.cells is not None:
        yield "cells, sums over rows that the likelihood needs", f"{audit.cells:,}"
    if audit.time_range is not None:
        yield "time", " to ".join(moment(each) for each in audit.time_range)
    for name, count in audit.imputed.items():
        yield "filled cells", f"{counted(count, 'cell')} of {quoted(name)}"
    yield "fingerprint (SHA-256)", quoted(audit.fingerprint)


def _idle(count: int) -> str:
    return f"{count:,}, predicted as 0 and not learnt from" if count else "0"


MEMBER = Section(name="data", title="Data", place=20, content=_content)
