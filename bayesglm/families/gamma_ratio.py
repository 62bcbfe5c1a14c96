"""Ratios of gamma functions that keep their digits: log Gamma(a + y) - log Gamma(a) for any a > 0, y >= 0, and its derivatives.

The difference of two log gammas loses what they share: at a = 1e9, seven digits. A whole number y up to some size is a product,

    log a (a + 1) ... (a + y - 1),      with derivatives (-1)^(m-1) (m-1)! sum_j (a + j)^-m,

and elsewhere Stirling's series says the same with what is shared cancelled on paper: with r = 1 / a and t = 1 / (a + y),

    (a - 1/2) log(1 + y r) + y [log(a + y) - 1] + sum_k B_2k / (2k (2k - 1)) (t^(2k-1) - r^(2k-1)),

after both arguments have been brought above 16 by the product. Each derivative is one node of PyTensor's graph and one
compiled kernel, which its disk cache keeps like its own. Source: Abramowitz and Stegun (1964), 6.1.40, 6.3.18, 6.4.12.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha256
from typing import Any

import numpy as np
from pytensor.link.numba.dispatch import basic as numba_basic
from pytensor.scalar.basic import BinaryScalarOp, upgrade_to_float
from pytensor.scalar.math import polygamma, psi
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.variable import TensorVariable
from scipy import special

from bayesglm.families.polygamma import compiled

# A change of the kernels needs a new version, or the disk cache goes on with the old ones.
VERSION = 1
# Whole numbers up to this are products; more factors take longer than the series.
MOST_FACTORS = 16.0
# The series is taken above this; the first term that it leaves out is below 1e-16 there.
SERIES = 16.0
# Where NumPy's two forms meet: the difference has an error of 1e-11 there, the series of 1e-14.
LARGE = np.float64(1e4)

# B_2k / (2k (2k - 1)) of log Gamma, and B_2k of its second derivative, k = 1, 2, ...
LOG_TERMS = (1.0 / 12.0, -1.0 / 360.0, 1.0 / 1260.0, -1.0 / 1680.0, 1.0 / 1188.0, -691.0 / 360360.0)
BERNOULLI = (1.0 / 6.0, -1.0 / 30.0, 1.0 / 42.0, -1.0 / 30.0, 5.0 / 66.0, -691.0 / 2730.0, 7.0 / 6.0)


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
    >>> import pytensor.tensor as pt
    >>> float(log_rising(pt.as_tensor(np.float64(2.0)), pt.as_tensor(np.float64(3.0))).eval())  # log(2 * 3 * 4)
    3.178053830347945...
    """
    return Elemwise(LogRising(0))(a, y)


@compiled
def _log_product(a: float, factors: float) -> float:
    """Log of a (a + 1) ... with so many factors; each product stays far from overflow."""
    total, product, j = 0.0, 1.0, 0.0
    while j < factors:
        product *= a + j
        if product > 1e280 or product < 1e-200:
            total += math.log(product)
            product = 1.0
        j += 1.0
    return total + math.log(product)


@compiled
def _log_series(x: float) -> float:
    r = 1.0 / x
    s = r * r
    return r * (LOG_TERMS[0] + s * (LOG_TERMS[1] + s * (LOG_TERMS[2] + s * (LOG_TERMS[3] + s * (
        LOG_TERMS[4] + s * LOG_TERMS[5])))))


@compiled
def rising(a: float, y: float) -> float:
    """Return log Gamma(a + y) - log Gamma(a)."""
    if y <= MOST_FACTORS and y == math.floor(y):
        return _log_product(a, y)
    total = a + y
    up, down = max(0.0, math.ceil(SERIES - total)), max(0.0, math.ceil(SERIES - a))
    shifts = (_log_product(a, down) if down > 0.0 else 0.0) - (_log_product(total, up) if up > 0.0 else 0.0)
    b, apart = a + down, y + up - down
    end = b + apart
    return shifts + (b - 0.5) * math.log1p(apart / b) + apart * (math.log(end) - 1.0) + _log_series(end) - _log_series(b)


