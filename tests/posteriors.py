"""Posteriors by hand: a fit whose draws are given, so that what is made of them can be known exactly."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytensor
import pytensor.tensor as pt
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


def from_priors(model, *, draws=1000, seed=0):
    """Return a fit whose draws are those of the priors."""
    rng = np.random.default_rng(seed)
    specification = model.problem.specification
    given = {}
    for predictor in specification.predictors:
        priors, name = specification.priors.predictors[predictor.parameter], predictor.name
        beta = np.column_stack([draw(prior, rng, draws) for prior in priors.coef]) if priors.coef else np.zeros((draws, 0))
        if predictor.coef:
            given[name("beta")] = beta
        if priors.intercept is not None:
            shift = 0.0 if priors.uncentred else beta @ predictor.centre
            given[name("Intercept")] = draw(priors.intercept, rng, draws) - shift
        for block in predictor.blocks:
            theta = {each.key: hyper_draws(each, priors.hyper[each.name], rng, draws) for each in block.hyperparameters}
            given |= {name(each.name): theta[each.key] for each in block.hyperparameters}
            given[name(f"effect_{block.name}")] = state_draws(block, theta, rng, draws)
    given |= {each: draw(prior, rng, draws) for each, prior in specification.priors.constants.items()}
    return by_hand(model, given, chains=1, draws=draws)


def draw(prior, rng, size):
    """Draw from a prior by SciPy or NumPy."""
    values = {each.name: getattr(prior, each.name) for each in fields(prior)}
    return {
        "normal": lambda mu, sigma: rng.normal(mu, sigma, size),
        "half_normal": lambda sigma: np.abs(rng.normal(0.0, sigma, size)),
        "half_student_t": lambda nu, sigma: sigma * np.abs(rng.standard_t(nu, size)),
        "beta": lambda alpha, beta: rng.beta(alpha, beta, size),
        "gamma": lambda alpha, beta: rng.gamma(alpha, 1.0 / beta, size),
        "uniform": lambda lower, upper: rng.uniform(lower, upper, size),
    }[prior.kind()](**values)


def hyper_draws(each, priors, rng, draws):
    if each.key == "cor":
        (prior,) = priors
        r = 2.0 * rng.beta(prior.eta, prior.eta, draws) - 1.0  # LKJ of two effects
        return np.stack([np.stack([np.ones(draws), r], axis=-1), np.stack([r, np.ones(draws)], axis=-1)], axis=-2)
    values = np.column_stack([draw(prior, rng, draws) for prior in priors])
    return values if each.labels else values[:, 0]


def state_draws(block, theta, rng, draws):
    """Draw the states of a block: those of groups in NumPy, all others by the block's own function."""
    z = rng.standard_normal((draws, *block.innovations))
    if block.covariance is not None:
        return np.einsum("dlq,drq->dlr", z, np.linalg.cholesky(block.covariance(theta)))
    symbols = {key: pt.dscalar(key) for key in theta}
    matrix = pt.dmatrix("z")
    state = pytensor.function([matrix, *symbols.values()], block.state(matrix, symbols), mode="FAST_COMPILE")
    return np.stack([state(z[i], *(each[i] for each in theta.values())) for i in range(draws)])
