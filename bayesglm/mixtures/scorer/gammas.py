"""Gammas: ratios of gamma functions without cancellation, with NumPy alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_STIRLING = 10  # from which Stirling's formula is right to the last digit


def log_rising(a: Array | float, s: Array | float) -> Array:
    """Return log Gamma(a + s) - log Gamma(a) for a > 0 and s >= 0, without the cancellation of their difference.

    Examples
    --------
    >>> abs(float(log_rising(3.0, 2.0)) - float(np.log(3 * 4))) < 1e-14
    True
    >>> float(log_rising(1e12, 1.0).round(9)) == round(float(np.log(1e12)), 9)
    True
    """
    a, s = np.asarray(a, np.float64), np.asarray(s, np.float64)
    small, found = a < _STIRLING, np.zeros(())
    if small.any():
        low, rise = np.where(small, a, 1.0), np.where(small, s, 0.0)
        above, below = low + rise, low
        for step in range(1, _STIRLING):
            above, below = above * (low + rise + step), below * (low + step)
        found, a = np.log(below / above), np.where(small, a + _STIRLING, a)
    grown = np.log1p(s / a)
    return np.asarray(found + (a - 0.5 + s) * grown + s * (np.log(a) - 1) + _rest(a + s) - _rest(a))


def _rest(x: Array) -> Array:
    """Return what Stirling's formula leaves out, for x of at least 10."""
    y = 1 / (x * x)
    return np.asarray((((((-691 / 360360 * y + 1 / 1188) * y - 1 / 1680) * y + 1 / 1260) * y - 1 / 360) * y + 1 / 12) / x)
