"""Observations: the response with its exposure, trials, weights and labels, held against what the family can take.

Made by `read_observations` from a checked table. The rules of the response come from the family's support; the data
door stands before the families and knows none of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bayesglm.data.faults import check_exact, raise_where
from bayesglm.data.multipliers import read_exposure, read_trials, read_weights, scale_of
from bayesglm.data.schema import Schema
from bayesglm.data.table import Array, Column, Finding, Observations, Roles, Table
from bayesglm.errors import DuplicateIdError, OptionError, ResponseError, TrialsError, ZeroExposureError

Mask = NDArray[np.bool_]
_COUNTED = ("count", "successes")


class Support(Protocol):
    """What the door needs to know of a family's support."""

    @property
    def kind(self) -> str:
        """One of count, binary, successes, real, positive, category."""
        ...

    @property
    def rule(self) -> str:
        """The rule in words."""
        ...

    @property
    def faults(self) -> Callable[[Array], tuple[tuple[str, Mask, str], ...]]:
        """(problem, rows at fault, fix), the first with any row is raised; not asked of a category."""
        ...


def read_observations(
    table: Table,
    roles: Roles,
    support: Support,
    *,
    family_name: str,
    takes_exposure: bool,
    takes_trials: bool,
    require_response: bool = True,
    schema: Schema | None = None,
) -> Observations:
    """Read what was observed from a checked table.

    All rows are kept, in their order; `Observations.informative` says which add to the likelihood.

    Parameters
    ----------
    table : Table
        The checked columns.
    roles : Roles
        Which column plays which part.
    support : Support
        What the response may be: kind, rule and faults.
    family_name : str
        The family, for messages.
    takes_exposure, takes_trials : bool
        Whether the family takes an exposure, or trials.
    require_response : bool
        False for new data to predict: the response is NaN, weights are ones, and labels may be absent.
    schema : Schema, optional
        The fit's schema, for new data: unit and scale of the exposure, levels of the response.

    Returns
    -------
    Observations
        float64 arrays, one entry for each row.

    Raises
    ------
    ResponseError, ExposureError, TrialsError, WeightsError, UnitError, DuplicateIdError, OptionError
        What does not fit, with the column, the first rows, the rule and the fix.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from bayesglm.data.door import read_table
    >>> table, _ = read_table({"errors": [0, 3], "requests": [0, 50]}, ["errors", "requests"])
    >>> counts = SimpleNamespace(kind="count", rule="counts >= 0", faults=lambda values: ())
    >>> observed = read_observations(table, Roles("errors", exposure="requests"), counts, family_name="poisson",
    ...                              takes_exposure=True, takes_trials=False)
    >>> observed.response.tolist(), observed.informative.tolist()
    ([0.0, 3.0], [False, True])
    """
    _check_roles(table, roles)
    weights = read_weights(table, roles.weights) if require_response else np.ones(table.rows)
    exposure = read_exposure(table, roles, family_name, takes_exposure=takes_exposure, takes_trials=takes_trials,
                             fitting=require_response)
    trials = read_trials(table, roles, family_name, takes_trials=takes_trials, fitting=require_response)
    response: Array = np.full(table.rows, np.nan)
    levels: tuple[str, ...] = ()
    if require_response:
        response, levels = _read_response(table[roles.response], support, family_name, schema)
        _check_multiplied(response, exposure, trials, roles)
    known = None if schema is None else schema.exposure
    scale, scale_findings = scale_of(exposure, roles, known)
    read = Observations(response, levels, exposure, trials, weights,
                        _labels(table, roles, required=require_response), scale, scale_findings)
    return read if not require_response else _with_findings(read, roles.response)


def _with_findings(read: Observations, response: str) -> Observations:
    """Add what is odd about the response itself."""
    values = read.response[read.informative]
    if len(values) == 0 or values.min() != values.max():
        return read
    value = read.levels[int(values[0])] if read.levels else f"{values[0]:g}"
    finding = Finding("constant_response", response, (), len(values),
                      f"`{response}`: every response in the likelihood is {value}; the data can only bound its mean")
    return replace(read, findings=(*read.findings, finding))


def _check_roles(table: Table, roles: Roles) -> None:
    """Each of these parts needs a column of its own, without filled cells."""
    if roles.exposure is None and roles.exposure_unit is not None:
        raise OptionError(f"exposure_unit={roles.exposure_unit!r} without an exposure", value=roles.exposure_unit,
                          rule="a unit belongs to an exposure", fix="Give exposure= as well, or leave the unit out.")
    parts = {"response": roles.response, "trials": roles.trials, "exposure": roles.exposure, "weights": roles.weights}
    named = {part: column for part, column in parts.items() if isinstance(column, str)}
    for part, column in named.items():
        if part != "response" and column == roles.response:
            raise OptionError(f"is the response and the {part}", column=column, value=column,
                              rule="the response cannot play a second part", fix=f"Name another column for {part}.")
        if column in table.imputed:
            raise OptionError(f"missing= was given for the {part}", column=column, value=column,
                              rule="response, exposure, trials and weights are never imputed",
                              fix="Drop the rows where it is missing.")


