"""Bernoulli outcomes: 1 with probability p, else 0."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from bayesglm.families.binomial import PROBABILITY, bernoulli_information, draw_successes, log_successes
from bayesglm.families.counts import count_statistics
from bayesglm.families.family import Array, Family, Mask, Support
from bayesglm.families.likelihood import likelihood
from bayesglm.families.reduction import Reduction


def _faults(values: Array) -> tuple[tuple[str, Mask, str], ...]:
    other = (values != 0) & (values != 1)
    proportion = (values > 0) & (values < 1)
    return (
        ("{} proportions between 0 and 1", proportion, "A proportion needs successes | trials(n) with family='binomial'."),
        ("{} negative values", values < 0, "Code failure as 0 and success as 1."),
        ("{} values that are neither 0 nor 1", other & (values > 1),
         "Code failure as 0 and success as 1; counts need family='poisson' or successes | trials(n)."),
    )


def _log_mass(y: TensorVariable, log_p: TensorVariable, log_q: TensorVariable) -> TensorVariable:
    return pt.switch(pt.or_(pt.eq(y, 0), pt.eq(y, 1)), pt.switch(y > 0, log_p, log_q), -np.inf)


MEMBER = Family(
    name="bernoulli",
    label="Bernoulli",
    parameters=(PROBABILITY,),
    support=Support("binary", "a bernoulli response needs 0 or 1", _faults, upper=1.0),
    likelihood=lambda p: likelihood(
        "Bernoulli", _log_mass, lambda log_p, log_q, size: pm.Bernoulli.dist(p=pt.exp(log_p), size=size),
        p.log_probability("p"), p.log_complement("p"),
    ),
    mean=lambda p, trials: p["p"],
    variance=lambda p, trials: p["p"] * (1.0 - p["p"]),
    draw=lambda rng, p, trials: draw_successes(rng, np.ones(()), p["p"]),
    zero=lambda p, trials: 1.0 - p["p"],
    proportional=True,
    reduction=Reduction(
        count_statistics, lambda p, of: log_successes(of["y"], of["n"], p.log_probability("p"), p.log_complement("p")),
    ),
    information=lambda p, of: {("p", "p"): of["n"] * bernoulli_information(p)},
    log_concave={"p": ("logit", "probit", "cloglog")},
    source="McCullagh and Nelder (1989), Generalized Linear Models, chapter 4",
)
