"""The structured log density is the ``pm.Model``'s where levels are tied to walks, and coefficients have scales of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import bayesglm as bg
from bayesglm.latent.layout import field_of
from bayesglm.latent.likelihood import compile_likelihood
from bayesglm.latent.mode import Point, Posterior
from bayesglm.latent.owned import Own
from bayesglm.model import build
from tests.latent.fields import OWN, TIED, table
from tests.latent.points import density_at, point_of

MIXED = {"x": bg.priors.Horseshoe(tau=0.3), "u": bg.priors.Horseshoe(tau=0.3), "h[v]": bg.priors.R2D2(mean_r2=0.3),
         "h[w]": bg.priors.R2D2(mean_r2=0.3)}
CASES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "several of both": ("y ~ x + u + h + rw(t, by=g) + rw(e)", {
        "family": "zero_inflated_poisson", "zero": "~ 0 + u + rw(t, order=2)", "priors": {**MIXED, "zero_u": bg.priors.R2D2()}}),
    **TIED, **OWN,
}


def log_jacobian(own: Own, theta: np.ndarray) -> float:
    """Return log |d variables of the model / d theta| of what scales are made of, by complex steps.

    Shares sum to 1, so that the last is no variable.
    """
    given = theta[own.begin:own.begin + len(own.scales.priors)]
    moved = given + 1e-30j * np.eye(len(given))
    parts = [each.values(moved).imag / 1e-30 for each in (*own.scales.scalars.values(), *own.scales.vectors.values())]
    return float(np.linalg.slogdet(np.concatenate(parts, axis=1)[:, :len(given)])[1])


@pytest.mark.parametrize("name", CASES)
def test_the_density_is_the_models(name: str) -> None:
    formula, options = CASES[name]
    given = dict(options)
    model = bg.Model(formula, table(), given.pop("family", "poisson"), **given)
    field, rng = field_of(model.problem), np.random.default_rng(1)
    theta, wide, size = field.sizes
    t, w, v = 0.4 * rng.standard_normal(theta), 0.3 * rng.standard_normal(size), 0.3 * rng.standard_normal(wide)
    at = Point(Posterior(field, compile_likelihood(model.problem)), t, w, v)
    pymc = build(model.problem, over="cell")
    point, density = point_of(at, pymc, at.log_joint)
    density -= sum(log_jacobian(own, at.theta) for own in field.own)
    found = density_at(pymc, [*pymc.free_RVs, *pymc.potentials], point)
    assert density == pytest.approx(found, rel=1e-8)
    # And no part of it is constant.
    assert Point(at.posterior, t + 0.01, w, v).log_joint != pytest.approx(at.log_joint, rel=1e-6)
