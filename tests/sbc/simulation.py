"""Simulation: parameters from the prior, responses from them, posteriors of these, and the rank of each parameter in its own.

If the sampler, the density and the draws of a family belong together, every rank is uniform. Source: Talts, Betancourt, Simpson,
Vehtari and Gelman (2018), arXiv:1804.06788; with the log likelihood as a test quantity: Modrak et al. (2023), Bayesian Analysis.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import pytensor.tensor as pt
from numpy.typing import NDArray
from pytensor.graph.replace import vectorize_graph
from scipy import stats

import bayesglm as bg
from bayesglm.engines.nuts import Nuts
from bayesglm.families.family import Family
from bayesglm.formulation import find_family
from bayesglm.priors import Beta, Gamma, HalfNormal, Normal, Prior
from bayesglm.specification import Problem

Array = NDArray[np.float64]

REPLICATES = 200
THIN = 4
RANKS = 100  # a rank is one of 0 to RANKS - 1
BINS = 10
NUTS = Nuts(draws=THIN * (RANKS - 1), chains=1, cores=1)
ROWS = 25

# Tight enough that simulated tables look like tables, wide enough that a fault shows.
INTERCEPT = {"log": Normal(1.0, 0.5), "identity": Normal(0.0, 1.0)}
CONSTANT: Mapping[str, Prior] = {"positive": Gamma(4.0, 2.0), "unit": Beta(2.0, 3.0)}
EXAMPLES = {"count": 1.0, "binary": 1.0, "successes": 1.0, "real": 0.5, "positive": 0.5}


@dataclass(frozen=True, slots=True, eq=False)
class Simulator:
    """A model and what one replicate needs of it.

    Attributes
    ----------
    problem : Problem
        What is fitted, with another response for each replicate.
    parameters : mapping
        Prior draws of every free variable and deterministic, draws in front.
    responses : array, shape (replicate, obs)
        Responses drawn from them.
    quantities : mapping
        Name of a ranked quantity to the variable and position that hold it.
    log_likelihood : callable
        ``log_likelihood(response, parameters)``, one number for each draw.
    """

    problem: Problem
    parameters: Mapping[str, Array]
    responses: Array
    quantities: Mapping[str, tuple[str, tuple[int, ...]]]
    log_likelihood: Callable[[Array, Mapping[str, Array]], Array]


@dataclass(frozen=True, slots=True, eq=False)
class Ranks:
    """What a simulation found.

    Attributes
    ----------
    ranks : mapping
        Name of a quantity to its ranks, shape (replicate,).
    seconds : float
        How long it took.
    """

    ranks: Mapping[str, NDArray[np.int64]]
    seconds: float


def priors_of(family: Family) -> dict[str, Prior]:
    """Return a prior for every parameter of the model of `model_of`."""
    given: dict[str, Prior] = {}
    for each in family.parameters:
        if each.prior is not None:
            given[each.name] = CONSTANT[each.prior.support]
            continue
        given |= {f"{each.prefix}Intercept": INTERCEPT.get(each.links[0], Normal(0.0, 1.0)),
                  f"{each.prefix}x": Normal(0.0, 0.5), f"{each.prefix}sd_g": HalfNormal(0.5)}
    return given


def model_of(family: Family, priors: Mapping[str, Prior] | None = None) -> bg.Model:
    """Return the model that is simulated: a number, a group, exposure or trials where the family takes them."""
    rng = np.random.default_rng(5)
    table = pd.DataFrame({
        "y": [EXAMPLES[family.support.kind]] * ROWS if family.for_levels is None else list("abcab") * (ROWS // 5),
        "x": rng.normal(size=ROWS), "g": list("ABCDE") * (ROWS // 5), "e": rng.uniform(0.5, 2.0, ROWS),
        "n": rng.integers(4, 13, ROWS),
    })
    known = family if family.for_levels is None else family.for_levels(("a", "b", "c"))
    return bg.Model(f"y {'| trials(n) ' if family.trials else ''}~ x + (1 | g)", table, family,
                    exposure="e" if family.exposure else None, priors={**priors_of(known), **(priors or {})})


def simulator_of(family: Family, *, seed: int) -> Simulator:
    """Compile the model of a family and draw its replicates from the prior."""
    model = model_of(family)
    drawn = pm.sample_prior_predictive(REPLICATES, model=model.pymc, random_seed=seed, compile_kwargs={"mode": "FAST_COMPILE"})
    parameters = {str(name): each.to_numpy()[0] for name, each in drawn["prior"].data_vars.items()}
    responses = drawn["prior_predictive"]["y"].to_numpy()[0].astype(np.float64)
    return Simulator(model.problem, parameters, responses, quantities_of(model, parameters),
                     compile_log_likelihood(model.pymc))


def quantities_of(model: bg.Model, parameters: Mapping[str, Array]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return intercepts, coefficients, standard deviations and constant parameters by name."""
    specification = model.problem.specification
    wanted = [each.name for each in specification.constant()]
    for predictor in specification.predictors:
        wanted += [predictor.name(name) for name in ("Intercept", "beta", "sd_g")]
    return {" ".join([name, *map(str, place)]): (name, place)
            for name in wanted for place in product(*map(range, parameters[name].shape[1:]))}


