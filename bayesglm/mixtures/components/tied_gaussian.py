"""Gaussians that share one full covariance: components differ by their means.

Lambda ~ Wishart(psi^-1, nu),   mu_k | Lambda ~ Normal(mean_k, (kappa_k Lambda)^-1),   x ~ Normal(mu_k, Lambda^-1)

The posterior is of the same form, with the scatter about all means in one Wishart. A component on few rows cannot collapse.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bayesglm.mixtures.component import Array, Component, Drawn, Expected, Layout, Params, filled
from bayesglm.mixtures.components.gaussian import (
    check_spread,
    describe,
    divergences,
    draw_roots,
    draws_given,
    exported,
    natural,
    posterior_of,
    predictive,
    products,
    scatter_of,
    simulate,
    symbolic,
    wishart_prior,
    with_missing,
)


def _update(prior: Params, counts: Array, sums: Array) -> Params:
    mean, kappa, scatter = posterior_of(prior, counts, sums)
    psi = prior["psi"] + scatter.sum(axis=0)
    return {"mean": mean, "kappa": kappa, "nu": np.full(len(counts), prior["nu"][0] + counts.sum()),
            "psi": np.repeat(psi, len(counts), axis=0)}


def _expected(prior: Params, params: Params) -> Expected:
    scatter = scatter_of(params)
    of_mean, of_precision = divergences(prior, params, scatter)
    return Expected(*natural(params, scatter), np.asarray(of_mean + of_precision / len(of_precision)))


def _draw(params: Params, layout: Layout, size: int, rng: np.random.Generator) -> tuple[Drawn, ...]:
    root = draw_roots(params["nu"][:1], params["psi"][:1], size, rng)
    return draws_given(params, np.repeat(root, len(params["mean"]), axis=1), layout, rng)


_WHOLE = Component(
    name="tied_gaussian", label="Gaussian with one full covariance for all components", kinds=("numeric",), joint=True,
    scaled=True, check=check_spread, prior=wishart_prior, coordinates=lambda data, levels: filled(data), features=products,
    base=lambda data: np.zeros(len(data)), update=_update, expected=_expected, predictive=predictive,
    simulate=simulate, draw=_draw, describe=describe,
    parameters=lambda size, levels, components: components * size + size * (size + 1) // 2,
    source="Gelman et al. (2013), Bayesian Data Analysis, section 3.6", exported=exported, shared=True,
    symbolic=symbolic(tied=True),
)
MEMBER = replace(_WHOLE, missing=with_missing(_WHOLE))
