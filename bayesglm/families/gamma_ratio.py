"""Ratios of gamma functions that keep their digits: log Gamma(a + y) - log Gamma(a) for any a > 0, y >= 0.

The difference of two log gammas loses what they share: at a = 1e9, seven digits. From a = 1e4 on, Stirling's series says the
same with what is shared cancelled on paper; with r = 1 / a and t = 1 / (a + y),

    (a - 1/2) log(1 + y r) + y [log(a + y) - 1] + (t - r) / 12,

and its derivatives in a are written here term by term, which is cheaper and more exact than deriving the difference.
Source: Abramowitz and Stegun (1964), 6.1.40; the next term is below 1e-14.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.builders import OpFromGraph
from pytensor.tensor.variable import TensorVariable
from scipy import special

# Where the two forms meet: the difference has an error of 1e-11 there, the series of 1e-14.
LARGE = np.float64(1e4)


def log_rising(a: TensorVariable, y: TensorVariable) -> TensorVariable:
    """Return log(a (a + 1) ... (a + y - 1)) = log Gamma(a + y) - log Gamma(a).

    Parameters
    ----------
    a : TensorVariable
        Above 0, best not below 1e-90: the third derivative holds a^-3.
    y : TensorVariable
        At least 0, not necessarily an integer.

    Examples
    --------
    >>> float(log_rising(pt.as_tensor(np.float64(2.0)), pt.as_tensor(np.float64(3.0))).eval())  # log(2 * 3 * 4)
    3.178053830347945...
    """
    a, y = pt.as_tensor(a), pt.as_tensor(y)
    return _ratio(0, a + pt.zeros_like(y), y + pt.zeros_like(a))


def log_rising_numbers(a: Any, y: Any) -> Any:
    """Return the same of NumPy arrays.

    Examples
    --------
    >>> round(float(log_rising_numbers(1e12, 2.0) - 2.0 * np.log(1e12)), 6)
    0.0
    """
    small, large = np.minimum(a, LARGE), np.maximum(a, LARGE)
    difference = special.gammaln(small + y) - special.gammaln(small)
    return np.where(np.less(a, LARGE), difference, _series(0, large, y, np))


def _ratio(order: int, a: TensorVariable, y: TensorVariable) -> TensorVariable:
    """Return the derivative of that order in a, which knows its own derivatives."""
    inner_a, inner_y = a.type(), y.type()
    small, large = pt.minimum(inner_a, LARGE), pt.maximum(inner_a, LARGE)
    difference = _polygamma(order, small + inner_y) - _polygamma(order, small)
    formula = pt.switch(inner_a < LARGE, difference, _series(order, large, inner_y, pt))

    def pullback(
        inputs: Sequence[TensorVariable], outputs: Sequence[TensorVariable], gradients: Sequence[TensorVariable],  # noqa: ARG001
    ) -> list[TensorVariable]:
        first, second = inputs
        return [gradients[0] * _ratio(order + 1, first, second), gradients[0] * _polygamma(order + 1, first + second)]

    op = OpFromGraph([inner_a, inner_y], [formula], inline=True, pullback=pullback, name=f"log_rising_{order}")
    return op(a, y)


def _polygamma(order: int, x: TensorVariable) -> TensorVariable:
    """Return log Gamma and its derivatives."""
    simple = (pt.gammaln, pt.psi, pt.tri_gamma)
    return simple[order](x) if order < len(simple) else pt.polygamma(order - 1, x)


def _series(order: int, a: Any, y: Any, side: Any) -> Any:
    """Return Stirling's series of the difference, or its derivative of that order in a."""
    total = a + y
    r, t = 1.0 / a, 1.0 / total
    if order == 0:
        return (a - 0.5) * side.log1p(y * r) + y * (side.log(total) - 1.0) + (t - r) / 12.0
    if order == 1:
        return side.log1p(y * r) + 0.5 * (r - t) + (r * r - t * t) / 12.0
    # psi_m(x) ~ (-1)^(m+1) [(m-1)! x^-m + m! x^-(m+1) / 2 + (m+1)! x^-(m+2) / 12], m = order - 1.
    m = order - 1
    first, second, third = (np.float64(special.factorial(m + i)) / d for i, d in ((-1, 1.0), (0, 2.0), (1, 12.0)))
    sign = 1.0 if m % 2 else -1.0
    here, there = (x**m * (first + x * (second + x * third)) for x in (r, t))
    return sign * (there - here)
