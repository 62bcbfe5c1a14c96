"""Negative binomial counts, NB1: variance mu (1 + delta), so the concentration is mu / delta and grows with the mean."""

from __future__ import annotations

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from bayesglm.families.counts import (
    COUNT_MEAN,
    LARGEST,
    NEGATIVE_BINOMIAL,
    ONE,
    SMALLEST,
    log_factorials,
    negative_binomial_varying,
)
from bayesglm.families.family import Family, Parameter, count_support
from bayesglm.families.gamma_ratio import log_rising
from bayesglm.families.likelihood import at_least, likelihood
from bayesglm.families.reduction import Reduction, Statistics, identical
from bayesglm.families.values import Values
from bayesglm.priors import HalfStudentT, Normal

DELTA = Parameter(
    "delta", "dispersion", ("log",), "overdispersion delta: variance mu (1 + delta); 0 is Poisson, larger means more spread",
    prior=HalfStudentT(nu=3.0, sigma=2.5), intercept_prior=Normal(mu=0.0, sigma=1.5),
    conversions={"variance/mean": lambda delta: 1.0 + delta}, prefix="delta_",
)


def _log_density(p: Values, of: Statistics) -> TensorVariable:
    """Return the log density of identical rows, without y!: with k = mu / delta, mu / k is delta and k / mu its inverse."""
    k, delta, y = at_least(p["mu"]) / p["delta"], p["delta"], of["y"]
    return of["n"] * (log_rising(k, y) + negative_binomial_varying(ONE, y, k, pt.log1p(1.0 / delta), pt.log1p(delta)))


MEMBER = Family(
    name="negative_binomial_nb1",
    label="Negative binomial (NB1)",
    parameters=(COUNT_MEAN, DELTA),
    support=count_support("negative_binomial_nb1"),
    likelihood=lambda p: likelihood(
        "NegativeBinomialNB1",
        lambda y, mu, delta: NEGATIVE_BINOMIAL.log_mass(y, mu, at_least(mu) / delta),
        lambda mu, delta, size: NEGATIVE_BINOMIAL.random(mu + pt.zeros_like(delta), at_least(mu) / delta, size=size),
        p["mu"], p["delta"],
    ),
    mean=lambda p, trials: p["mu"] + 0.0 * p["delta"],
    variance=lambda p, trials: p["mu"] * (1.0 + p["delta"]),
    draw=lambda rng, p, trials: NEGATIVE_BINOMIAL.draw(rng, p["mu"], np.clip(p["mu"], SMALLEST, LARGEST) / p["delta"]),
    zero=lambda p, trials: np.exp(-p["mu"] * (np.log1p(p["delta"]) / p["delta"])),
    exposure=True,
    proportional=True,
    reduction=Reduction(identical, _log_density, keeps=("exposure", "response"), number=log_factorials),
    source="Hilbe (2011), Negative Binomial Regression, section 10.2",
    caution="The concentration mu / delta grows with the mean, so exposure leaves delta as it is.",
)
