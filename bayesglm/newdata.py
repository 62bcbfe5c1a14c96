"""New data: rows handed in after the fit, held against the schema and coded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from bayesglm.data.door import read_table
from bayesglm.data.observations import read_observations
from bayesglm.data.patterns import patterns_of
from bayesglm.data.table import Roles
from bayesglm.design import signatures
from bayesglm.errors import ExposureError, OptionError, UnitError
from bayesglm.fitted import Fitted
from bayesglm.formula import parse
from bayesglm.rows import Array, Rows, code_rows


def read_new_rows(
    fitted: Fitted, frame: Any, *, exposure: Any, unit: str | None, needs_exposure: bool, samples: int | None,
) -> Rows:
    """Read and code new rows.

    Parameters
    ----------
    fitted : Fitted
        The fit; its schema is what the rows are held against.
    frame : data frame
        The rows.
    exposure : float or array, optional
        In place of the exposure column; shape (obs,) or (sample, obs).
    unit : str, optional
        Unit of the exposure.
    needs_exposure : bool
        Whether a missing exposure is an error: rates need none.
    samples : int, optional
        Number of draws that will be used, for exposure with draws in front.

    Raises
    ------
    BayesGLMError
        A missing column, a missing or infinite value, an unknown level of a common factor, an exposure in another unit.
    """
    specification, roles = fitted.specification, fitted.specification.roles
    present = _columns_of(frame)
    _check_exposure(roles, present, exposure, unit, needed=needs_exposure)
    context = tuple(name for name in roles.context if name in present)
    uses_column = roles.exposure is not None and exposure is None and (needs_exposure or roles.exposure in present)
    wanted = Roles(
        response=roles.response, trials=roles.trials, exposure=roles.exposure if uses_column else None,
        exposure_unit=unit if unit is not None else roles.exposure_unit,
        time=roles.time if roles.time in present else None, id=roles.id if roles.id in present else None, context=context,
    )
    if not uses_column:
        wanted = replace(wanted, exposure_unit=None)
    names = predictor_columns(fitted)
    extra = [name for name in (wanted.exposure, wanted.trials if isinstance(wanted.trials, str) else None, wanted.time, wanted.id,
                               *context) if name is not None]
    table, _ = read_table(frame, list(dict.fromkeys([*names, *extra])), fitted.schema)
    family = specification.family
    observations = read_observations(table, wanted, family.support, family_name=family.name,
                                     takes_exposure=family.exposure, takes_trials=family.trials, require_response=False,
                                     schema=fitted.schema)
    patterns = patterns_of(table, names, np.ones(table.rows))
    given = observations.exposure if exposure is None else _given_exposure(exposure, table.rows, fitted, samples)
    labels = {name: table[name].labels() for name in dict.fromkeys([*context, *filter(None, (wanted.time, wanted.id))])}
    coded = code_rows(fitted, patterns, given, observations.trials, labels)
    return replace(coded, findings=tuple(each.text for each in (*table.findings, *observations.findings)))


def _check_exposure(roles: Roles, present: frozenset[str], exposure: Any, unit: str | None, *, needed: bool) -> None:
    """Hold what was said of the exposure against the fit."""
    if roles.exposure is None:
        for name, value in (("exposure", exposure), ("exposure_unit", unit)):
            if value is not None:
                raise OptionError(f"{name}= for a model without exposure", value=name,
                                  rule="the model was fitted without exposure, so a row is one unit of it",
                                  fix=f"Leave {name}= out, or fit with exposure=.")
        return
    if exposure is None and needed and present and roles.exposure not in present:
        raise ExposureError("no exposure for the new rows", column=roles.exposure,
                            rule="expected and predicted responses grow with the exposure",
                            fix="Add the column, give exposure=, or ask for quantities=('rate',) alone.")
    fitted = roles.exposure_unit
    if unit is not None and fitted is not None and unit.casefold() != fitted.casefold():
        raise UnitError(f"an exposure in {unit!r}", column=roles.exposure, value=unit,
                        rule=f"the model was fitted with an exposure in {fitted!r}", fix=f"Convert it to {fitted!r}.")


def predictor_columns(fitted: Fitted) -> tuple[str, ...]:
    """Return the raw columns that the formulas of a fit read."""
    formulas = (parse(each.formula, signatures(), one_sided=each.formula.startswith("~"))
                for each in fitted.specification.predictors)
    return tuple(dict.fromkeys(name for formula in formulas for name in formula.columns))


def _columns_of(frame: Any) -> frozenset[str]:
    if hasattr(frame, "collect_schema"):  # a lazy frame
        names = frame.collect_schema().names()
    else:
        names = frame.keys() if isinstance(frame, dict) else getattr(frame, "column_names", getattr(frame, "columns", None))
    return frozenset(map(str, names if names is not None else ()))


def _given_exposure(exposure: Any, rows: int, fitted: Fitted, samples: int | None) -> Array:
    try:
        values = np.asarray(exposure, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ExposureError(f"exposure={exposure!r}", value=exposure, column=fitted.specification.roles.exposure,
                            rule="exposure= is a number or an array of numbers", fix="Leave it out to use the column.") from error
    every = int(np.prod(fitted.shape))
    draws = every if samples is None else min(samples, every)
    shapes = ((), (rows,), (draws, rows))
    if values.shape not in shapes:
        raise ExposureError(f"exposure of shape {values.shape}", value=values.shape, column=fitted.specification.roles.exposure,
                            rule=f"one number, one for each row ({rows},), or one for each draw and row ({draws}, {rows})",
                            fix="Reshape it, or choose samples= to match its draws.")
    bad = ~np.isfinite(values) | (values < 0)
    if bad.any():
        raise ExposureError(f"{int(bad.sum())} negative or missing values", value=float(values[bad].flat[0]),
                            column=fitted.specification.roles.exposure, rule="an exposure is a number >= 0", fix="Mend the rows.")
    return np.broadcast_to(values, (rows,)) if values.ndim == 0 else values
