"""Nested Laplace: normal draws around the mode, weighted by the exact posterior, with a verdict.

1. The optimum of the Laplace marginal of the hyperparameters, and the transport of the field there.
2. Hyperparameters from a heavy-tailed distribution around it, the field given them from the transport, one normal draw each.
3. Weights by the exact posterior, over hyperparameters and field at once.
4. Where these are too uneven and levels are independent given everything else, the levels are integrated one by one and the
   weights are over what is left (`bayesglm.latent.levels`).
5. Where weights cannot tell, draws of the approximation are moved by the exact posterior, and have to stay.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesglm.engines.engine import Engine, Run
from bayesglm.engines.evaluations import evaluate
from bayesglm.engines.moves import DRAWS, drift
from bayesglm.engines.native import Native, native
from bayesglm.engines.structured import Prepared, prepare
from bayesglm.engines.verdict import FEWEST_EFFECTIVE, Drift, Verdict, Weights, conclusive, judge, moved, resample, smooth
from bayesglm.latent.density import packed
from bayesglm.latent.layout import reason_against
from bayesglm.latent.proposal import LOG_TWO_PI, Proposal, proposal_of, shape
from bayesglm.latent.variables import dims_of, parameters
from bayesglm.specification import Problem

Array = NDArray[np.float64]
BLOCK = 1_000
MOST_NUMBERS = 4_000_000  # of all proposals together, unless a block has more


@dataclass(frozen=True, slots=True)
class Laplace(Engine):
    """Nested Laplace approximation, corrected by importance weights and resampled to draws of equal weight.

    Parameters
    ----------
    draws, chains : int
        Draws come as so many chains of so many draws each, as tools expect them; all are independent of each other.
    proposals : int
        Most draws of the approximation that are weighted. Blocks of 1,000 are taken until there are as many effective draws as
        are returned.
    cores : int, optional
        Threads; by default as many as there are cores.

    Examples
    --------
    >>> Laplace(draws=500).settings()["chains"]
    4
    """

    draws: int = 250
    chains: int = 4
    proposals: int = 8_000
    cores: int | None = None
    name: ClassVar[str] = "laplace"
    exact: ClassVar[bool] = False
    stats: ClassVar[tuple[str, ...]] = ("lp",)
    source: ClassVar[str] = (
        "Rue, Martino and Chopin (2009), Journal of the Royal Statistical Society B 71, 319; Vehtari et al. (2024), Journal of "
        "Machine Learning Research 25(72)")

    def reason_against(self, problem: Problem) -> str:
        """Return why the engine cannot fit this problem; see `Engine.reason_against`."""
        return reason_against(problem) or _not_normal(problem)

    def run(self, problem: Problem, *, seed: int, progress: bool) -> Run:
        """Draw from the posterior; see `Engine.run`."""
        del progress
        prepared = prepare(problem, seed=seed)
        begin = time.perf_counter()
        found = joint(prepared, seed=seed, wanted=self.draws * self.chains, most=self.proposals, cores=self.cores)
        sampled = time.perf_counter()
        tree = _tree(prepared, found, (self.chains, self.draws), np.random.default_rng([seed, 1]))
        seconds = {**prepared.seconds, "sample": sampled - begin, "expand": time.perf_counter() - sampled}
        return Run(tree, seconds, notes=prepared.notes, verdict=found.verdict)


def _not_normal(problem: Problem) -> str:
    """Return which prior of a coefficient is not normal, empty if all are."""
    for predictor in problem.specification.predictors:
        priors = problem.specification.priors.predictors[predictor.parameter]
        for each in (*priors.coef, *([priors.intercept] if predictor.intercept and priors.intercept is not None else [])):
            if not each.log_density().gaussian:
                return f"the prior {each} is not normal, and the approximation needs normal priors of coefficients and intercept"
    return ""


@dataclass(frozen=True, slots=True, eq=False)
class Weighted:
    """Draws of the approximation with their weights, and what to think of them.

    Attributes
    ----------
    q : array, shape (draw, size)
        Transported coordinates.
    weight : array, shape (draw,)
        With sum 1.
    log_density : array, shape (draw,)
        Log density of the posterior in q.
    verdict : Verdict
        Whether the weighted draws may be read.
    """

    q: Array
    weight: Array
    log_density: Array
    verdict: Verdict


def joint(prepared: Prepared, *, seed: int, wanted: int, most: int, cores: int | None) -> Weighted:
    """Return draws weighted over hyperparameters and field at once; where these weights cannot tell, the move test decides."""
    transported = prepared.transported
    density, proposal = native(packed, transported.arrays), proposal_of(transported)
    drawn = _propose(prepared, density, proposal, seed=seed, wanted=wanted, most=most, cores=cores)
    weights = smooth(drawn.log_ratio)
    # The approximation itself: the field as the transport gives it, hyperparameters as the weights have shown them.
    plain = smooth(shape(drawn.tau, drawn.log_target) - drawn.log_proposal)
    found = None if conclusive(weights) else _drift(prepared, density, drawn.q, plain, seed=seed, cores=cores)
    shift = moved(_reported(prepared, drawn.q), plain.weight, weights.weight)
    verdict = judge(weights, shift, correction="" if found else "weights over all parameters", drift=found,
                    against=_against(prepared))
    return Weighted(drawn.q, (plain if found else weights).weight, drawn.log_density, verdict)


def _against(prepared: Prepared) -> tuple[str, ...]:
    """Return what no weight can show."""
    found = [] if prepared.definite else ["the curvature of the posterior is not positive definite at the mode"]
    if prepared.modes > 1:
        found.append(f"{prepared.modes} different modes were found, and the draws are around one")
    return tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    """Proposals: coordinates, with log densities of the posterior, of the proposal of tau, and of the normal rest."""

    q: Array
    tau: Array
    log_density: Array
    log_proposal: Array

    @property
    def log_target(self) -> Array:
        """Log density of tau and a field, divided by the normal density of the field's coordinates."""
        rest = self.q[:, self.tau.shape[1]:]
        return np.asarray(self.log_density + 0.5 * (rest**2).sum(axis=1) + 0.5 * rest.shape[1] * LOG_TWO_PI)

    @property
    def log_ratio(self) -> Array:
        """Log importance ratio."""
        return np.asarray(self.log_target - self.log_proposal)


