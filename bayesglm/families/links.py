"""Link functions, once for NumPy and once for PyTensor: eta = link(value), value = inverse(eta).

A parameter names its links; the model builder uses the PyTensor side, predictions the NumPy side, and a law holds them equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pytensor.tensor as pt
from numpy.typing import NDArray
from pytensor.tensor.variable import TensorVariable
from scipy import special

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Link:
    """A link function with its inverse on both sides.

    Attributes
    ----------
    name : str
        The name users write.
    forward : callable
        eta = forward(value), NumPy.
    inverse : callable
        value = inverse(eta), NumPy.
    tensor : callable
        value = tensor(eta), PyTensor.
    ratio : str
        What exp(coefficient) is called ("rate ratio", "odds ratio"), empty where it has no meaning.
    """

    name: str
    forward: Callable[[Array], Array]
    inverse: Callable[[Array], Array]
    tensor: Callable[[TensorVariable], TensorVariable]
    ratio: str = ""

    def __repr__(self) -> str:
        return f"Link({self.name!r})"


def _cloglog(p: Array) -> Array:
    return np.log(-np.log1p(-p))


def _cloglog_inverse(eta: Array) -> Array:
    return -np.expm1(-np.exp(np.minimum(eta, 700.0)))


LINKS: Mapping[str, Link] = MappingProxyType({
    link.name: link
    for link in (
        Link("identity", lambda value: value, lambda eta: eta, lambda eta: eta),
        Link("log", np.log, np.exp, pt.exp, "rate ratio"),
        Link("logit", special.logit, special.expit, pt.sigmoid, "odds ratio"),
        Link("probit", special.ndtri, special.ndtr, lambda eta: 0.5 * pt.erfc(-eta / np.sqrt(np.float64(2.0)))),
        Link("cloglog", _cloglog, _cloglog_inverse, lambda eta: -pt.expm1(-pt.exp(pt.minimum(eta, np.float64(700.0)))),
             "hazard ratio"),
    )
})
