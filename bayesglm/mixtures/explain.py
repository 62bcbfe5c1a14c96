"""Explanation: which columns make a row unusual, by the distribution of each value given the others in its row.

Along one column with the others held fixed, the joint predictive density is the conditional one up to a constant:

    p(x_j | x_-j) = p(x_j, x_-j) / integral p(t, x_-j) dt,     contribution_j = E[log p(X_j | x_-j)] - log p(x_j | x_-j)

A contribution is in nats: 0 for a value as likely as they are on average there, (z^2 - 1) / 2 for a Gaussian z sds off. It
depends on no unit, and it sees a value that is ordinary by itself and wrong beside the others. Components need say nothing for
this but their predictive density; the integral is a sum over a grid that moves to where the density is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from bayesglm.mixtures.columns import Part
from bayesglm.mixtures.component import Array
from bayesglm.mixtures.fitted import FittedMixture
from bayesglm.mixtures.scoring import exposure_of, log_density, simulate
from bayesglm.predict import LEVEL

_REFERENCE = 4000  # simulated rows that say where values lie
_WIDE = 96  # grid points where any row's value may lie
_LEVELS = stats.norm.cdf(np.linspace(-5, 5, 121))  # grid points where this row's value should lie
_MOVES = 3
_WHOLE = 2000  # most whole numbers that are summed one by one
_ROWS = 64  # explained at a time
COLUMNS = ("row", "feature", "value", "expected", "expected_low", "expected_high", "tail_probability", "contribution")


@dataclass(frozen=True, slots=True, eq=False)
class Conditional:
    """The distribution of one column given the others, for some rows.

    Attributes
    ----------
    contribution : array, shape (row,)
        How much less dense the value is than values there on average, in nats.
    tail : array, shape (row,)
        Probability of values at most as dense.
    median, low, high : array, shape (row,)
        Middle and ends of the 90 % interval, in the numbers that the component sees; the most probable code for codes.
    """

    contribution: Array
    tail: Array
    median: Array
    low: Array
    high: Array


def one_row(data: Any) -> Any:
    """Return a single row, given as a mapping of values or a pandas series, as a table of one row."""
    if isinstance(data, pd.Series):
        data = data.to_dict()
    if isinstance(data, Mapping) and all(np.ndim(value) == 0 for value in data.values()):
        return {name: [value] for name, value in data.items()}
    return data


def explain(fit: FittedMixture, data: Any) -> pd.DataFrame:
    """Return each column's contribution to how unusual each row is; see `MixtureFit.explain`."""
    table = one_row(data)
    numbers, read = fit.numbers(table), fit.read(table)
    largest = [exposure_of(part, each).max(axis=0, keepdims=True) for part, each in zip(fit.parts, numbers, strict=True)]
    reference = simulate(fit.parts, fit.posterior, fit.weights, _REFERENCE, fit.seed, largest)
    lines = []
    for p, part in enumerate(fit.parts):
        for j, name in enumerate(part.layout.names):
            found = _in_chunks(fit, numbers, p, j, reference[p][:, j])
            lines.append(pd.DataFrame({
                "row": np.arange(len(numbers[p])), "feature": name, "value": pd.Series(read[name].labels(), dtype=object),
                "expected": _original(part, j, found.median), "expected_low": _ends(part, j, found.low),
                "expected_high": _ends(part, j, found.high), "tail_probability": found.tail, "contribution": found.contribution,
            }, columns=list(COLUMNS)))
    whole = pd.concat(lines, ignore_index=True)
    return whole.sort_values(["row", "contribution"], ascending=[True, False], kind="stable").reset_index(drop=True)


def _in_chunks(fit: FittedMixture, numbers: Sequence[Array], part: int, column: int, reference: Array) -> Conditional:
    found = []
    for start in range(0, len(numbers[part]), _ROWS):
        chunk = [each[start:start + _ROWS] for each in numbers]
        found.append(conditional(fit, chunk, part, column, reference))
    return Conditional(*(np.concatenate([getattr(each, name) for each in found]) for name in Conditional.__slots__))


def conditional(fit: FittedMixture, numbers: Sequence[Array], part: int, column: int, reference: Array) -> Conditional:
    """Return the distribution of one column given the others.

    Parameters
    ----------
    fit : FittedMixture
        The mixture.
    numbers : sequence of array, shape (row, column)
        What each part sees of the rows.
    part, column : int
        Which column of which part.
    reference : array, shape (simulated,)
        Values of the column, from all over the mixture.
    """
    own = numbers[part][:, column]
    held = fit.parts[part]
    if held.component.scaled:
        grid, logs = _moved(fit, numbers, part, column, reference)
        return _of_density(own, grid, logs, _along(fit, numbers, part, column, own[:, None])[:, 0])
    points = _codes(held, own, reference)
    logs = _along(fit, numbers, part, column, np.tile(points, (len(own), 1)))
    return _of_mass(own, points, logs, _along(fit, numbers, part, column, own[:, None])[:, 0], codes=bool(held.layout.levels))


