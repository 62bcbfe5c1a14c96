"""Zero-inflated binomial successes: no success at all with probability pi, else Binomial(n, p)."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from bayesglm.families import binomial
from bayesglm.families.binomial import (
    PROBABILITY,
    binomial_log_mass,
    log_coefficients,
    log_successes,
    none_of,
    required,
    successes_support,
)
from bayesglm.families.family import Array, Family, Numbers
from bayesglm.families.likelihood import likelihood
from bayesglm.families.reduction import Reduction, Statistics
from bayesglm.families.values import Values
from bayesglm.families.zeros import STRUCTURAL_ZERO, inflated_log_density, log_with_zeros, mixed_variance, zero_statistics

PLAIN = binomial.MEMBER


def _log_mass(
    y: TensorVariable, logit: TensorVariable, log_p: TensorVariable, log_q: TensorVariable, n: TensorVariable,
) -> TensorVariable:
    return log_with_zeros(y, logit, n * log_q, binomial_log_mass(y, log_p, log_q, n))


def _log_density(p: Values, of: Statistics) -> TensorVariable:
    log_p, log_q, n = p.log_probability("p"), p.log_complement("p"), p.trials
    rest = log_successes(of["y"], of["positive"] * n, log_p, log_q)
    return inflated_log_density(of, p.logit("zero_probability"), n * log_q, rest)


def _random(
    logit: TensorVariable, log_p: TensorVariable, log_q: TensorVariable, n: TensorVariable, size: TensorVariable,  # noqa: ARG001
) -> TensorVariable:
    each = pt.zeros_like(logit + log_p + n)
    some = pm.Bernoulli.dist(p=pt.sigmoid(-logit) + each, size=size)
    return some * pm.Binomial.dist(n=n.astype("int64"), p=pt.exp(log_p) + each, size=size)


def _draw(rng: np.random.Generator, p: Numbers, trials: Array | None) -> Array:
    shape = np.broadcast_shapes(np.shape(required(trials)), *(np.shape(each) for each in p.values()))
    some = rng.uniform(size=shape) >= p["zero_probability"]
    return some * PLAIN.draw(rng, {"p": np.broadcast_to(p["p"], shape)}, trials)


MEMBER = Family(
    name="zero_inflated_binomial",
    label="Binomial, zero-inflated",
    parameters=(PROBABILITY, STRUCTURAL_ZERO),
    support=successes_support("zero_inflated_binomial"),
    likelihood=lambda p: likelihood(
        "ZeroInflatedBinomial", _log_mass, _random,
        p.logit("zero_probability"), p.log_probability("p"), p.log_complement("p"), p.trials,
    ),
    mean=lambda p, trials: (1.0 - p["zero_probability"]) * PLAIN.mean(p, trials),
    variance=lambda p, trials: mixed_variance(p["zero_probability"], PLAIN.mean(p, trials), PLAIN.variance(p, trials)),
    draw=_draw,
    zero=lambda p, trials: p["zero_probability"] + (1.0 - p["zero_probability"]) * none_of(p, trials),
    trials=True,
    proportional=True,
    reduction=Reduction(zero_statistics, _log_density, keeps=("trials",), number=log_coefficients),
    source="Hall (2000), Biometrics 56, 1030",
    caution="Effects on p are those among units at risk; the mean share of successes is (1 - zero_probability) p. With few "
    "trials a row, inflation and p are weakly identified.",
)