def _propose(
    prepared: Prepared, density: Native, proposal: Proposal, *, seed: int, wanted: int, most: int, cores: int | None,
) -> _Drawn:
    """Return blocks of proposals, until there are as many effective draws as wanted or no hope of enough."""
    theta, size = proposal.mirrors.shape[1], prepared.transported.size
    most = min(most, max(BLOCK, MOST_NUMBERS // size))
    parts: list[_Drawn] = []
    for block in np.random.SeedSequence(seed).spawn(-(-most // BLOCK)):
        rng = np.random.default_rng(block)
        half = rng.standard_normal((BLOCK // 2, size))
        q = np.concatenate([half, -half])
        q[:, :theta] = tau = proposal.draw(rng, BLOCK // 2)
        parts.append(_Drawn(q, tau, evaluate(density, q, cores), proposal.log_density(tau)))
        effective = smooth(np.concatenate([each.log_ratio for each in parts])).effective
        if effective >= wanted or effective * most < FEWEST_EFFECTIVE * BLOCK * len(parts):
            break
    columns = zip(*((each.q, each.tau, each.log_density, each.log_proposal) for each in parts), strict=True)
    return _Drawn(*map(np.concatenate, columns))


def _drift(prepared: Prepared, density: Native, q: Array, plain: Weights, *, seed: int, cores: int | None) -> Drift:
    """Return what transitions of the posterior do to the approximation."""
    chosen = resample(plain.weight, DRAWS, np.random.default_rng([seed, 2]))
    return drift(density, q[chosen], lambda flat: _reported(prepared, flat), seed=seed, cores=cores)


def _reported(prepared: Prepared, q: Array) -> dict[str, Array]:
    """Return the variables that users read at coordinates q."""
    found = prepared.expand(q)
    return {name: found[name] for name in parameters(prepared.transported.posterior.field)}


def _tree(prepared: Prepared, found: Weighted, shape: tuple[int, int], rng: np.random.Generator) -> xr.DataTree:
    """Return draws of equal weight with dims and coordinates."""
    chosen = resample(found.weight, shape[0] * shape[1], rng)
    target = prepared.target(found.q[:1])
    index = {"chain": np.arange(shape[0]), "draw": np.arange(shape[1])}
    values = {name: each.reshape(*shape, *each.shape[1:]) for name, each in prepared.expand(found.q[chosen]).items()}
    dims = {name: target.dims_of(name, each.ndim - 2) for name, each in values.items()}
    used = {dim for each in dims.values() for dim in each}
    _, coords = dims_of(prepared.transported.posterior.field)
    posterior = xr.Dataset({name: (("chain", "draw", *dims[name]), each) for name, each in values.items()},
                           {**index, **{dim: list(labels) for dim, labels in coords.items() if dim in used}})
    stats = xr.Dataset({"lp": (("chain", "draw"), found.log_density[chosen].reshape(shape))}, index)
    return xr.DataTree.from_dict({"posterior": posterior, "sample_stats": stats})


MEMBER = Laplace()
