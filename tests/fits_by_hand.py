"""Fits made by hand: a model of simulated data with draws around the truth, so that no check waits for a sampler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

import bayesglm as bg
from bayesglm.fitted import Fitted

CHAINS, DRAWS = 4, 400


def independent_stats(rng: np.random.Generator) -> xr.Dataset:
    """Return the sampler statistics of a run without trouble."""
    shape = (CHAINS, DRAWS)
    return xr.Dataset(
        {"diverging": (("chain", "draw"), np.zeros(shape, bool)), "energy": (("chain", "draw"), rng.normal(size=shape)),
         "reached_max_treedepth": (("chain", "draw"), np.zeros(shape, bool))},
        {"chain": np.arange(CHAINS), "draw": np.arange(DRAWS)},
    )


def made(model: bg.Model, truth: Mapping[str, Any], *, sd: float = 0.02, seed: int = 0) -> Fitted:
    """Return a fit whose draws lie around given values: additive for effects, by a factor for positive constants."""
    rng, specification = np.random.default_rng(seed), model.problem.specification
    positive = {each.name for each in specification.constant()}
    dims: dict[str, tuple[str, ...]] = {}
    coords: dict[str, list[str]] = {}
    for predictor in specification.predictors:
        dims[predictor.name("beta")] = (predictor.name("coef"),)
        coords[predictor.name("coef")] = list(predictor.coef)
        for block in predictor.blocks:
            dims[predictor.name(f"effect_{block.name}")] = (block.level_dim, block.effect_dim)
            coords |= {block.level_dim: list(block.levels), block.effect_dim: list(block.effects)}
            for each in block.hyperparameters:
                positive.add(predictor.name(each.name))
                dims[predictor.name(each.name)] = (block.effect_dim,)
    variables, used = {}, set()
    for name, value in truth.items():
        centre = np.asarray(value, dtype=np.float64)
        z = rng.normal(0.0, sd, (CHAINS, DRAWS, *centre.shape))
        values = centre * np.exp(z) if name in positive else centre + z
        variables[name] = (("chain", "draw", *dims.get(name, ())), values)
        used |= set(dims.get(name, ()))
    posterior = xr.Dataset(variables, {"chain": np.arange(CHAINS), "draw": np.arange(DRAWS),
                                       **{dim: coords[dim] for dim in used}})
    draws = xr.DataTree.from_dict({"posterior": posterior, "sample_stats": independent_stats(rng)})
    return Fitted(
        specification=specification, schema=model.schema, audit=model.audit, draws=draws, problem=model.problem,
        engine="by hand", exact=True, settings={}, seed=seed,
    )


def counts(rows: int = 400, *, k: float = np.inf, zeros: float = 0.0, mu: float = 5.0, seed: int = 1) -> dict[str, Any]:
    """Return counts with the mean mu exp(0.3 x), concentration k and a share of extra zeros, with zones and times."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    mean = mu * np.exp(0.3 * x) * (rng.gamma(k, 1 / k, rows) if np.isfinite(k) else 1.0)
    y = rng.poisson(mean) * (rng.uniform(size=rows) >= zeros)
    return {"y": y, "x": x, "zone": np.array(["a", "b", "c", "d"])[rng.integers(0, 4, rows)], "t": np.arange(rows)}
