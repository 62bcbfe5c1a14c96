"""Handwritten: the ``pm.Model`` that a user of PyMC would write for a workload, in three parametrisations of one posterior.

    noncentred      eta = b0 + X beta + s z[g],                      z ~ Normal(0, 1)
    hierarchical    eta = X' beta' + u[g],                           u ~ Normal(population coefficient, s)
    zero_centred    eta = b0 + X beta + u[g],                        u ~ Normal(0, s)

Priors are the numbers in `benchmarks.prepared.Ingredients`, and a test holds that the three have our model's density. Nothing of
this package is imported here: these are the peers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from benchmarks.prepared import GroupOrWalk, Ingredients, LinearPredictor, Numbers

Form = Literal["noncentred", "hierarchical", "zero_centred"]
FORMS: tuple[Form, ...] = ("noncentred", "hierarchical", "zero_centred")
Tensor = Any


def write(parts: Ingredients, form: Form) -> pm.Model:
    """Write the model of a workload.

    Parameters
    ----------
    parts : Ingredients
        Arrays and priors.
    form : {"noncentred", "hierarchical", "zero_centred"}
        How group effects, walks and shrunken coefficients are written.
    """
    with pm.Model() as model:
        etas = {each.parameter: _linear_predictor(each, parts.arrays, form) for each in parts.predictors}
        constants = {name: _variable(name, prior) for name, prior in parts.constants.items()}
        exposure = pm.Data("log_exposure", parts.arrays["log_exposure"]) if "log_exposure" in parts.arrays else 0.0
        LIKELIHOODS[parts.family](pm.Data("y", parts.arrays["y"]), etas, constants, exposure)
    return model


def _negative_binomial(y: Tensor, etas: Mapping[str, Tensor], constants: Mapping[str, Tensor], exposure: Tensor) -> None:
    pm.NegativeBinomial("response", mu=pt.exp(etas["mu"] + exposure), alpha=constants["concentration"], observed=y)


def _poisson(y: Tensor, etas: Mapping[str, Tensor], constants: Mapping[str, Tensor], exposure: Tensor) -> None:
    pm.Poisson("response", mu=pt.exp(etas["mu"] + exposure), observed=y, **constants)


def _bernoulli(y: Tensor, etas: Mapping[str, Tensor], constants: Mapping[str, Tensor], exposure: Tensor) -> None:
    (eta,) = etas.values()
    pm.Bernoulli("response", logit_p=eta + exposure, observed=y, **constants)


def _zero_inflated_negative_binomial(
    y: Tensor, etas: Mapping[str, Tensor], constants: Mapping[str, Tensor], exposure: Tensor,
) -> None:
    """PyMC's psi is the share of rows that are not structural zeros."""
    zero = next(eta for name, eta in etas.items() if name != "mu")
    pm.ZeroInflatedNegativeBinomial("response", psi=pt.sigmoid(-zero), mu=pt.exp(etas["mu"] + exposure),
                                    alpha=constants["concentration"], observed=y)


LIKELIHOODS: Mapping[str, Callable[..., None]] = {
    "negative_binomial": _negative_binomial, "poisson": _poisson, "bernoulli": _bernoulli,
    "zero_inflated_negative_binomial": _zero_inflated_negative_binomial,
}


def _variable(name: str, prior: Numbers, **more: Any) -> Tensor:
    """Write a variable with a prior given as numbers: ``{"prior": "half_normal", "sigma": 1.0}``."""
    numbers = {key: np.float64(value) for key, value in prior.items() if key != "prior"}
    kind = "".join(part.capitalize() for part in prior["prior"].split("_"))
    return getattr(pm, kind)(name, **numbers, **more)


def _linear_predictor(parts: LinearPredictor, arrays: Mapping[str, Any], form: Form) -> Tensor:
    """Eta over rows; `moved` names the population coefficients that are the means of group effects."""
    moved = _moved(parts) if form == "hierarchical" else {}
    kept = [j for j, name in enumerate(parts.coef) if name not in moved]
    centre, scale = np.array(parts.centre), np.array(parts.scale)
    slopes = {name: _variable(f"{parts.prefix}slope_{name}", parts.priors[parts.coef.index(name)])
              for name in moved if name != "Intercept"}
    # The intercept where moved columns are 0 and the others at their means; its prior is on the one where all are at their means.
    shift = sum((centre[parts.coef.index(name)] * slope for name, slope in slopes.items()), np.float64(0.0))
    mu, sigma = np.float64(parts.intercept["mu"]), np.float64(parts.intercept["sigma"])
    walk = next((block for block in parts.blocks if block.role == "walk"), None)
    if form == "hierarchical" and walk is not None:
        level, paths = _walk_with_level(walk, parts, arrays, mu, sigma)
    else:
        level = pm.Normal(f"{parts.prefix}level", mu - shift, sigma)
        paths = 0.0 if "Intercept" in moved else level
    coefficients = dict(slopes)
    eta = paths
    if kept:
        standardised = (arrays[f"{parts.prefix}X"][:, kept] - centre[kept]) / scale[kept]
        beta = _coefficients(parts, kept, form)
        eta = eta + pm.Data(f"{parts.prefix}X", standardised) @ beta
        coefficients |= {parts.coef[j]: beta[i] / scale[j] for i, j in enumerate(kept)}
    for block in parts.blocks:
        if block is not walk or form != "hierarchical":
            eta = eta + _block(block, parts, arrays, {**slopes, "Intercept": level}, moved, form)
    _report(parts, level, coefficients, kept)
    return eta


