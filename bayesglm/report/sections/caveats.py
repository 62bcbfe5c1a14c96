"""Caveats: what to know before using the numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bayesglm.data.audit import Audit
from bayesglm.fitted import Fitted
from bayesglm.report.findings import statement_of
from bayesglm.report.section import Content, Facts, Heading, Material, Section
from bayesglm.report.wording import counted, quoted, sentence
from bayesglm.specification import Specification


def _content(material: Material) -> Sequence[Content]:
    found = [statement_of(each) for each in material.checks if each.verdict in ("warn", "fail")]
    advice: list[Content] = [Heading("What the checks ask for"), *found] if found else []
    return [Facts(tuple(_facts(material.fitted))), *advice]


def _facts(fitted: Fitted) -> Iterator[tuple[str, str]]:
    yield from _run(fitted)
    yield from _model(fitted.specification)
    yield from _data(fitted.audit)
    if fitted.problem is None:
        yield "no data at hand", "The fit was stored without its rows: what needs them could not be checked or drawn."
    yield "association", ("Coefficients tell which responses go together with which predictors in these data. They are no "
                          "effects of changing a predictor, unless the design of the study makes them so.")
    yield "intervals", ("They hold given the model: its family, its formula and its priors. Intervals of a coefficient or a mean "
                        "are narrower than those of a new observation.")


def _run(fitted: Fitted) -> Iterator[tuple[str, str]]:
    if not fitted.complete:
        yield "unfinished run", "The run was stopped before it had all its draws: intervals are less certain than they look."
    if fitted.verdict is not None and fitted.verdict.reliable:
        yield "approximation", (f"The engine {quoted(fitted.engine)} approximates the posterior ({fitted.label}), and was held "
                                f"against it: {fitted.verdict.summary}.")
    elif not fitted.exact:
        yield "approximation", (f"The engine {quoted(fitted.engine)} approximates the posterior ({fitted.label}). "
                                "Fit again with an exact engine before a decision depends on them.")
    for note in fitted.notes:
        yield "engine", sentence(note)


def _model(specification: Specification) -> Iterator[tuple[str, str]]:
    if specification.family.caution:
        yield "family", sentence(specification.family.caution)
    for caution in specification.cautions():
        yield "prior", sentence(caution)
    for predictor in specification.predictors:
        parameter = specification.family.parameter(predictor.parameter)
        if parameter.role == "zero":
            yield "sign of the zero part", (f"A coefficient of {quoted(parameter.name)} above 0 means a higher "
                                            f"{parameter.meaning}, so more zeros and fewer counts. Other software "
                                            "may model the complement, with the opposite sign.")


def _data(audit: Audit) -> Iterator[tuple[str, str]]:
    if audit.zero_exposure.count:
        yield "rows without exposure", (f"{counted(audit.zero_exposure.count, 'row')} with exposure 0: predicted as 0, nothing "
                                        "was learnt from them.")
    if audit.zero_trials.count:
        yield "rows without trials", f"{counted(audit.zero_trials.count, 'row')} with 0 trials: nothing was learnt from them."
    filled = sum(audit.imputed.values())
    if filled:
        yield "filled cells", (f"{counted(filled, 'missing cell')} filled with one value for each column; intervals do not carry "
                               "the doubt about what stood there.")


MEMBER = Section(name="caveats", title="Caveats", place=80, content=_content)
