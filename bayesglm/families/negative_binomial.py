"""Negative binomial counts, NB2: variance mu + mu^2 / k with the concentration k."""

from __future__ import annotations

import numpy as np
import pymc as pm

from bayesglm.families.family import Family, Parameter, count_support
from bayesglm.priors import HalfStudentT, Normal

CONCENTRATION = Parameter(
    "concentration", "dispersion", ("log",), "concentration k: variance mu + mu^2 / k; larger k means less spread",
    prior=HalfStudentT(nu=3.0, sigma=10.0), intercept_prior=Normal(mu=1.0, sigma=1.5), scales_with_exposure=True,
    conversions={"1/k": lambda k: 1.0 / k}, prefix="concentration_",
)

MEMBER = Family(
    name="negative_binomial",
    label="Negative binomial (NB2)",
    parameters=(
        Parameter("mu", "mean", ("log",), "mean count, per unit of exposure before exposure is multiplied in", exposed=True),
        CONCENTRATION,
    ),
    support=count_support("negative_binomial"),
    likelihood=lambda p: pm.NegativeBinomial.dist(mu=p["mu"], alpha=p["concentration"]),
    mean=lambda p, trials: p["mu"],
    variance=lambda p, trials: p["mu"] + p["mu"] ** 2 / p["concentration"],
    draw=lambda rng, p, trials: rng.poisson(p["mu"] * rng.gamma(p["concentration"] + 0 * p["mu"]) / p["concentration"]).astype(
        np.float64),
    zero=lambda p, trials: np.exp(-p["concentration"] * np.log1p(p["mu"] / p["concentration"])),
    exposure=True,
    proportional=True,
    source="Hilbe (2011), Negative Binomial Regression, equation 8.7",
)
