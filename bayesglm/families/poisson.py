"""Poisson counts: P(y) = mu^y exp(-mu) / y!, variance mu."""

from __future__ import annotations

import pymc as pm

from bayesglm.families.counts import COUNT_MEAN, POISSON
from bayesglm.families.family import Family, count_support

MEMBER = Family(
    name="poisson",
    label="Poisson",
    parameters=(COUNT_MEAN,),
    support=count_support("poisson"),
    likelihood=lambda p: pm.Poisson.dist(mu=p["mu"]),
    mean=lambda p, trials: p["mu"],
    variance=lambda p, trials: p["mu"],
    draw=lambda rng, p, trials: POISSON.draw(rng, p["mu"]),
    zero=lambda p, trials: POISSON.zero(p["mu"]),
    exposure=True,
    proportional=True,
    source=POISSON.source,
)
