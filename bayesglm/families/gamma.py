"""Gamma responses: positive, with mean mu and variance mu^2 / shape."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from bayesglm.families.counts import LARGEST, SMALLEST
from bayesglm.families.family import Array, Family, Mask, Numbers, Parameter, Support
from bayesglm.families.reduction import Reduction, Rows, Statistics
from bayesglm.families.values import Values
from bayesglm.priors import HalfStudentT, Normal

SHAPE = Parameter(
    "shape", "dispersion", ("log",), "shape: variance mu^2 / shape; larger means less spread",
    prior=HalfStudentT(nu=3.0, sigma=10.0), intercept_prior=Normal(mu=1.0, sigma=1.5), scales_with_exposure=True,
    conversions={"coefficient of variation": lambda shape: 1.0 / np.sqrt(shape)}, prefix="shape_",
)


def _faults(values: Array) -> tuple[tuple[str, Mask, str], ...]:
    return (
        ("{} negative values", values < 0, "Drop the rows or use family='gaussian'."),
        ("{} zeros", values == 0, "Drop the rows or model zeros apart; a measurement rounded to 0 needs its unit refined."),
    )


def _draw(rng: np.random.Generator, p: Numbers, trials: Array | None) -> Array:  # noqa: ARG001
    """Draw mu times a gamma with mean 1; a draw that rounds to 0 is the smallest positive number."""
    unit = rng.gamma(p["shape"] + 0.0 * np.minimum(p["mu"], LARGEST)) / p["shape"]
    return np.maximum(np.maximum(unit, SMALLEST) * p["mu"], np.finfo(np.float64).tiny)


def _rates(rows: Rows) -> Array:
    """Return responses per unit of exposure: gamma with the same shape and the mean of one unit."""
    return rows.response if rows.exposure is None else rows.response / rows.exposure


def _statistics(rows: Rows) -> dict[str, Array]:
    rates = _rates(rows)
    return {"n": rows.total(), "rate": rows.total(rates), "log_rate": rows.total(np.log(rates))}


def _log_density(p: Values, of: Statistics) -> TensorVariable:
    """Sum of shape [log(y / mu) - y / mu] + shape log shape - log Gamma(shape) - log y."""
    shape, log_mu = p["shape"], p.log("mu")
    varying = of["log_rate"] - of["n"] * log_mu - of["rate"] * pt.exp(-log_mu)
    return shape * varying + of["n"] * (shape * p.log("shape") - pt.gammaln(shape)) - of["log_rate"]


def _number(rows: Rows) -> float:
    """Return the sum of -log exposure: the density is of y, the statistics are of y / exposure."""
    return 0.0 if rows.exposure is None else -float(rows.frequency @ np.log(rows.exposure))


def _information(p: Values, of: Statistics) -> dict[tuple[str, str], TensorVariable]:
    shape = p["shape"]  # under log links: d log mu / d eta = d log shape / d eta = 1
    both = {("mu", "mu"): of["n"] * shape}
    return {**both, ("shape", "shape"): of["n"] * shape * (shape * pt.tri_gamma(shape) - 1.0)}


MEMBER = Family(
    name="gamma",
    label="Gamma",
    parameters=(
        Parameter("mu", "mean", ("log",), "mean response, per unit of exposure before exposure is multiplied in", exposed=True),
        SHAPE,
    ),
    support=Support("positive", "a gamma response needs values > 0", _faults, discrete=False),
    likelihood=lambda p: pm.Gamma.dist(alpha=p["shape"], beta=p["shape"] / p["mu"]),
    mean=lambda p, trials: p["mu"] + 0.0 * p["shape"],
    variance=lambda p, trials: np.minimum(p["mu"], LARGEST) ** 2 / p["shape"],
    draw=_draw,
    exposure=True,
    proportional=True,
    reduction=Reduction(_statistics, _log_density, number=_number),
    information=_information,
    log_concave={"mu": ("log",)},
    source="McCullagh and Nelder (1989), Generalized Linear Models, chapter 8",
)
