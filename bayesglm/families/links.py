"""Link functions, once for NumPy and once for PyTensor: eta = link(value), value = inverse(eta).

A parameter names its links; the model builder uses the PyTensor side, predictions the NumPy side, and a law holds them equal.
A link onto the unit interval also gives log p and log(1 - p) from eta, so that nothing is lost where p rounds to 0 or 1; the
log link knows that the log of its value is eta.
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

from bayesglm.families.logistic import softminus, softplus

Array = NDArray[np.float64]

# exp(700) is the last round number before overflow; below -18, log(1 - exp(-exp(eta))) is eta - exp(eta) / 2 to the last digit.
LARGEST_EXPONENT = np.float64(700.0)
CLOGLOG_TAIL = np.float64(-18.0)
ROOT_TWO = np.sqrt(np.float64(2.0))


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
    log_value, log_complement : callable, optional
        log(value) and log(1 - value) from eta in PyTensor, finite and differentiable far out in the tails; the second only of
        the links onto the unit interval.

    Examples
    --------
    >>> LINKS["logit"].inverse(LINKS["logit"].forward(0.25)).item()
    0.25
    """

    name: str
    forward: Callable[[Array], Array]
    inverse: Callable[[Array], Array]
    tensor: Callable[[TensorVariable], TensorVariable]
    ratio: str = ""
    log_value: Callable[[TensorVariable], TensorVariable] | None = None
    log_complement: Callable[[TensorVariable], TensorVariable] | None = None

    def __repr__(self) -> str:
        return f"Link({self.name!r})"


def _exp(eta: Array) -> Array:
    with np.errstate(over="ignore"):
        return np.exp(eta)


def _cloglog(p: Array) -> Array:
    return np.log(-np.log1p(-p))


def _cloglog_inverse(eta: Array) -> Array:
    return -np.expm1(-np.exp(np.minimum(eta, LARGEST_EXPONENT)))


def _hazard(eta: TensorVariable) -> TensorVariable:
    return pt.exp(pt.minimum(eta, LARGEST_EXPONENT))


def _cloglog_log_value(eta: TensorVariable) -> TensorVariable:
    body = pt.log(-pt.expm1(-_hazard(pt.maximum(eta, CLOGLOG_TAIL))))
    return pt.switch(eta < CLOGLOG_TAIL, eta - 0.5 * _hazard(pt.minimum(eta, CLOGLOG_TAIL)), body)


def _log_normal_cdf(eta: TensorVariable) -> TensorVariable:
    """Log of the standard normal's distribution function; each branch sees only arguments that it can bear."""
    tail, body = pt.minimum(eta, np.float64(-1.0)), pt.maximum(eta, np.float64(-1.0))
    return pt.switch(
        eta < np.float64(-1.0),
        pt.log(0.5 * pt.erfcx(-tail / ROOT_TWO)) - 0.5 * tail * tail,
        pt.log1p(-0.5 * pt.erfc(body / ROOT_TWO)),
    )


LINKS: Mapping[str, Link] = MappingProxyType({
    link.name: link
    for link in (
        Link("identity", lambda value: value, lambda eta: eta, lambda eta: eta),
        # The score of a level: probabilities are the softmax of the scores, the reference level's score being 0.
        Link("softmax", lambda value: value, lambda eta: eta, lambda eta: eta, "odds ratio"),
        Link("log", np.log, _exp, pt.exp, "rate ratio", lambda eta: eta),
        Link("logit", special.logit, special.expit, pt.sigmoid, "odds ratio",
             lambda eta: -softminus(eta), lambda eta: -softplus(eta)),
        Link("probit", special.ndtri, special.ndtr, lambda eta: 0.5 * pt.erfc(-eta / ROOT_TWO), "",
             _log_normal_cdf, lambda eta: _log_normal_cdf(-eta)),
        Link("cloglog", _cloglog, _cloglog_inverse, lambda eta: -pt.expm1(-_hazard(eta)), "hazard ratio",
             _cloglog_log_value, lambda eta: -_hazard(eta)),
    )
})
