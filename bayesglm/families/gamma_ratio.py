"""Ratios of gamma functions that keep their digits: log Gamma(a + y) - log Gamma(a) for any a > 0, y >= 0.

The difference of two log gammas loses what they share: at a = 1e9, seven digits. Here

    log Gamma(a + y) - log Gamma(a) = [log Gamma(w) - log Gamma(z)] - [log P(a + y) - log P(a)],    z = a + 8, w = z + y,

with P(x) = x (x + 1) ... (x + 7), and Stirling's series for the first bracket, whose large terms cancel on paper. It is made of
logarithms and powers only, so derivatives of any order exist on every backend. Source: Abramowitz and Stegun (1964), 6.1.40.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytensor.tensor as pt

# B_2k / (2k (2k - 1)), k = 1 ... 8: at 8 the next term is below 1e-16.
STIRLING = tuple(np.float64(top) / np.float64(bottom) for top, bottom in (
    (1, 12), (-1, 360), (1, 1260), (-1, 1680), (1, 1188), (-691, 360360), (1, 156), (-3617, 122400),
))


def log_rising(a: Any, y: Any, side: Any = pt) -> Any:
    """Return log(a (a + 1) ... (a + y - 1)) = log Gamma(a + y) - log Gamma(a).

    Parameters
    ----------
    a : TensorVariable or array
        Above 0, best not below 1e-90: the log density's third derivative holds a^-3.
    y : TensorVariable or array
        At least 0, not necessarily an integer.
    side : module
        ``pytensor.tensor``, or ``numpy`` for arrays.

    Examples
    --------
    >>> float(log_rising(pt.as_tensor(np.float64(2.0)), pt.as_tensor(np.float64(3.0))).eval())  # log(2 * 3 * 4)
    3.178053830347945...
    """
    z = a + 8.0
    w = z + y
    stirling = (z - 0.5) * side.log1p(y / z) + y * (side.log(w) - 1.0) + _correction(w) - _correction(z)
    return stirling - (_log_eight(a + y, side) - _log_eight(a, side))


def _correction(x: Any) -> Any:
    """Return log Gamma(x) - [(x - 1/2) log x - x + log(2 pi) / 2]."""
    r = 1.0 / (x * x)
    total: Any = STIRLING[-1]
    for coefficient in reversed(STIRLING[:-1]):
        total = total * r + coefficient
    return total / x


def _log_eight(x: Any, side: Any) -> Any:
    """Return log(x (x + 1) ... (x + 7)), with t = x (x + 7): (x+1)(x+6) = t + 6, (x+2)(x+5) = t + 10, (x+3)(x+4) = t + 12."""
    t = x * (x + 7.0)
    return side.log(((t + 28.0) * t + 252.0) * t + 720.0) + side.log(t)
