"""Models of every kind of term, and fields that are awkward: what tests of the structured core run over."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

import bayesglm as bg
from bayesglm.latent.density import Transported, reference_at
from bayesglm.latent.layout import field_of
from bayesglm.latent.likelihood import compile_likelihood
from bayesglm.latent.marginal import Optimum, centre, optimise
from bayesglm.latent.mode import Posterior

ROWS = 90
TIGHT = {"Intercept": bg.priors.Normal(1, 0.5)}
FIELDS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "a group": ("y ~ x + (1 | g)", {}),
    "correlated slopes": ("y ~ x + (1 + x + u | g)", {}),
    "two crossed groups": ("y ~ x + (1 + x || g) + (1 | h)", {}),
    "a walk": ("y ~ x + rw(t)", {}),
    "a walk of order 2": ("y ~ x + rw(t, order=2) + (1 | g)", {"priors": TIGHT}),
    "an autoregression for each level": ("y ~ x + ar(t, by=h)", {}),
    "curves": ("y ~ s(x, knots=5, by=h) + s(u, knots=5)", {}),
    "priors that are not normal": (
        "y ~ x + h + (1 | g) + rw(t)",
        {"priors": {"Intercept": bg.priors.StudentT(3, 1, 1), "common": bg.priors.Laplace(0, 1), "sd": bg.priors.Gamma(2, 2)}}),
    "a prior with long tails": (
        "y ~ x + rw(t)", {"priors": {"Intercept": bg.priors.StudentT(2, -1, 0.1), "x": bg.priors.StudentT(1, 0, 0.05)}}),
    "a level without data": ("y ~ x + (1 | k)", {"weights": "seen"}),
    "slopes without data": ("y ~ x + (1 + zero | g)", {}),
    "a constant parameter": ("y ~ x + (1 | g)", {"family": "negative_binomial", "exposure": "e"}),
    "a dispersion formula": ("y ~ x + (1 | g)", {"family": "negative_binomial", "exposure": "e", "dispersion": "~ x + (1 | h)"}),
    "two predictors that are coupled": ("y ~ x + (1 | g)", {"family": "zero_inflated_poisson", "zero": "~ x + (1 | g)"}),
}

# Parts that only the compiled core knows: levels that are tied to their walks, coefficients with scales of their own.
TIED = {
    "walks without an intercept": ("y ~ 0 + x + rw(t, by=h)", {}),
    "walks of order 2 for each level": ("y ~ x + rw(t, order=2, by=h) + (1 | g)", {}),
    "a line under a horseshoe": ("y ~ x + rw(t, order=2)", {"priors": {"common": bg.priors.Horseshoe()}}),
}
OWN = {
    "a horseshoe": ("y ~ x + u + zero + (1 | g)", {"priors": {"common": bg.priors.Horseshoe()}}),
    "shares of R2": ("y ~ h + x + u + zero + rw(t)", {"priors": dict.fromkeys(("x", "u", "zero"), bg.priors.R2D2())}),
}
EVERY: Mapping[str, tuple[str, Mapping[str, Any]]] = {**FIELDS, **TIED, **OWN}


@cache
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    g, h = rng.choice(list("abcde"), ROWS), rng.choice(list("uvw"), ROWS)
    x = rng.normal(size=ROWS).round(1)
    effect = dict(zip("abcde", rng.normal(0, 0.7, 5), strict=True))
    rate = np.exp(1 + 0.3 * x + np.array([effect[each] for each in g]))
    k = np.where(np.arange(ROWS) < 4, "unseen", g)
    return pd.DataFrame({
        "y": rng.poisson(rate), "x": x, "u": rng.normal(size=ROWS).round(1), "g": g, "h": h, "k": k,
        "t": np.concatenate([[0, 11], rng.integers(0, 12, ROWS - 2)]), "e": rng.choice([1.0, 2.0], ROWS),
        "zero": np.where(g == "a", 0.0, x), "seen": np.where(k == "unseen", 0, 1),
    })


@cache
def posterior_of(name: str) -> Posterior:
    formula, options = EVERY[name]
    given = dict(options)
    model = bg.Model(formula, table(), given.pop("family", "poisson"), **given)
    return Posterior(field_of(model.problem), compile_likelihood(model.problem))


@cache
def optimum_of(name: str) -> Optimum:
    posterior = posterior_of(name)
    return optimise(posterior, centre(posterior.field))


@cache
def transported_of(name: str) -> Transported:
    return Transported(posterior_of(name), reference_at(optimum_of(name)))


def somewhere(posterior: Posterior, seed: int = 0, spread: float = 0.5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return hyperparameters on the real line, sparse part and core at random."""
    rng = np.random.default_rng(seed)
    theta, wide, size = posterior.field.sizes
    t = centre(posterior.field) + spread * rng.normal(size=theta)
    return t, spread * rng.normal(size=size), spread * rng.normal(size=wide)
