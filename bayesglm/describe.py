"""Plain text of a model and of a fit, for a terminal and a notebook."""

from __future__ import annotations

from bayesglm.data.audit import Audit
from bayesglm.fitted import Fitted
from bayesglm.specification import Problem, Specification


def describe_model(problem: Problem, audit: Audit) -> str:
    """Return formula, family, priors and data as text."""
    specification = problem.specification
    width = max(len(line.name) for line in specification.priors.lines)
    priors = [f"  {line.name:<{width}}  {line.prior!s}  [{line.source}] {line.reading}" for line in specification.priors.lines]
    return "\n".join([*_head(specification), "priors", *priors, "data", *(f"  {line}" for line in str(audit).splitlines())])


def _head(specification: Specification) -> list[str]:
    family, roles = specification.family, specification.roles
    lines = ["bayesglm model"]
    lines += [f"  {f'{each.parameter}: ' if each.prefix else ''}{each.formula}" for each in specification.predictors]
    links = ", ".join(f"{each.parameter}: {each.link}" for each in specification.predictors)
    options = "".join(f", {name}={value}" for name, value in family.options.items() if value is not None)
    lines.append(f"  family {family.name}{options} ({links})")
    if specification.response_levels:
        reference, *others = specification.response_levels
        lines.append(f"  levels {reference} (reference), {', '.join(others)}")
    if roles.exposure is not None:
        unit = f" in {roles.exposure_unit}" if roles.exposure_unit else ""
        lines.append(f"  exposure {roles.exposure}{unit}")
    if specification.exposure_median is not None:
        lines.append(f"  concentration grows with exposure / {specification.exposure_median:g} (the median)")
    if roles.weights is not None:
        lines.append(f"  weights {roles.weights} (identical rows)")
    return lines


def describe_fit(fitted: Fitted) -> str:
    """Return what was fitted, by which engine, to how many rows."""
    chains, draws = fitted.shape
    audit = fitted.audit
    time = sum(fitted.seconds.values())
    lines = _head(fitted.specification)
    lines[0] = "bayesglm fit"
    cells = "" if audit.cells is None else f"{audit.cells:,} cells, "
    lines.append(f"  {audit.represented:,} rows, {cells}{audit.patterns or 0:,} covariate patterns")
    lines += [f"  {each.text}" for each in audit.findings if each.kind == "in_pieces"]
    for count, text in ((audit.zero_exposure.count, "exposure 0 (predicted as 0, nothing learnt from them)"),
                        (audit.zero_trials.count, "0 trials"), (audit.zero_weight.count, "weight 0")):
        if count:
            lines.append(f"  {count} rows with {text}")
    state = "" if fitted.complete else ", stopped early"
    lines.append(f"  {fitted.engine}: {chains} chains x {draws} draws, seed {fitted.seed}, {time:.1f} s{state}")
    if fitted.verdict is not None:
        lines.append(f"  {fitted.label}; {fitted.verdict.summary}")
    lines += [f"  {each}" for each in fitted.specification.cautions()]
    return "\n".join(lines)
