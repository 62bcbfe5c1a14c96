"""Compiled polygamma functions for PyTensor's numba backend.

Second derivatives of densities with a gamma function of a parameter contain the trigamma function, third ones psi''. PyTensor
runs both through Python objects when it compiles with numba; importing this module registers compiled kernels in their place,
which its disk cache keeps like its own. Registration changes speed, not values (orders from 2 on: for x >= 0).

For n >= 1 and x > 0 (n = 0 has the logarithm's series), with the shift x -> x + 1 up to 8 or 14 and then the asymptotic series,

    psi_n(x) = (-1)^(n+1) n! sum_{j>=0} (x + j)^-(n+1)
             ~ (-1)^(n+1) [(n-1)!/x^n + n!/(2 x^(n+1)) + sum_k B_2k (2k+n-1)!/((2k)! x^(2k+n))].

Source: Abramowitz and Stegun (1964), 6.4.6 and 6.4.11; below zero by reflection, 6.3.7 and 6.4.7.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from hashlib import sha256
from typing import Any, cast

from pytensor.link.numba.dispatch import basic as numba_basic
from pytensor.scalar.math import PolyGamma, TriGamma

# A change of the kernels needs a new version, or the disk cache goes on with the old ones.
VERSION = 2
SHIFT = 14.0


def compiled[F: Callable[..., float]](kernel: F) -> F:
    """Compile a kernel as PyTensor compiles its own."""
    return cast("F", numba_basic.numba_njit(fastmath=False)(kernel))


@compiled
def positive_trigamma(x: float) -> float:
    """Trigamma for x > 0; two steps of the shift share a division."""
    total = 0.0
    while x < 8.0:
        next_x = x + 1.0
        both = x * next_x
        total += (x * x + next_x * next_x) / (both * both)
        x += 2.0
    r = 1.0 / (x * x)
    series = r * (1.0 / 6.0 + r * (-1.0 / 30.0 + r * (1.0 / 42.0 + r * (-1.0 / 30.0 + r * (
        5.0 / 66.0 + r * (-691.0 / 2730.0 + r * (7.0 / 6.0 + r * (-3617.0 / 510.0 + r * (43867.0 / 798.0)))))))))
    return total + (1.0 + 0.5 / x + series) / x


@compiled
def trigamma(x: float) -> float:
    """Trigamma on the real line: infinite at 0, -1, -2, ..."""
    if x > 0.0:
        return positive_trigamma(x)
    if x == math.floor(x):
        return math.inf
    sine = math.sin(math.pi * (x - math.floor(x)))
    return (math.pi / sine) ** 2 - positive_trigamma(1.0 - x)


@compiled
def digamma(x: float) -> float:
    """Digamma, which is psi_0."""
    if x <= 0.0 and x == math.floor(x):
        return -math.inf if x == 0.0 else math.nan
    total = 0.0
    if x < 0.0:
        total = -math.pi / math.tan(math.pi * (x - math.floor(x)))
        x = 1.0 - x
    while x < SHIFT:
        total -= 1.0 / x
        x += 1.0
    r = 1.0 / (x * x)
    series = r * (1.0 / 12.0 - r * (1.0 / 120.0 - r * (1.0 / 252.0 - r * (1.0 / 240.0 - r * (
        1.0 / 132.0 - r * (691.0 / 32760.0 - r / 12.0))))))
    return total + math.log(x) - 0.5 / x - series


@compiled
def polygamma(n: int, x: float) -> float:
    """psi_n for x > 0; below, only the orders 0 and 1 are known."""
    if n == 0:
        return digamma(x)
    if n == 1:
        return trigamma(x)
    if n < 0 or not x > 0.0:
        return math.nan if x != 0.0 or n < 0 else (math.inf if n % 2 == 1 else -math.inf)
    factorial = math.gamma(n + 1.0)
    near = 0.0
    while x < SHIFT + n:
        near += math.pow(x, -(n + 1.0))
        x += 1.0
    r = 1.0 / (x * x)
    # t_k = (2k+n-1)!/((2k)! x^(2k)), from t_0 = (n-1)!
    t = factorial / n
    series = t + 0.5 * factorial / x
    k = 0
    for bernoulli in (1.0 / 6.0, -1.0 / 30.0, 1.0 / 42.0, -1.0 / 30.0, 5.0 / 66.0, -691.0 / 2730.0, 7.0 / 6.0,
                      -3617.0 / 510.0):
        k += 2
        t *= (k + n - 2.0) * (k + n - 1.0) / ((k - 1.0) * k) * r
        series += bernoulli * t
    total = factorial * near + series * math.pow(x, -float(n))
    return total if n % 2 == 1 else -total


def _key(op: object) -> str:
    return sha256(f"bayesglm {type(op)} {VERSION}".encode()).hexdigest()


def compiled_trigamma(op: TriGamma, node: Any = None, **kwargs: object) -> tuple[Callable[..., float], str]:  # noqa: ARG001
    """Tell PyTensor's numba backend how to run the trigamma function."""
    return trigamma, _key(op)


def compiled_polygamma(op: PolyGamma, node: Any = None, **kwargs: object) -> tuple[Callable[..., float], str]:  # noqa: ARG001
    """Tell PyTensor's numba backend how to run the polygamma functions."""
    return polygamma, _key(op)


numba_basic.register_funcify_and_cache_key(TriGamma)(compiled_trigamma)
numba_basic.register_funcify_and_cache_key(PolyGamma)(compiled_polygamma)
