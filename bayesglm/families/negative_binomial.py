"""Negative binomial counts, NB2: variance mu + mu^2 / k with the concentration k."""

from __future__ import annotations

from bayesglm.families.counts import CONCENTRATION, COUNT_MEAN, NEGATIVE_BINOMIAL, count_statistics, log_factorials
from bayesglm.families.family import Family, count_support
from bayesglm.families.likelihood import likelihood
from bayesglm.families.logistic import logistic
from bayesglm.families.reduction import Reduction

MEMBER = Family(
    name="negative_binomial",
    label=NEGATIVE_BINOMIAL.label,
    parameters=(COUNT_MEAN, CONCENTRATION),
    support=count_support("negative_binomial"),
    likelihood=lambda p: likelihood(
        "NegativeBinomial", NEGATIVE_BINOMIAL.log_mass, NEGATIVE_BINOMIAL.random, p["mu"], p["concentration"],
    ),
    mean=lambda p, trials: p["mu"] + 0.0 * p["concentration"],
    variance=lambda p, trials: NEGATIVE_BINOMIAL.variance(p["mu"], p["concentration"]),
    draw=lambda rng, p, trials: NEGATIVE_BINOMIAL.draw(rng, p["mu"], p["concentration"]),
    zero=lambda p, trials: NEGATIVE_BINOMIAL.zero(p["mu"], p["concentration"]),
    exposure=True,
    proportional=True,
    reduction=Reduction(
        count_statistics, lambda p, of: NEGATIVE_BINOMIAL.log_varying(of["n"], of["y"], p), keeps=("exposure",),
        constant=("concentration",), base=NEGATIVE_BINOMIAL.log_base, number=log_factorials,
    ),
    # mu^2 / (mu + mu^2 / k) = k mu / (mu + k)
    information=lambda p, of: {
        ("mu", "mu"): of["n"] * p["concentration"] * logistic(p.log("mu") - p.log("concentration")),
    },
    log_concave={"mu": ("log",)},
    source=NEGATIVE_BINOMIAL.source,
)
