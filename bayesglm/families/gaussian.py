"""Gaussian responses: Normal(mu, sigma), the reference of all linear models."""

from __future__ import annotations

import numpy as np
import pymc as pm

from bayesglm.families.family import Family, Parameter, Support
from bayesglm.priors import HalfStudentT, Normal

# Both in the response's unit, so their default priors are in units of its standard deviation.
LOCATION = Parameter(
    "mu", "mean", ("identity", "log"), "mean response, per unit of exposure before exposure is multiplied in", exposed=True,
    scaled_by_response=True,
)
SIGMA = Parameter(
    "sigma", "dispersion", ("log",), "standard deviation of the response about its mean, in the response's unit",
    prior=HalfStudentT(nu=3.0, sigma=1.0), intercept_prior=Normal(0.0, 1.0), prefix="sigma_", scaled_by_response=True,
)

MEMBER = Family(
    name="gaussian",
    label="Gaussian",
    parameters=(LOCATION, SIGMA),
    support=Support("real", "a gaussian response can be any number", lambda values: (), discrete=False, lower=-np.inf),
    likelihood=lambda p: pm.Normal.dist(mu=p["mu"], sigma=p["sigma"]),
    mean=lambda p, trials: p["mu"] + 0.0 * p["sigma"],
    variance=lambda p, trials: p["sigma"] ** 2 + 0.0 * np.clip(p["mu"], -1.0, 1.0),
    draw=lambda rng, p, trials: rng.normal(p["mu"], p["sigma"]),
    exposure=True,
    proportional=True,
    source="McCullagh and Nelder (1989), Generalized Linear Models, chapter 3",
)