@cache
def derivative(order: int) -> Callable[[float, float], float]:
    """Return the compiled derivative of that order in a, from 1 on."""
    power = order
    factorial = math.gamma(order)  # (order - 1)!
    sign = 1.0 if order % 2 == 1 else -1.0
    # psi_n(x) = (-1)^(n+1) [(n-1)! x^-n + n! x^-(n+1) / 2 + sum_k B_2k (2k+n-1)! / (2k)! x^-(2k+n)], n = order - 1.
    n = order - 1
    leading = 0.0 if n == 0 else math.gamma(n)
    half = 0.5 * math.gamma(n + 1.0)
    terms = tuple(b * math.gamma(2.0 * k + n) / math.gamma(2.0 * k + 1.0) for k, b in enumerate(BERNOULLI, start=1))
    t_1, t_2, t_3, t_4, t_5, t_6, t_7 = terms

    @compiled
    def inverse_powers(x: float, factors: float) -> float:
        """Sum of (x + j)^-order."""
        total, j = 0.0, 0.0
        while j < factors:
            r = 1.0 / (x + j)
            each = r
            for _ in range(power - 1):
                each *= r
            total += each
            j += 1.0
        return total

    @compiled
    def series(x: float) -> float:
        """Asymptotic series of psi_n up to its sign, without the logarithm of psi_0."""
        r = 1.0 / x
        s = r * r
        outer = 1.0
        for _ in range(n):
            outer *= r
        tail = s * (t_1 + s * (t_2 + s * (t_3 + s * (t_4 + s * (t_5 + s * (t_6 + s * t_7))))))
        return outer * (leading + half * r + tail)

    @compiled
    def kernel(a: float, y: float) -> float:
        if y <= MOST_FACTORS and y == math.floor(y):
            return sign * factorial * inverse_powers(a, y)
        total = a + y
        up, down = max(0.0, math.ceil(SERIES - total)), max(0.0, math.ceil(SERIES - a))
        shifts = sign * factorial * (inverse_powers(a, down) - inverse_powers(total, up))
        b, apart = a + down, y + up - down
        logarithm = math.log1p(apart / b) if n == 0 else 0.0
        return shifts + logarithm - sign * (series(b + apart) - series(b))

    return kernel


class LogRising(BinaryScalarOp):  # type: ignore[misc]  # PyTensor gives no types
    """log Gamma(a + y) - log Gamma(a), or its derivative of some order in a, in PyTensor's graph.

    Parameters
    ----------
    order : int
        How often it is differentiated in a.
    """

    def __init__(self, order: int) -> None:
        self.order = order
        super().__init__(upgrade_to_float, name=f"log_rising_{order}")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other)["order"] == self.order

    def __hash__(self) -> int:
        return hash((LogRising, self.order))

    @property
    def kernel(self) -> Callable[[float, float], float]:
        """The compiled function."""
        return rising if self.order == 0 else derivative(self.order)

    def impl(self, a: float, y: float) -> float:
        """Evaluate where nothing is compiled: the same kernel as plain Python."""
        plain: float = _as_python(self.order)(float(a), float(y))
        return plain

    def pullback(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> list[Any]:  # noqa: ARG002
        """Return the gradient in a, which is the next order, and in y."""
        (a, y), (gradient,) = inputs, gradients
        in_y = psi(a + y) if self.order == 0 else polygamma(self.order, a + y)
        return [gradient * LogRising(self.order + 1)(a, y), gradient * in_y]


def _as_python(order: int) -> Callable[[float, float], float]:
    """Return the kernel for interpreted graphs, from SciPy's functions, which need no compiling."""
    return lambda a, y: float(_ratio_numbers(order, a, y))


def _ratio_numbers(order: int, a: Any, y: Any) -> Any:
    """Return the difference of gamma functions, or from large arguments on Stirling's series of it."""
    small, large = np.minimum(a, LARGE), np.maximum(a, LARGE)
    functions = (special.gammaln, special.psi)
    each = functions[order] if order < len(functions) else lambda x: special.polygamma(order - 1, x)
    return np.where(np.less(a, LARGE), each(small + y) - each(small), _series(order, large, y))


def _series(order: int, a: Any, y: Any) -> Any:
    """Return Stirling's series of the difference, or its derivative of that order in a; arguments are large."""
    total = a + y
    r, t = 1.0 / a, 1.0 / total
    if order == 0:
        return (a - 0.5) * np.log1p(y * r) + y * (np.log(total) - 1.0) + (t - r) / 12.0
    if order == 1:
        return np.log1p(y * r) + 0.5 * (r - t) + (r * r - t * t) / 12.0
    m = order - 1
    first, second, third = (special.factorial(m + i) / d for i, d in ((-1, 1.0), (0, 2.0), (1, 12.0)))
    here, there = (x**m * (first + x * (second + x * third)) for x in (r, t))
    return (1.0 if m % 2 else -1.0) * (there - here)


def log_rising_numbers(a: Any, y: Any) -> Any:
    """Return the same of NumPy arrays.

    Examples
    --------
    >>> round(float(log_rising_numbers(1e12, 2.0) - 2.0 * np.log(1e12)), 6)
    0.0
    """
    return _ratio_numbers(0, a, y)


def compiled_log_rising(op: LogRising, node: Any = None, **kwargs: object) -> tuple[Callable[..., float], str]:  # noqa: ARG001
    """Tell PyTensor's numba backend how to run the ratio."""
    return op.kernel, sha256(f"bayesglm log_rising {op.order} {VERSION}".encode()).hexdigest()


numba_basic.register_funcify_and_cache_key(LogRising)(compiled_log_rising)