def compile_log_likelihood(model: pm.Model) -> Callable[[Array, Mapping[str, Array]], Array]:
    """Compile log p(y | parameters) of a stack of parameters."""
    response = pt.vector("response")
    stacked = {each: pt.tensor(each.name, dtype=each.dtype, shape=(None,) * (each.ndim + 1)) for each in model.free_RVs}
    total = vectorize_graph(pm.logp(model["y"], response).sum(), stacked)
    names = [each.name for each in stacked]
    function = pytensor.function([response, *stacked.values()], total, mode="FAST_COMPILE", on_unused_input="ignore")
    return lambda y, parameters: function(y, *(parameters[name] for name in names))


def ranks_of(simulator: Simulator, problem: Problem, *, seed: int) -> dict[str, NDArray[np.int64]]:
    """Fit every replicate and return the rank of each quantity, and of the log likelihood, among its posterior draws."""
    found: dict[str, list[int]] = {}
    for i, response in enumerate(simulator.responses):
        replicate = replace(problem, observations=replace(problem.observations, response=response))
        run = NUTS.run(replicate, seed=seed + i, progress=False)
        posterior = {str(name): each.to_numpy()[0, ::THIN] for name, each in run.draws["posterior"].data_vars.items()}
        for name, (variable, place) in simulator.quantities.items():
            draws = posterior[variable][(slice(None), *place)]
            found.setdefault(name, []).append(int((draws < simulator.parameters[variable][(i, *place)]).sum()))
        truth = simulator.log_likelihood(response, {name: each[i:i + 1] for name, each in simulator.parameters.items()})
        draws = simulator.log_likelihood(response, posterior)
        found.setdefault("log likelihood", []).append(int((draws < truth).sum()))
    return {name: np.array(ranks) for name, ranks in found.items()}


def simulate(name: str) -> Ranks:
    """Run the simulation of one family by name."""
    begin = time.perf_counter()
    simulator = simulator_of(find_family(name), seed=11)
    return Ranks(ranks_of(simulator, simulator.problem, seed=1_000), time.perf_counter() - begin)


def uniformity(ranks: NDArray[np.int64]) -> float:
    """Return the p-value of uniform ranks: the smaller of chi-square and Kolmogorov-Smirnov, doubled.

    Ranks are spread over their cell of the unit interval at random, so both tests are exact.

    Examples
    --------
    >>> uniformity(np.arange(RANKS).repeat(2)) > 0.5, uniformity(np.arange(RANKS).repeat(2) // 2) < 1e-6
    (True, True)
    """
    unit = (ranks + np.random.default_rng(3).uniform(size=len(ranks))) / RANKS
    counts = np.bincount((unit * BINS).astype(np.intp), minlength=BINS)
    return float(min(1.0, 2.0 * min(stats.chisquare(counts).pvalue, stats.kstest(unit, "uniform").pvalue)))