def _read_response(
    column: Column, support: Support, family_name: str, schema: Schema | None,
) -> tuple[Array, tuple[str, ...]]:
    if support.kind == "category":
        return _read_levels(column, support, family_name, () if schema is None else schema.response_levels)
    _check_kind(column, support)
    values = column.values
    for problem, bad, fix in support.faults(values):
        raise_where(bad, ResponseError, problem, column=column.name, values=values, rule=support.rule, fix=fix)
    if support.kind in _COUNTED:
        check_exact(column.name, values)
    return values, ()


def _check_kind(column: Column, support: Support) -> None:
    """Refuse a response of a kind that the family cannot count or measure."""
    if column.kind == "numeric" or (column.kind == "boolean" and support.kind in ("binary", "successes")):
        return
    name = column.name
    if column.kind == "boolean":
        problem, fix = "booleans", "Use family='bernoulli' for something that happens or does not."
    elif column.kind == "time":
        problem, fix = "times", "Model a count or a duration in a unit instead."
    elif support.kind == "binary" and len(column.levels) == 2:
        problem = f"the strings {column.levels[0]!r} and {column.levels[1]!r}"
        fix = f"Say which one is the event: data[{name!r}] == {column.levels[1]!r}."
    elif len(column.levels) > 2 and support.kind == "binary":
        problem, fix = f"{len(column.levels)} levels of text", "Use family='categorical' for several outcomes."
    else:
        problem = f"text such as {column.levels[0]!r}"
        fix = "Turn the column into numbers, or use family='categorical' for outcomes without numbers."
    raise ResponseError(f"holds {problem}", column=name, value=column.labels()[0], rule=support.rule, fix=fix)


def _read_levels(
    column: Column, support: Support, family_name: str, fitted: tuple[str, ...],
) -> tuple[Array, tuple[str, ...]]:
    """Code a categorical response by its levels, or by those of the fit."""
    name = column.name
    if column.kind == "time":
        _check_kind(column, support)
    if column.kind == "numeric":
        raise_where(column.values != np.floor(column.values), ResponseError, "{} values that are no integers",
                    column=name, values=column.values,
                    rule=f"a {family_name} response needs levels: strings, booleans or integers",
                    fix="Use family='gaussian' for a measured response.")
    category = column.as_category()
    if fitted:
        place = {level: code for code, level in enumerate(fitted)}
        codes = np.array([place.get(level, -1) for level in category.levels], np.int64)[category.values]
        raise_where(codes < 0, ResponseError, "{} values that are no level of the fit", column=name,
                    values=category.labels(), rule=f"the response was fitted with the levels {', '.join(fitted)}",
                    fix="Drop the rows, or fit again with them.")
        return codes.astype(np.float64), fitted
    if len(category.levels) < 2:
        raise ResponseError(f"has one level only, {category.levels[0]!r}", column=name, value=category.levels[0],
                            rule=f"a {family_name} response needs at least two levels",
                            fix="Check the filter that made the table.")
    return category.values.astype(np.float64), category.levels


def _check_multiplied(response: Array, exposure: Array | None, trials: Array | None, roles: Roles) -> None:
    """Hold the response against what it came from."""
    if exposure is not None:
        raise_where((exposure == 0) & (response != 0), ZeroExposureError,
                    "{} rows where something was counted at exposure 0", column=str(roles.exposure), values=response,
                    rule="without exposure nothing can be counted",
                    fix="Correct the exposure of these rows, or drop them.")
    if trials is not None:
        raise_where(response > trials, TrialsError, "{} rows with more successes than trials", column=roles.response,
                    values=response, rule="successes are at most the trials of their row",
                    fix="Check whether the columns are swapped, or the trials are those of another window.")


def _labels(table: Table, roles: Roles, *, required: bool) -> dict[str, NDArray[Any]]:
    """Return context, id and time columns as labels."""
    if roles.id is not None and (required or roles.id in table.columns):
        _check_unique(table[roles.id])
    named = dict.fromkeys(name for name in (*roles.context, roles.id, roles.time) if name is not None)
    return {name: table[name].labels() for name in named if required or name in table.columns}


def _check_unique(column: Column) -> None:
    order = np.argsort(column.values, kind="stable")
    ordered = column.values[order]
    again = np.zeros(len(ordered), bool)
    again[order[1:]] = ordered[1:] == ordered[:-1]
    raise_where(again, DuplicateIdError, "{} rows with a repeated id", column=column.name, values=column.labels(),
                rule="an id names one row", fix="Drop the repeated rows, or give the column as context instead.")
