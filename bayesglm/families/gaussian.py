"""Gaussian responses: Normal(mu, sigma), the reference of all linear models."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from bayesglm.families.family import Array, Family, Parameter, Support
from bayesglm.families.reduction import Reduction, Rows, Statistics
from bayesglm.families.values import Values
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

HALF_LOG_TWO_PI = np.float64(0.5 * np.log(2.0 * np.pi))


def _statistics(rows: Rows) -> dict[str, Array]:
    """Return least squares through the origin on the exposure e, in each cell.

    With b = sum e y / sum e^2, sum (y - e m)^2 = sum (y - e b)^2 + (b - m)^2 sum e^2: nothing large cancels.
    """
    exposure = np.ones(len(rows.response)) if rows.exposure is None else rows.exposure
    squares = rows.total(exposure**2)
    ratio = rows.total(exposure * rows.response) / squares
    residuals = rows.response - exposure * ratio[rows.cell]
    # One step of refinement: the residuals add up to 0 to their own last digit.
    step = rows.total(exposure * residuals) / squares
    residuals = residuals - exposure * step[rows.cell]
    return {"n": rows.total(), "ratio": ratio + step, "residual": rows.total(residuals**2), "squares": squares}


def _log_density(p: Values, of: Statistics) -> TensorVariable:
    square = of["residual"] + of["squares"] * (of["ratio"] - p["mu"]) ** 2
    return -of["n"] * (p.log("sigma") + HALF_LOG_TWO_PI) - 0.5 * square / p["sigma"] ** 2


def _information(p: Values, of: Statistics) -> dict[tuple[str, str], TensorVariable]:
    sigma = {("sigma", "sigma"): 2.0 * of["n"] * pt.ones_like(p["sigma"])}  # d log sigma / d eta is 1
    return {("mu", "mu"): of["squares"] * (p.slope("mu") / p["sigma"]) ** 2, **sigma}


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
    reduction=Reduction(_statistics, _log_density),
    information=_information,
    log_concave={"mu": ("identity",)},
    source="McCullagh and Nelder (1989), Generalized Linear Models, chapter 3",
)