def _along(fit: FittedMixture, numbers: Sequence[Array], part: int, column: int, grid: Array) -> Array:
    """Return the joint log density of rows with one column replaced, for grid points of shape (row, point)."""
    rows, points = grid.shape
    moved = [np.repeat(each, points, axis=0) for each in numbers]
    moved[part][:, column] = grid.ravel()
    return log_density(fit.parts, fit.posterior, fit.weights, moved).reshape(rows, points)


def _moved(fit: FittedMixture, numbers: Sequence[Array], part: int, column: int, reference: Array) -> tuple[Array, Array]:
    """Return grid points (row, point) and log densities, after moving points to where each row's density is."""
    own = np.where(np.isnan(numbers[part][:, column]), np.median(reference), numbers[part][:, column])
    reach = np.ptp(reference)
    wide = np.concatenate([np.quantile(reference, np.linspace(0, 1, _WIDE)),
                           np.linspace(reference.min() - reach, reference.max() + reach, _WIDE)])
    fixed = np.hstack([np.tile(wide, (len(own), 1)), own[:, None]])
    grid = np.sort(fixed, axis=1)
    logs = _along(fit, numbers, part, column, grid)
    for _ in range(_MOVES):
        grid = np.sort(np.hstack([fixed, _quantiles(grid, _density(logs), _LEVELS)]), axis=1)
        logs = _along(fit, numbers, part, column, grid)
    return grid, logs


def _density(logs: Array) -> Array:
    return np.asarray(np.exp(logs - logs.max(axis=1, keepdims=True)))


def _passed(grid: Array, density: Array) -> Array:
    """Return the distribution function at grid points, by trapezoids."""
    mass = (density[:, 1:] + density[:, :-1]) / 2 * np.diff(grid, axis=1)
    passed = np.hstack([np.zeros((len(grid), 1)), np.cumsum(mass, axis=1)])
    return np.asarray(passed / passed[:, -1:])


def _quantiles(grid: Array, density: Array, levels: Array) -> Array:
    passed = _passed(grid, density)
    return np.array([np.interp(levels, p, x) for p, x in zip(passed, grid, strict=True)])


def _of_density(own: Array, grid: Array, logs: Array, at: Array) -> Conditional:
    top = logs.max(axis=1, keepdims=True)
    density, width = np.exp(logs - top), np.diff(grid, axis=1)

    def integral(values: Array) -> Array:
        return np.asarray(((values[:, 1:] + values[:, :-1]) / 2 * width).sum(axis=1))

    total = integral(density)
    average = integral(density * (logs - top)) / total
    tail = integral(np.where(logs <= at[:, None] + 1e-12, density, 0.0)) / total
    low, median, high = _quantiles(grid, density, np.array([(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2])).T
    return _known(own, Conditional(average - (at - top[:, 0]), np.clip(tail, 0.0, 1.0), median, low, high))


def _of_mass(own: Array, points: Array, logs: Array, at: Array, *, codes: bool) -> Conditional:
    top = logs.max(axis=1, keepdims=True)
    mass = np.exp(logs - top)
    total = mass.sum(axis=1)
    average = (mass * (logs - top)).sum(axis=1) / total
    tail = np.where(logs <= at[:, None] + 1e-12, mass, 0.0).sum(axis=1) / total
    passed = np.cumsum(mass, axis=1) / total[:, None]
    levels = ((1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2)
    ends = [points[np.minimum((passed < level).sum(axis=1), len(points) - 1)] for level in levels]
    if codes:
        ends = [points[logs.argmax(axis=1)]] * 3
    return _known(own, Conditional(average - (at - top[:, 0]), np.clip(tail, 0.0, 1.0), ends[1], ends[0], ends[2]))


def _known(own: Array, found: Conditional) -> Conditional:
    """Let a value that is missing contribute nothing."""
    known = ~np.isnan(own)
    return replace(found, contribution=np.where(known, found.contribution, 0.0), tail=np.where(known, found.tail, 1.0))


def _codes(part: Part, own: Array, reference: Array) -> Array:
    """Return the codes of a categorical column, or the whole numbers that a count may be, spread out where they are many."""
    if part.layout.levels:
        return np.arange(len(part.layout.levels), dtype=np.float64)
    known = own[~np.isnan(own)]
    most = max(2 * reference.max() + 10, known.max(initial=0.0) + 1)
    spread = np.arange(most + 1) if most <= _WHOLE else np.unique(np.round(np.linspace(0, most, _WHOLE)))
    return np.unique(np.concatenate([spread, known]))


def _original(part: Part, column: int, numbers: Array) -> pd.Series:
    layout = part.layout
    if layout.levels:
        return pd.Series(np.array(layout.levels, dtype=object)[numbers.astype(np.intp)], dtype=object)
    return pd.Series(_units(part, column, numbers), dtype=object)


def _ends(part: Part, column: int, numbers: Array) -> Array:
    return np.full(len(numbers), np.nan) if part.layout.levels else _units(part, column, numbers)


def _units(part: Part, column: int, numbers: Array) -> Array:
    layout = part.layout
    return layout.transforms[column].inverse(layout.center[column] + layout.scale[column] * numbers)
