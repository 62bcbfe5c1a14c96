"""Formulation: the user's words and table into a problem. The only place where options are held against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from bayesglm.data.audit import Audit, audit_of
from bayesglm.data.batches import Batches, Survey, batches_of, survey
from bayesglm.data.door import read_table
from bayesglm.data.missing import indicator_name
from bayesglm.data.observations import read_observations
from bayesglm.data.patterns import patterns_of
from bayesglm.data.schema import Schema
from bayesglm.data.source import SAMPLE, Source
from bayesglm.data.table import Observations, Roles
from bayesglm.design import Predictor, learn_predictor, signatures
from bayesglm.errors import ColumnNameError, ColumnTypeError, OptionError, PriorError, suggestion
from bayesglm.families import named
from bayesglm.families.family import Family, Parameter, Role
from bayesglm.formula import Formula, parse
from bayesglm.latent.cells import count_cells
from bayesglm.model import block_dims
from bayesglm.priors import Prior
from bayesglm.registry import discover
from bayesglm.specification import Problem, Specification, choose_priors

RESERVED_DIMS = ("chain", "draw", "sample", "obs", "cell", "pattern", "coef", "level")
OWN_VARIABLES = ("Intercept", "Intercept_centered", "beta", "beta_scaled", "X", "offset", "centre", "scale")
OWN_LABELS = ("new_level", "groups", "rows")
OWN_DATA = ("pattern_index", "exposure_data", "trials_data", "frequency_data", "likelihood")


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
    context: Sequence[str]
    zero: str | None
    dispersion: str | None
    formulas: Mapping[str, str]
    links: Mapping[str, str]
    priors: Mapping[str, Prior]
    dispersion_scaling: Literal["constant", "exposure"]
    missing: Mapping[str, Any]


def formulate(words: Words, data: Any) -> tuple[Problem, Schema, Audit]:
    """Turn words and a table into a problem, its schema and its audit."""
    _check_kinds(words)
    family = find_family(words.family)
    main = parse(words.formula, signatures())
    assert main.response is not None
    others = other_formulas(words, family, main.response.name)
    roles = Roles(main.response.name, main.response.trials, words.exposure, words.exposure_unit, words.weights, words.time,
                  words.id, tuple(words.context))
    names = tuple(dict.fromkeys([*main.columns, *(name for each in others.values() for name in each.columns)]))
    groups = {name for each in (main, *others.values()) for term in each.groups for name in term.group}
    columns = tuple(dict.fromkeys([*names, *role_columns(roles)]))
    labels = groups | {name for name in (roles.id, *roles.context) if name}
    batches, surveyed = _surveyed(words, data, columns, roles, family, groups, frozenset(names))
    table, schema = read_table(data if surveyed is None else surveyed.sample, columns, missing=words.missing,
                               weights=words.weights, labels=labels)
    observations = read_observations(table, roles, family.support, family_name=family.name, takes_exposure=family.exposure,
                                     takes_trials=family.trials)
    schema = schema.with_observations(observations)
    family = family.for_levels(observations.levels) if family.for_levels is not None else family
    _check_labels([*names, *role_columns(roles)[1:]])
    patterns = patterns_of(table, names, observations.weights * observations.informative)
    predictors = _predictors(words, family, main, others, patterns)
    _check_priors(words.priors)
    median = _exposure_median(words, family, observations)
    priors = choose_priors(family, predictors, observations, patterns, words.priors, median)
    specification = Specification(family, roles, predictors, priors, median, observations.levels)
    _check_names(specification)
    source = None
    if batches is not None and surveyed is not None:
        schema = surveyed.complete(schema)
        source = Source(batches, schema, surveyed.rows, names, columns, surveyed.random)
    problem = Problem(specification, observations, patterns, source)
    audit = audit_of(table, schema, observations, roles).with_patterns(patterns.table.rows).with_cells(count_cells(problem))
    return problem, schema, audit if source is None else audit.with_source(source.rows)


def _surveyed(
    words: Words, data: Any, columns: Sequence[str], roles: Roles, family: Family, groups: Set[str], predictors: Set[str],
) -> tuple[Batches | None, Survey | None]:
    """Return a table in pieces with a sample of its rows, where it is not a data frame in memory."""
    if hasattr(data, "collect_schema"):  # a lazy frame is read as a whole
        return None, None
    made = {indicator_name(name): name for name in words.missing}
    raw = tuple(dict.fromkeys(made.get(name, name) for name in columns))
    batches = batches_of(data, raw)
    if batches is None:
        return None, None
    coded = groups | ({roles.response} if family.support.kind == "category" else frozenset())
    ends = {made.get(name, name) for name in predictors} | {name for name in (roles.time,) if name}
    free = {name for name in (roles.id, *roles.context) if name} - predictors
    return batches, survey(batches, raw, SAMPLE, seed=0, labels=coded, ends=ends, free=free)


def find_family(family: object) -> Family:
    """Return a family by name, or the record itself."""
    if isinstance(family, Family):
        return family
    return named(str(family))


def role_columns(roles: Roles) -> tuple[str, ...]:
    """Return the columns that play a part beside the predictors."""
    trials = roles.trials if isinstance(roles.trials, str) else None
    return tuple(name for name in (roles.response, trials, roles.exposure, roles.weights, roles.time, roles.id, *roles.context)
                 if name is not None)


def _check_kinds(words: Words) -> None:
    """Refuse options of a type that cannot be read."""
    for name, example in (("formulas", '{"concentration": "~ x"}'), ("links", '{"mu": "log"}'),
                          ("priors", '{"x": bg.priors.Normal(0, 1)}'), ("missing", '{"x": "impute"}')):
        value = getattr(words, name)
        if not isinstance(value, Mapping):
            raise OptionError(f"{name}={value!r}", value=value, rule=f"{name}= is a mapping", fix=f"Write {name}={example}.")
    if isinstance(words.context, str) or not all(isinstance(each, str) for each in words.context):
        example = words.context if isinstance(words.context, str) else "region"
        raise OptionError(f"context={words.context!r}", value=words.context, rule="context= is a sequence of column names",
                          fix=f"Write context=[{example!r}].")
    for name in ("exposure", "exposure_unit", "weights", "time", "id"):
        value = getattr(words, name)
        if value is not None and not isinstance(value, str):
            raise OptionError(f"{name}= is a {type(value).__name__}", value=type(value).__name__, rule=f"{name}= is a text",
                              fix="Add the values to the table as a column, and name that." if name != "exposure_unit" else
                              "Write exposure_unit='requests', for example.")


def other_formulas(words: Words, family: Family, response: str) -> dict[str, Formula]:
    """Return the formula of each predicted parameter other than the mean."""
    texts: dict[str, str] = dict(words.formulas)
    choices: tuple[tuple[Role, str | None], ...] = (("zero", words.zero), ("dispersion", words.dispersion))
    for option, text in choices:
        if text is None:
            continue
        found = family.with_role(option)
        if not found:
            having = [each.name for each in discover("bayesglm.families", Family).values()
                      if each.with_role(option)]
            raise OptionError(f"{option}={text!r} for {family.name}", value=text, rule=f"{family.name} has no {option} parameter",
                              fix=f"Leave {option}= out, or use a family that has one: {', '.join(having)}.")
        if found[0].name in texts:
            raise OptionError(f"{option}= and formulas= both predict {found[0].name}", value=text,
                              rule="a parameter has one formula", fix="Leave one of them out.")
        texts[found[0].name] = text
    for name in texts:
        if family.parameter(name).role == "mean":
            raise OptionError(f"a formula for {name}", value=texts[name], rule="the mean's formula is the first argument",
                              fix="Put it there.")
    parsed = {name: parse(text, signatures(), one_sided=True) for name, text in texts.items()}
    for name, formula in parsed.items():
        if response in formula.columns:
            raise OptionError(f"is the response and predicts {name}", column=response, value=texts[name],
                              rule="a response cannot explain itself", fix=f"Remove it from the formula of {name}.")
    return parsed


def _predictors(
    words: Words, family: Family, main: Formula, others: Mapping[str, Formula], patterns: Any,
) -> tuple[Predictor, ...]:
    for name, link in words.links.items():
        if family.parameter(name).role != "mean" and name not in others:
            raise OptionError(f"link {link!r} for {name}", value=link, rule=f"{name} is constant: only a formula has a link",
                              fix=f"Leave it out, or give formulas={{{name!r}: \"~ x\"}}.")
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
                          rule=f"only a concentration k can grow with exposure; {family.name} has none "
                          "(a constant delta of NB1 is already the law of a sum)", fix="Leave dispersion_scaling out.")
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


def _check_labels(names: Sequence[str]) -> None:
    """Refuse label columns that a table of predictions has already."""
    for name in names:
        if name in OWN_LABELS:
            raise ColumnNameError(f"{name!r} names a column that labels rows", column=name, value=name,
                                  rule=f"tables of predictions have columns of their own: {', '.join(OWN_LABELS)}",
                                  fix="Rename the column.")


def _check_names(specification: Specification) -> None:
    """Refuse columns whose names the model's dims or variables already have, or cannot have."""
    variables, dims = _names_of(specification)
    for dim in dims:
        if dim in RESERVED_DIMS or dim in variables:
            raise ColumnTypeError(f"{dim!r} names a group", column=dim, value=dim,
                                  rule="the model has a dimension or a variable of that name", fix="Rename the column.")
    response = specification.roles.response
    if {response, f"{response}_data"} & {*variables, *dims, *RESERVED_DIMS, *OWN_DATA}:
        raise ColumnTypeError(f"{response!r} is the response", column=response, value=response,
                              rule="the model has a variable of that name", fix="Rename the column.")
    path = next((name for name in (response, *variables) if "/" in name), None)
    if path is not None:
        raise ColumnTypeError(f"the name {path!r} has a slash", column=variables.get(path, response), value=path,
                              rule="a slash separates the groups of the saved draws, so no variable of the model has one",
                              fix="Rename the column or the level.")


def _names_of(specification: Specification) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Return the model's variables with what they are named after, and the dims of its blocks with their labels."""
    variables = {each.name: each.name for each in specification.constant()}
    dims: dict[str, tuple[str, ...]] = {}
    for predictor in specification.predictors:
        variables |= {predictor.name(name): specification.roles.response for name in OWN_VARIABLES}
        for block in predictor.blocks:
            own = [f"effect_{block.name}", f"z_{block.name}", *(each.name for each in block.hyperparameters)]
            variables |= {predictor.name(name): block.name for name in own}
            for dim, labels in zip(block_dims(block, predictor), (block.levels, block.effects), strict=True):
                if dims.setdefault(dim, labels) != labels:
                    raise ColumnTypeError(f"two groups with the dimension {dim!r}", column=dim, value=dim,
                                          rule="the effects of a group g have the dimension g_effect", fix="Rename the column.")
    return variables, dims
