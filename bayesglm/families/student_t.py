"""Student t responses: mu + sigma t_nu, for outliers that a Gaussian would follow. Variance sigma^2 nu / (nu - 2), nu > 2."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from bayesglm.families.family import Array, Family, Numbers, Parameter, Support
from bayesglm.families.gamma_ratio import log_rising
from bayesglm.families.gaussian import LOCATION, SIGMA
from bayesglm.families.likelihood import likelihood
from bayesglm.families.reduction import Statistics
from bayesglm.families.values import Values
from bayesglm.priors import Gamma, Normal

NU = Parameter(
    "nu", "other", ("log",), "degrees of freedom nu: small means heavy tails, above about 30 it is nearly Gaussian",
    prior=Gamma(alpha=2.0, beta=0.1), intercept_prior=Normal(mu=2.5, sigma=1.0), prefix="nu_",
)


def _log_density(y: TensorVariable, mu: TensorVariable, sigma: TensorVariable, nu: TensorVariable) -> TensorVariable:
    """Log density with the ratio of gamma functions in a form that holds for any nu."""
    z = (y - mu) / sigma
    constant = log_rising(0.5 * nu, np.float64(0.5)) - 0.5 * pt.log(np.pi * nu) - pt.log(sigma)
    return constant - 0.5 * (nu + 1.0) * pt.log1p(z * z / nu)


def _random(mu: TensorVariable, sigma: TensorVariable, nu: TensorVariable, size: TensorVariable) -> TensorVariable:
    return pm.StudentT.dist(nu=nu, mu=mu, sigma=sigma, size=size)


def _variance(p: Numbers, trials: Array | None) -> Array:  # noqa: ARG001
    nu, sigma, _ = np.broadcast_arrays(p["nu"], p["sigma"], p["mu"])
    above = np.where(nu > 2.0, nu - 2.0, 1.0)
    return np.where(nu > 2.0, sigma**2 * (1.0 + 2.0 / above), np.inf)


def _information(p: Values, of: Statistics) -> dict[tuple[str, str], TensorVariable]:
    """Lange, Little and Taylor (1989), appendix B, with d log sigma / d eta = d log nu / d eta = 1."""
    sigma, nu = p["sigma"], p["nu"]
    half = pt.tri_gamma(0.5 * nu) - pt.tri_gamma(0.5 * (nu + 1.0))
    own = 0.25 * half - 0.5 * (nu + 5.0) / (nu * (nu + 1.0) * (nu + 3.0))
    location = {("mu", "mu"): of["n"] * (nu + 1.0) / (nu + 3.0) * (p.slope("mu") / sigma) ** 2}
    return {
        **location, ("sigma", "sigma"): of["n"] * 2.0 * nu / (nu + 3.0), ("nu", "nu"): of["n"] * nu**2 * own,
        ("sigma", "nu"): -of["n"] * 2.0 * nu / ((nu + 1.0) * (nu + 3.0)),
    }


MEMBER = Family(
    name="student_t",
    label="Student t",
    parameters=(
        replace(LOCATION, exposed=False, meaning="location: mean response where nu is above 1"),
        replace(SIGMA, meaning="scale of the response about its location, in the response's unit; not its standard deviation"),
        NU,
    ),
    support=Support("real", "a student_t response can be any number", lambda values: (), discrete=False, lower=-np.inf),
    likelihood=lambda p: likelihood("StudentT", _log_density, _random, p["mu"], p["sigma"], p["nu"]),
    mean=lambda p, trials: p["mu"] + 0.0 * (p["sigma"] + p["nu"]),
    variance=_variance,
    draw=lambda rng, p, trials: p["mu"] + p["sigma"] * rng.standard_t(p["nu"] + 0.0 * (np.clip(p["mu"], -1, 1) + p["sigma"])),
    proportional=True,
    information=_information,
    source="Lange, Little and Taylor (1989), JASA 84, 881",
    caution="The variance is infinite for nu up to 2, the mean does not exist for nu up to 1: read intervals, not moments.",
)
