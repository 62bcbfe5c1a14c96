"""Beta-binomial successes out of trials: the row's probability is Beta(p phi, (1 - p) phi), with the precision phi.

The variance is n p (1 - p) (1 + (n - 1) rho) with the intraclass correlation rho = 1 / (1 + phi).
"""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from bayesglm.families.binomial import (
    PROBABILITY,
    draw_successes,
    log_choose,
    log_coefficients,
    required,
    successes_support,
)
from bayesglm.families.counts import SMALLEST
from bayesglm.families.family import Array, Family, Numbers, Parameter
from bayesglm.families.gamma_ratio import log_rising, log_rising_numbers
from bayesglm.families.likelihood import at_least, likelihood
from bayesglm.families.reduction import Reduction, Statistics, identical
from bayesglm.families.values import Values
from bayesglm.priors import HalfStudentT, Normal

PHI = Parameter(
    "phi", "dispersion", ("log",), "precision phi: p varies as Beta(p phi, (1 - p) phi); larger phi means less spread",
    prior=HalfStudentT(nu=3.0, sigma=30.0), intercept_prior=Normal(mu=2.5, sigma=1.5),
    conversions={"intraclass correlation": lambda phi: 1.0 / (1.0 + phi)}, prefix="phi_",
)


def _log_mass(
    y: TensorVariable, log_p: TensorVariable, log_q: TensorVariable, phi: TensorVariable, n: TensorVariable,
) -> TensorVariable:
    """Log of C(n, y) B(y + alpha, n - y + beta) / B(alpha, beta), with rising factorials for the ratio."""
    return log_choose(n, y) + _log_ratio(y, pt.maximum(n - y, np.float64(0.0)), log_p, log_q, phi, n)


def _log_ratio(
    y: TensorVariable, failures: TensorVariable, log_p: TensorVariable, log_q: TensorVariable, phi: TensorVariable,
    n: TensorVariable,
) -> TensorVariable:
    alpha, beta = at_least(phi * pt.exp(log_p)), at_least(phi * pt.exp(log_q))
    return log_rising(alpha, y) + log_rising(beta, failures) - log_rising(phi, n)


def _log_density(p: Values, of: Statistics) -> TensorVariable:
    """Return the log density of identical rows, without their binomial coefficient."""
    y, n = of["y"], p.trials
    return of["n"] * _log_ratio(y, n - y, p.log_probability("p"), p.log_complement("p"), p["phi"], n)


def _random(
    log_p: TensorVariable, log_q: TensorVariable, phi: TensorVariable, n: TensorVariable, size: TensorVariable,
) -> TensorVariable:
    each = pt.zeros_like(n)
    probability = pm.Beta.dist(at_least(phi * pt.exp(log_p)) + each, at_least(phi * pt.exp(log_q)) + each, size=size)
    return pm.Binomial.dist(n=n.astype("int64"), p=probability, size=size)


def _shapes(p: Numbers) -> tuple[Array, Array]:
    return np.maximum(p["p"] * p["phi"], SMALLEST), np.maximum((1.0 - p["p"]) * p["phi"], SMALLEST)


def _variance(p: Numbers, trials: Array | None) -> Array:
    n = required(trials)
    return n * p["p"] * (1.0 - p["p"]) * (1.0 + (n - 1.0) / (1.0 + p["phi"]))


def _draw(rng: np.random.Generator, p: Numbers, trials: Array | None) -> Array:
    alpha, beta = np.broadcast_arrays(*_shapes(p), 0.0 * required(trials))[:2]
    return draw_successes(rng, required(trials), rng.beta(alpha, beta))


def _zero(p: Numbers, trials: Array | None) -> Array:
    _, beta = _shapes(p)
    zero: Array = np.exp(log_rising_numbers(beta, required(trials)) - log_rising_numbers(p["phi"], required(trials)))
    return zero


MEMBER = Family(
    name="beta_binomial",
    label="Beta-binomial",
    parameters=(PROBABILITY, PHI),
    support=successes_support("beta_binomial"),
    likelihood=lambda p: likelihood(
        "BetaBinomial", _log_mass, _random, p.log_probability("p"), p.log_complement("p"), p["phi"], p.trials,
    ),
    mean=lambda p, trials: required(trials) * p["p"] + 0.0 * p["phi"],
    variance=_variance,
    draw=_draw,
    zero=_zero,
    trials=True,
    proportional=True,
    reduction=Reduction(identical, _log_density, keeps=("trials", "response"), number=log_coefficients),
    source="Williams (1982), Applied Statistics 31, 144",
    caution="With one trial a row the precision is not identified.",
)
