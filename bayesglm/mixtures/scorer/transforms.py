"""Transforms: one-to-one maps of a column onto the scale on which its components are described, with NumPy alone.

A density p of y = f(x) is p(f(x)) |f'(x)| in the units of x. To add a transform, write its record into `TRANSFORMS`; one with a
number in its name ("power:0.25") has a function in `WITH_NUMBER` that makes the record.

Powers keep the sign, y = sign(x) |x|^p: what a component says of y below 0 then stands for values below 0, so that densities
integrate to 1 over all values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Moments = Callable[[Array, Array], tuple[Array, Array]]

_REACH, _POINTS = 10.0, 401  # sds and points of the sums that moments are


@dataclass(frozen=True, slots=True, eq=False)
class Transform:
    """A one-to-one map y = f(x) that rises; NaN stays NaN.

    Attributes
    ----------
    name : str
        The name users write, and files hold.
    label : str
        What it is, in words: "on the ... scale".
    forward, inverse : callable
        f and its inverse.
    log_slope : callable
        log f'(x) as a function of y = f(x).
    moments : callable
        Mean and variance of x where y is normal with a mean and a variance.
    holds : callable
        Whether there is a y, and a slope that is neither 0 nor infinite, for values that are not missing.
    wrong, rule, fix : str
        What values are where it does not hold, what is asked of them, and what else would do.
    middle : str
        What the inverse of a mean of y is: the median of x, or its mean.
    low : float
        What all values lie above.
    """

    name: str
    label: str
    forward: Callable[[Array], Array]
    inverse: Callable[[Array], Array]
    log_slope: Callable[[Array], Array]
    moments: Moments
    holds: Callable[[Array], NDArray[np.bool_]]
    wrong: str
    rule: str
    fix: str
    middle: str = "median"
    low: float = -np.inf


def _all(x: Array) -> NDArray[np.bool_]:
    return np.ones(np.shape(x), np.bool_)


def _log_normal(below: float) -> Moments:
    """Return the moments of exp(y) - below."""
    def moments(mean: Array, variance: Array) -> tuple[Array, Array]:
        return np.exp(mean + variance / 2) - below, np.expm1(variance) * np.exp(2 * mean + variance)

    return moments


def _summed(inverse: Callable[[Array], Array]) -> Moments:
    """Return the moments of an inverse by sums over equal steps, which are exact to rounding for smooth functions."""
    at = np.linspace(-_REACH, _REACH, _POINTS)
    share = np.exp(-at * at / 2) / np.exp(-at * at / 2).sum()

    def moments(mean: Array, variance: Array) -> tuple[Array, Array]:
        x = inverse(np.asarray(mean)[..., None] + np.sqrt(variance)[..., None] * at)
        center = x @ share
        return np.asarray(center), np.asarray((x - center[..., None]) ** 2 @ share)

    return moments


def _signed_power(x: Array, exponent: float) -> Array:
    with np.errstate(over="ignore"):  # an infinity is refused where distances are
        return np.asarray(np.sign(x) * np.abs(x) ** exponent)


def _power(name: str, label: str, exponent: float) -> Transform:
    forward, inverse = partial(_signed_power, exponent=exponent), partial(_signed_power, exponent=1 / exponent)
    return Transform(
        name, label, forward, inverse,
        log_slope=lambda y: np.asarray(np.log(exponent) + (1 - 1 / exponent) * np.log(np.abs(y))),
        moments=_summed(inverse), holds=lambda x: np.asarray(forward(x) != 0),
        wrong="values at 0", rule="the slope of a power is 0 or infinite at 0, and so is the density",
        fix="give 'log1p', which takes zeros")


@cache
def power(exponent: float) -> Transform:
    """Return y = sign(x) |x|^exponent, for an exponent above 0.

    Examples
    --------
    >>> power(0.25).name, power(0.25).forward(np.array([16.0, -16.0])).tolist()
    ('power:0.25', [2.0, -2.0])
    """
    return _power(f"power:{float(exponent)!r}", f"power {exponent:g}", float(exponent))


IDENTITY = Transform(
    "identity", "original", lambda x: x, lambda y: y, log_slope=lambda y: np.zeros(np.shape(y)),
    moments=lambda mean, variance: (mean, variance), holds=_all, wrong="", rule="", fix="", middle="mean")
LOG = Transform(
    "log", "log", np.log, np.exp, log_slope=lambda y: -y, moments=_log_normal(0.0), holds=lambda x: ~(x <= 0),
    wrong="values at or below 0", rule="a logarithm needs values above 0", fix="give 'log1p', which takes zeros", low=0.0)
LOG1P = Transform(
    "log1p", "log(1 + x)", np.log1p, np.expm1, log_slope=lambda y: -y, moments=_log_normal(1.0), holds=lambda x: ~(x <= -1),
    wrong="values at or below -1", rule="the logarithm of 1 + x needs values above -1", fix="correct them", low=-1.0)
SQRT = _power("sqrt", "square root", 0.5)

TRANSFORMS: Mapping[str, Transform] = {each.name: each for each in (IDENTITY, LOG, LOG1P, SQRT)}
WITH_NUMBER: Mapping[str, Callable[[float], Transform]] = {"power": power}


def transform(name: str) -> Transform:
    """Return a transform by its name.

    Raises
    ------
    KeyError
        Another name.
    ValueError
        No number, or one at or below 0, where the name wants a number.

    Examples
    --------
    >>> transform("log1p").label, transform("power:0.25") is power(0.25)
    ('log(1 + x)', True)
    """
    if name in TRANSFORMS:
        return TRANSFORMS[name]
    family, _, number = name.partition(":")
    made, value = WITH_NUMBER[family], float(number)
    if not 0 < value < np.inf:
        raise ValueError(f"{name!r}: the number is finite and above 0")
    return made(value)


def has_name(record: Transform) -> bool:
    """Return whether a transform is the one that its name finds."""
    try:
        return transform(record.name) is record
    except (KeyError, ValueError):
        return False


def changed(transforms: Sequence[Transform]) -> tuple[tuple[int, Transform], ...]:
    """Return the places of columns that are not as they were, with their transforms."""
    return tuple((j, each) for j, each in enumerate(transforms) if each is not IDENTITY)


def inverse(transforms: Sequence[Transform], values: Array) -> Array:
    """Return values in original units, for columns along the last axis."""
    found = np.array(values, np.float64)
    for j, each in changed(transforms):
        found[..., j] = each.inverse(found[..., j])
    return found


def log_slopes(transforms: Sequence[Transform], values: Array) -> Array:
    """Return the sum of log slopes over the columns that a row has, shape (row,), for transformed values (row, column)."""
    found = np.zeros(len(values))
    for j, each in changed(transforms):
        slope = each.log_slope(values[:, j])
        found += np.where(np.isnan(slope), 0.0, slope)
    return found
