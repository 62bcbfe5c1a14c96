"""Exposure, trials and weights: the columns that multiply a row's mean, bound its count or repeat it."""

from __future__ import annotations

import numpy as np

from bayesglm.data.faults import check_exact, raise_where
from bayesglm.data.table import Array, ExposureScale, Finding, Roles, Table
from bayesglm.errors import (
    BayesGLMError,
    ColumnTypeError,
    ExposureError,
    NegativeExposureError,
    TrialsError,
    UnitError,
    WeightsError,
    ZeroExposureError,
)

_RATIOS = {
    60.0: "minutes and seconds, or hours and minutes", 24.0: "days and hours", 3600.0: "hours and seconds",
    1440.0: "days and minutes", 86400.0: "days and seconds", 1e3: "a factor of a thousand",
    1e6: "a factor of a million", 1e9: "a factor of a billion", 1024.0: "a factor of 1024",
    1024.0**2: "a factor of 1024 squared", 1024.0**3: "a factor of 1024 cubed",
}
_TOLERANCE = 0.1


def read_exposure(
    table: Table, roles: Roles, family_name: str, *, takes_exposure: bool, takes_trials: bool, fitting: bool,
) -> Array | None:
    """Return the exposure of each row, or None without one; new data may have no exposure at all.

    Raises
    ------
    ExposureError
        The family takes none, or it is negative or zero everywhere.
    """
    name = roles.exposure
    if name is None:
        return None
    if not takes_exposure:
        fix = (f"Write the response as `successes | trials({name})`." if takes_trials else
               "Leave it out; for events out of a number of tries use `successes | trials(n)` with family='binomial'.")
        raise ExposureError(f"given as exposure for family {family_name!r}", column=name, value=family_name,
                            rule="exposure multiplies the mean of counts; tries that can each succeed are trials",
                            fix=fix)
    values = _numbers(table, name, "exposure")
    raise_where(values < 0, NegativeExposureError, "{} negative values", column=name, values=values,
                rule="an exposure must be >= 0", fix="Correct the rows or drop them.")
    if fitting and not values.any():
        raise ZeroExposureError("every exposure is 0", column=name, value=0, rule="some row must have been exposed",
                                fix="Check the join that brought the exposure in.")
    return values


def read_trials(
    table: Table, roles: Roles, family_name: str, *, takes_trials: bool, fitting: bool,
) -> Array | None:
    """Return the trials of each row, or None for a family without.

    Raises
    ------
    TrialsError
        They are missing, not wanted, or no counts.
    """
    given = roles.trials
    if not takes_trials:
        if given is not None:
            raise TrialsError(f"trials given for family {family_name!r}", value=given,
                              column=given if isinstance(given, str) else None, rule=f"{family_name} has no trials",
                              fix="Use family='binomial', or give the column as exposure= for counts without a bound.")
        return None
    if given is None:
        raise TrialsError("no trials given", column=roles.response, value=None,
                          rule=f"a {family_name} response counts successes out of trials",
                          fix=f"Write `{roles.response} | trials(n)` with a column or a number.")
    if not isinstance(given, str):
        return _same_trials(given, table.rows)
    values = _numbers(table, given, "trials")
    _check_counts(given, values, TrialsError, "trials")
    if fitting and not values.any():
        raise TrialsError("every number of trials is 0", column=given, value=0, rule="some row must have trials",
                          fix="Check the join that brought the trials in.")
    return values


def _same_trials(given: object, rows: int) -> Array:
    if isinstance(given, bool) or not isinstance(given, int | np.integer) or given < 1:
        raise TrialsError(f"trials({given!r})", value=given,
                          rule="one number of trials for all rows is an integer >= 1",
                          fix="Give an integer, or a column of trials.")
    return np.full(rows, float(given))


def read_weights(table: Table, name: str | None) -> Array:
    """Return how many identical rows each row stands for: ones without weights.

    Raises
    ------
    WeightsError
        They are no counts, or all zero.
    """
    if name is None:
        return np.ones(table.rows)
    values = _numbers(table, name, "weights")
    _check_counts(name, values, WeightsError, "weights",
                  fix="Weights are counts of identical rows. For rows of different precision model the dispersion, for "
                      "rows of different size use exposure= or trials.")
    if not values.any():
        raise WeightsError("every weight is 0", column=name, value=0, rule="some row must count",
                           fix="Leave weights= out to count each row once.")
    return values


def _numbers(table: Table, name: str, part: str) -> Array:
    column = table[name]
    if column.kind != "numeric":
        raise ColumnTypeError(f"a {column.kind} column as {part}", column=name, value=column.kind,
                              rule=f"{part} must be numbers", fix="Convert the column to numbers.")
    values: Array = column.values
    return values


def _check_counts(name: str, values: Array, kind: type[BayesGLMError], part: str, fix: str = "") -> None:
    rule = f"{part} must be integers >= 0"
    raise_where(values < 0, kind, "{} negative values", column=name, values=values, rule=rule,
                fix="Correct the rows or drop them.")
    raise_where(values != np.floor(values), kind, "{} values that are no integers", column=name, values=values,
                rule=rule, fix=fix or "Give the number of tries, not a share or a rate.")
    check_exact(name, values)


def scale_of(
    exposure: Array | None, roles: Roles, fitted: ExposureScale | None,
) -> tuple[ExposureScale | None, tuple[Finding, ...]]:
    """Return the scale of an exposure, compared with the fit's.

    Parameters
    ----------
    exposure : array, shape (row,), optional
        The exposure.
    roles : Roles
        Its column and unit.
    fitted : ExposureScale, optional
        The fit's, for new data.

    Raises
    ------
    UnitError
        The units differ.
    """
    if exposure is None or roles.exposure is None or not exposure.any():
        return None, ()
    scale = ExposureScale(roles.exposure, roles.exposure_unit, float(np.median(exposure[exposure > 0])))
    if fitted is None:
        return scale, ()
    if scale.unit is not None and fitted.unit is not None and scale.unit.casefold() != fitted.unit.casefold():
        raise UnitError(f"an exposure in {scale.unit!r}", column=scale.column, value=scale.unit,
                        rule=f"the model was fitted with an exposure in {fitted.unit!r}",
                        fix=f"Convert the column to {fitted.unit!r}.")
    return scale, _mismatch(scale, fitted)


def _mismatch(scale: ExposureScale, fitted: ExposureScale) -> tuple[Finding, ...]:
    """Point out a median that is off by the ratio of two units."""
    ratio = scale.median / fitted.median
    for factor, meaning in _RATIOS.items():
        if abs(max(ratio, 1 / ratio) / factor - 1) < _TOLERANCE:
            text = (f"`{scale.column}`: its median, {scale.median:g}, is {ratio:.3g} times that of the fit, "
                    f"{fitted.median:g}: check the unit ({meaning})")
            return (Finding("exposure_scale", scale.column, (), 0, text),)
    return ()
