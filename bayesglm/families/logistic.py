"""Logistic: log(1 + e^t), log(1 + e^-t) and their derivatives, from one exponential of -|t| that all of them share.

Densities with log-odds in them need both logs, and their derivatives both logistic functions; written apart, each takes an
exponential of its own. Nothing overflows, and both keep their digits in their own tail.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.builders import OpFromGraph
from pytensor.tensor.variable import TensorVariable

ONE = np.float64(1.0)


def softplus(t: TensorVariable) -> TensorVariable:
    """Return log(1 + e^t); its derivatives are `logistic(t)` and the products of that with `logistic(-t)`.

    Examples
    --------
    >>> float(softplus(pt.as_tensor(np.float64(-40.0))).eval())
    4.248354255291589e-18
    """
    return _softplus(t, 1.0)


def softminus(t: TensorVariable) -> TensorVariable:
    """Return log(1 + e^-t) = softplus(-t), sharing what it can with softplus(t)."""
    return _softplus(t, -1.0)


def logistic(t: TensorVariable, sign: float = 1.0) -> TensorVariable:
    """Return 1 / (1 + e^-t), or with sign -1 its complement 1 / (1 + e^t)."""

    def pullback(
        inputs: Sequence[TensorVariable], outputs: Sequence[TensorVariable], gradients: Sequence[TensorVariable],  # noqa: ARG001
    ) -> list[TensorVariable]:
        (x,) = inputs
        return [gradients[0] * np.float64(sign) * logistic(x) * logistic(x, -1.0)]

    inner = t.type()
    tail = pt.exp(-abs(inner))
    above = inner > 0 if sign > 0 else inner < 0
    return OpFromGraph([inner], [pt.switch(above, ONE, tail) / (ONE + tail)], inline=True, pullback=pullback)(t)


def _softplus(t: TensorVariable, sign: float) -> TensorVariable:
    def pullback(
        inputs: Sequence[TensorVariable], outputs: Sequence[TensorVariable], gradients: Sequence[TensorVariable],  # noqa: ARG001
    ) -> list[TensorVariable]:
        return [gradients[0] * np.float64(sign) * logistic(inputs[0], sign)]

    inner = t.type()
    body = pt.maximum(inner if sign > 0 else -inner, np.float64(0.0)) + pt.log1p(pt.exp(-abs(inner)))
    return OpFromGraph([inner], [body], inline=True, pullback=pullback)(t)
