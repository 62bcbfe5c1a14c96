"""Formulation: the user's words and table into a problem. The only place where options are held against each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from bayesglm.data.audit import Audit, audit_of
from bayesglm.data.door import read_table
from bayesglm.data.observations import read_observations
from bayesglm.data.patterns import patterns_of
from bayesglm.data.schema import Schema
from bayesglm.data.table import Observations, Roles
from bayesglm.design import Predictor, learn_predictor, signatures
from bayesglm.errors import ColumnTypeError, OptionError, PriorError, suggestion, unknown
from bayesglm.families.family import Family, Parameter
from bayesglm.formula import Formula, parse
from bayesglm.model import block_dims
from bayesglm.priors import Prior
from bayesglm.registry import discover
from bayesglm.specification import Problem, Specification, choose_priors

RESERVED_DIMS = ("chain", "draw", "sample", "obs", "cell", "pattern", "coef", "level")


@dataclass(frozen=True, slots=True)
class Words:
    """What the user said; see `bayesglm.Model` for each."""

    formula: str
    family: str | Family
    exposure: str | None
    exposure_unit: str | None
    weights: str | None
    time: str | None
    id: str | None
    context: tuple[str, ...]
    zero: str | None
    dispersion: str | None
    formulas: Mapping[str, str]
    links: Mapping[str, str]
    priors: Mapping[str, Prior]
    dispersion_scaling: Literal["constant", "exposure"]
    missing: Mapping[str, Any]


def formulate(words: Words, data: Any) -> tuple[Problem, Schema, Audit]:
    """Turn words and a table into a problem, its schema and its audit."""
    family = find_family(words.family)
    main = parse(words.formula, signatures())
    others = other_formulas(words, family)
    assert main.response is not None  # noqa: S101  the grammar gives a two-sided formula its response
    roles = Roles(main.response.name, main.response.trials, words.exposure, words.exposure_unit, words.weights, words.time,
                  words.id, words.context)
    names = tuple(dict.fromkeys([*main.columns, *(name for each in others.values() for name in each.columns)]))
    groups = {name for each in (main, *others.values()) for term in each.groups for name in term.group}
    table, schema = read_table(data, [*names, *role_columns(roles)], missing=words.missing, weights=words.weights,
                               labels=groups | {name for name in (roles.id, *roles.context) if name})
    observations = read_observations(table, roles, family.support, family_name=family.name, takes_exposure=family.exposure,
                                     takes_trials=family.trials)
    schema = schema.with_observations(observations)
    family = family.for_levels(observations.levels) if family.for_levels is not None else family
    patterns = patterns_of(table, names, observations.weights * observations.informative)
    predictors = _predictors(words, family, main, others, patterns)
    _check_priors(words.priors)
    priors = choose_priors(family, predictors, observations, words.priors)
    specification = Specification(
        family, roles, predictors, priors, _exposure_median(words, family, observations), observations.levels)
    _check_names(specification)
    audit = audit_of(table, schema, observations, roles).with_patterns(patterns.table.rows)
    return Problem(specification, observations, patterns), schema, audit


def find_family(family: str | Family) -> Family:
    """Return a family by name, or the record itself."""
    if isinstance(family, Family):
        return family
    known = discover("bayesglm.families", Family)
    if family not in known:
        raise unknown("family", family, known)
    return known[family]


def role_columns(roles: Roles) -> tuple[str, ...]:
    """Return the columns that play a part beside the predictors."""
    trials = roles.trials if isinstance(roles.trials, str) else None
    return tuple(name for name in (roles.response, trials, roles.exposure, roles.weights, roles.time, roles.id, *roles.context)
                 if name is not None)


def other_formulas(words: Words, family: Family) -> dict[str, Formula]:
    """Return the formula of each predicted parameter other than the mean."""
    texts: dict[str, str] = dict(words.formulas)
    for option, text in (("zero", words.zero), ("dispersion", words.dispersion)):
        if text is None:
            continue
        found = family.with_role(option)  # type: ignore[arg-type]
        if not found:
            raise OptionError(f"{option}={text!r} for {family.name}", value=text, rule=f"{family.name} has no {option} parameter",
                              fix=f"Leave {option}= out, or use another family.")
        texts[found[0].name] = text
    for name in texts:
        if family.parameter(name).role == "mean":
            raise OptionError(f"a formula for {name}", value=texts[name], rule="the mean's formula is the first argument",
                              fix="Put it there.")
    return {name: parse(text, signatures(), one_sided=True) for name, text in texts.items()}


def _predictors(
    words: Words, family: Family, main: Formula, others: Mapping[str, Formula], patterns: Any,
) -> tuple[Predictor, ...]:
    for name in words.links:
        family.parameter(name)
    pairs = [(parameter, main if parameter.role == "mean" else others.get(parameter.name)) for parameter in family.parameters]
    return tuple(
        learn_predictor(formula, patterns, parameter=parameter.name, prefix=parameter.prefix,
                        link=parameter.link(words.links.get(parameter.name)).name)
        for parameter, formula in pairs if formula is not None
    )


def _exposure_median(words: Words, family: Family, observations: Observations) -> float | None:
    """Median exposure when the concentration grows with it."""
    choice = words.dispersion_scaling
    if choice not in ("constant", "exposure"):
        raise OptionError(f"dispersion_scaling={choice!r}", value=choice, rule="constant or exposure",
                          fix=suggestion(str(choice), ("constant", "exposure")))
    if choice == "constant":
        return None
    scaling: tuple[Parameter, ...] = tuple(each for each in family.parameters if each.scales_with_exposure)
    if not scaling:
        raise OptionError(f"dispersion_scaling='exposure' for {family.name}", value=choice,
                          rule=f"only a concentration k can grow with exposure; {family.name} has none (a constant delta of NB1 is "
                          "already the law of a sum)", fix="Leave dispersion_scaling out.")
    if observations.exposure is None:
        raise OptionError("dispersion_scaling='exposure' without exposure", value=choice,
                          rule="the concentration grows with the exposure", fix="Name the column with exposure=.")
    rows = observations.informative
    return float(np.median(np.repeat(observations.exposure[rows], observations.weights[rows].astype(np.intp))))


def _check_priors(priors: Mapping[str, Any]) -> None:
    for name, prior in priors.items():
        if not isinstance(prior, Prior):
            raise PriorError(f"{prior!r} for {name!r}", column=name, value=prior, rule="a prior is a record of bayesglm.priors",
                             fix="Write bg.priors.Normal(0, 1), for example.")


def _check_names(specification: Specification) -> None:
    """Refuse columns whose names the model's dims or variables already have."""
    variables = {each.name for each in specification.family.parameters}
    for predictor in specification.predictors:
        variables |= {predictor.name(name) for name in ("Intercept", "Intercept_centered", "beta", "beta_scaled", "X", "offset")}
        for block in predictor.blocks:
            dims = block_dims(block, predictor)
            taken = next((dim for dim in dims if dim in RESERVED_DIMS or dim in variables), None)
            if taken is not None:
                raise ColumnTypeError(f"{taken!r} names a group", column=taken, value=taken,
                                      rule=f"{', '.join(RESERVED_DIMS)} are dimensions of the model", fix="Rename the column.")
            variables |= {f"{kind}_{predictor.name(block.name)}" for kind in ("effect", "z")}
            variables |= {predictor.name(each.name) for each in block.hyperparameters} | set(dims)
    response = specification.roles.response
    if response in variables or response in RESERVED_DIMS:
        raise ColumnTypeError(f"{response!r} is the response", column=response, value=response,
                              rule="the model has a variable of that name", fix="Rename the column.")