def _report(parts: LinearPredictor, level: Tensor, coefficients: Mapping[str, Tensor], kept: list[int]) -> None:
    """Name intercept and coefficients as our model does, on the original scale of the columns."""
    if parts.coef:
        pm.Deterministic(f"{parts.prefix}beta", pt.stack([coefficients[name] for name in parts.coef]))
    pm.Deterministic(f"{parts.prefix}Intercept", level - sum(
        (np.float64(parts.centre[j]) * coefficients[parts.coef[j]] for j in kept), np.float64(0.0)))


def _moved(parts: LinearPredictor) -> dict[str, str]:
    """Return population coefficient to the block whose mean it is: the one with fewest levels, which has most data for each."""
    moved: dict[str, str] = {}
    for block in sorted((each for each in parts.blocks if each.role == "group"), key=lambda each: each.levels):
        for effect in block.effects:
            if effect == "Intercept" or effect in parts.coef:
                moved.setdefault(effect, block.name)
    return moved


def _coefficients(parts: LinearPredictor, kept: list[int], form: Form) -> Tensor:
    """Coefficients per sd of their columns."""
    name, priors = f"{parts.prefix}beta_scaled", [parts.priors[j] for j in kept]
    if priors[0]["prior"] == "horseshoe":
        return _horseshoe(name, priors[0], len(kept), form)
    scale = np.array([parts.scale[j] for j in kept])
    mu, sigma = (np.array([each[name] for each in priors]) * scale for name in ("mu", "sigma"))
    return pm.Normal(name, mu, sigma)


def _horseshoe(name: str, prior: Numbers, size: int, form: Form) -> Tensor:
    """Regularised horseshoe, Piironen and Vehtari (2017), Electronic Journal of Statistics 11, 5018."""
    tau = pm.HalfCauchy(f"{name}_tau", np.float64(prior["tau"]))
    local = pm.HalfStudentT(f"{name}_lambda", np.float64(prior["nu_local"]), np.float64(1.0), shape=size)
    half = np.float64(prior["slab_df"] / 2)
    slab = pm.InverseGamma(f"{name}_slab", alpha=half, beta=half * np.float64(prior["slab_scale"] ** 2))
    scale = tau * local * pt.sqrt(slab / (slab + (tau * local) ** 2))
    if form == "noncentred":
        return pm.Normal(f"{name}_z", np.float64(0.0), np.float64(1.0), shape=size) * scale
    return pm.Normal(name, np.float64(0.0), scale, shape=size)


def _sds(block: GroupOrWalk, parts: LinearPredictor) -> list[Tensor]:
    """Write the standard deviations of a block's effects, one variable each, reported together."""
    name = f"{parts.prefix}{block.sd}"
    if block.role == "walk":
        return [_variable(name, block.priors[0])]
    each = [_variable(f"{name}_{effect}", prior) for effect, prior in zip(block.effects, block.priors, strict=True)]
    pm.Deterministic(name, pt.stack(each))
    return each


def _block(
    block: GroupOrWalk, parts: LinearPredictor, arrays: Mapping[str, Any], population: Mapping[str, Tensor],
    moved: Mapping[str, str], form: Form,
) -> Tensor:
    """Write a block's part of eta."""
    name = f"{parts.prefix}{block.name}"
    index = pm.Data(f"{name}_index", arrays[f"{name}_index"].astype(np.int64))
    sds = _sds(block, parts)
    if block.role == "walk":
        return _walk(name, block, sds[0])[index]
    total: Tensor = np.float64(0.0)
    for q, (effect, sd) in enumerate(zip(block.effects, sds, strict=True)):
        mean = population[effect] if moved.get(effect) == block.name else np.float64(0.0)
        if form == "noncentred":
            values = sd * pm.Normal(f"{name}_z_{effect}", np.float64(0.0), np.float64(1.0), shape=block.levels)
        else:
            values = pm.Normal(f"{name}_u_{effect}", mean, sd, shape=block.levels)
        column = arrays[f"{name}_values"][:, q]
        total = total + (values[index] if (column == 1).all() else values[index] * pm.Data(f"{name}_values_{effect}", column))
    return total


def _walk(name: str, block: GroupOrWalk, sd: Tensor) -> Tensor:
    """Cumulated standard normal steps about their mean."""
    steps = pm.Normal(f"{name}_z", np.float64(0.0), np.float64(1.0), shape=block.levels - 1)
    path = pt.concatenate([pt.zeros(1), sd * pt.cumsum(steps)])
    return path - path.mean()


def _walk_with_level(
    walk: GroupOrWalk, parts: LinearPredictor, arrays: Mapping[str, Any], mu: np.float64, sigma: np.float64,
) -> tuple[Tensor, Tensor]:
    """Write level and walk as one path w, whose mean is the level: w_t - w_{t-1} ~ Normal(0, sd), mean(w) ~ Normal(mu, sigma)."""
    name = f"{parts.prefix}{walk.name}"
    (sd,) = _sds(walk, parts)
    path = pm.Flat(f"{name}_w", shape=walk.levels)
    pm.Potential(f"{name}_steps", pm.logp(pm.Normal.dist(np.float64(0.0), sd), path[1:] - path[:-1]).sum())
    pm.Potential(f"{name}_level", pm.logp(pm.Normal.dist(mu, sigma), path.mean()))
    return path.mean(), path[pm.Data(f"{name}_index", arrays[f"{name}_index"].astype(np.int64))]
