"""Posteriors by hand: a fit whose draws are given, so that what is made of them can be known exactly."""

from __future__ import annotations

import numpy as np
import xarray as xr

from bayesglm.facade import Fit, with_data


def by_hand(model, given=None, *, chains=2, draws=100, seed=0):
    """Return a fit with the draws in ``given`` (name to array with the samples in front), and arbitrary ones elsewhere.

    A single number is held constant over the draws.
    """
    rng = np.random.default_rng(seed)
    samples = chains * draws
    values = arbitrary(model.problem.specification, rng, samples)
    for name, value in (given or {}).items():
        if name not in values:
            raise KeyError(f"{name} is none of {sorted(values)}")
        values[name] = np.broadcast_to(np.asarray(value, dtype=np.float64), values[name].shape)
    variables = {
        name: (
            ("chain", "draw", *(f"{name}_dim_{i}" for i in range(each.ndim - 1))),
            each.reshape(chains, draws, *each.shape[1:]),
        )
        for name, each in values.items()
    }
    tree = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset(variables, {"chain": np.arange(chains), "draw": np.arange(draws)}),
            "sample_stats": xr.Dataset({"diverging": (("chain", "draw"), np.zeros((chains, draws), bool))}),
        }
    )
    return Fit(
        specification=model.problem.specification,
        schema=model.schema,
        audit=model.audit,
        draws=with_data(tree, model.problem),
        problem=model.problem,
        engine="hand",
        exact=True,
        settings={},
        seed=seed,
    )


def arbitrary(specification, rng, samples):
    """Return draws of every variable that predictions read."""
    values = {}
    for predictor in specification.predictors:
        if predictor.intercept:
            values[predictor.name("Intercept")] = rng.normal(0.5, 0.2, samples)
        if predictor.coef:
            values[predictor.name("beta")] = rng.normal(0.0, 0.2, (samples, len(predictor.coef)))
        for block in predictor.blocks:
            for each in block.hyperparameters:
                values[predictor.name(each.name)] = hyperparameter(each, rng, samples)
            shape = (samples, len(block.levels), len(block.effects))
            values[predictor.name(f"effect_{block.name}")] = rng.normal(0.0, 0.4, shape)
    for parameter in specification.constant():
        unit = parameter.prior.support == "unit"
        values[parameter.name] = rng.uniform(0.2, 0.4, samples) if unit else rng.uniform(1.5, 3.0, samples)
    return values


def hyperparameter(each, rng, samples):
    size = len(each.labels)
    if each.key == "cor":
        r = np.full((samples, size, size), 0.4)
        r[:, np.arange(size), np.arange(size)] = 1.0
        return r
    if each.key == "rho":
        return rng.uniform(0.2, 0.8, (samples, size) if size else samples)
    return rng.uniform(0.3, 0.6, (samples, size) if size else samples)
