"""Poisson counts: P(y) = mu^y exp(-mu) / y!, variance mu."""

from __future__ import annotations

import numpy as np
import pymc as pm

from bayesglm.families.family import Family, Parameter, count_support

MEMBER = Family(
    name="poisson",
    label="Poisson",
    parameters=(
        Parameter("mu", "mean", ("log",), "mean count, per unit of exposure before exposure is multiplied in", exposed=True),
    ),
    support=count_support("poisson"),
    likelihood=lambda p: pm.Poisson.dist(mu=p["mu"]),
    mean=lambda p, trials: p["mu"],
    variance=lambda p, trials: p["mu"],
    draw=lambda rng, p, trials: rng.poisson(p["mu"]).astype(np.float64),
    zero=lambda p, trials: np.exp(-p["mu"]),
    exposure=True,
    proportional=True,
    source="McCullagh and Nelder (1989), Generalized Linear Models, chapter 6",
)
