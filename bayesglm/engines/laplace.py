"""Nested Laplace: normal draws around the mode, weighted by the exact posterior, with a verdict.

1. The optimum of the Laplace marginal of the hyperparameters, and the transport of the field there.
2. Hyperparameters and coefficients from a t distribution around it, levels from a normal one, in transported coordinates.
3. Weights by the exact posterior, over all of them at once. Where they show that the posterior is elsewhere or has another
   spread, the draws are taken again from there, and the new weights are what counts.
4. Where weights cannot tell, draws of the approximation have to stay when transitions of the exact posterior act on them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bayesglm.engines.approximation import Drawn, against, compiled, reported, tree
from bayesglm.engines.engine import Engine, Run
from bayesglm.engines.evaluations import evaluate
from bayesglm.engines.mirror import Mirror, mirror
from bayesglm.engines.moves import DRAWS, drift
from bayesglm.engines.native import Native
from bayesglm.engines.proposal import Proposal, adapted, first_proposal, theta_shape
from bayesglm.engines.structured import Prepared, prepare
from bayesglm.engines.verdict import FEWEST_EFFECTIVE, Moved, Weights, conclusive, judge, moved, resample, smooth
from bayesglm.latent.layout import reason_against
from bayesglm.specification import Problem

Array = NDArray[np.float64]
BLOCK = 1_000
MOST_NUMBERS = 4_000_000  # of all proposals together, unless a block has more
ROUNDS = 3
FEWEST_TO_LEARN_FROM = 50.0  # effective draws


@dataclass(frozen=True, slots=True)
class Laplace(Engine):
    """Nested Laplace approximation, corrected by importance weights and resampled to draws of equal weight.

    Parameters
    ----------
    draws, chains : int
        Draws come as so many chains of so many draws each, as tools expect them; all are independent of each other.
    proposals : int
        Most draws of the approximation that are weighted in a round. Blocks of 1,000 are taken until there are as many effective
        draws as are returned.
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
        """Draw from the approximation; see `Engine.run`."""
        del progress
        prepared = prepare(problem, seed=seed)
        begin = time.perf_counter()
        density = compiled(prepared)
        bound = time.perf_counter()
        drawn = joint(prepared, density, wanted=self.draws * self.chains, most=self.proposals, seed=seed, cores=self.cores)
        sampled = time.perf_counter()
        draws = tree(prepared, drawn, chains=self.chains)
        seconds = {**prepared.seconds, "compile": prepared.seconds["compile"] + bound - begin, "sample": sampled - bound,
                   "expand": time.perf_counter() - sampled}
        return Run(draws, seconds, notes=prepared.notes, verdict=drawn.verdict, modes=prepared.modes)


def _not_normal(problem: Problem) -> str:
    """Return which prior of a coefficient is not normal, empty if all are."""
    for predictor in problem.specification.predictors:
        priors = problem.specification.priors.predictors[predictor.parameter]
        for each in (*priors.coef, *([priors.intercept] if predictor.intercept and priors.intercept is not None else [])):
            if not each.log_density().gaussian:
                return f"the prior {each} is not normal, and the approximation needs normal priors of coefficients and intercept"
    return ""


@dataclass(frozen=True, slots=True, eq=False)
class Round:
    """Draws of a proposal with what weights say of them.

    Attributes
    ----------
    proposal : Proposal
        What they came from.
    q : array, shape (draw, size)
        Transported coordinates.
    log_density, log_ratio : array, shape (draw,)
        Log density of the posterior there, and of posterior over proposal, images included.
    weights : Weights
        Of the posterior.
    plain : Weights
        Of the approximation: the field as it was proposed, hyperparameters as the weights show them.
    """

    proposal: Proposal
    q: Array
    log_density: Array
    log_ratio: Array
    weights: Weights
    plain: Weights

    def moved(self, prepared: Prepared) -> Moved:
        """Return how far the correction moves what users read."""
        return moved(reported(prepared, self.q), self.plain.weight, self.weights.weight)


def joint(prepared: Prepared, density: Native, *, wanted: int, most: int, seed: int, cores: int | None) -> Drawn:
    """Return draws weighted over everything at once; where weights cannot tell, the move test decides."""
    same, proposal = mirror(prepared.transported), first_proposal(prepared.transported.posterior.field)
    *rounds, test, last = np.random.SeedSequence([seed, 5]).spawn(ROUNDS + 2)
    doubts = against(prepared)
    for own in rounds:
        found = weighted(prepared, density, same, proposal, wanted=wanted, most=most, seed=own, cores=cores)
        verdict = judge(found.weights, found.moved(prepared), correction="weights over all parameters", against=doubts)
        if verdict.reliable or doubts or found.weights.effective < FEWEST_TO_LEARN_FROM:
            break
        proposal = adapted(found.proposal, found.q, found.weights)
    weight = found.weights.weight
    if not conclusive(found.weights):
        chosen = resample(found.plain.weight, DRAWS, np.random.default_rng(test))
        stay = drift(density, found.q[chosen], lambda flat: reported(prepared, flat), seed=seed, cores=cores)
        verdict = judge(found.weights, found.moved(prepared), correction="", drift=stay, against=doubts)
        weight = found.plain.weight
    chosen = resample(weight, wanted, np.random.default_rng(last))
    return Drawn(found.q[chosen], found.log_density[chosen], verdict)


def weighted(
    prepared: Prepared, density: Native, same: Mirror, proposal: Proposal, *,
    wanted: int, most: int, seed: np.random.SeedSequence, cores: int | None,
) -> Round:
    """Return blocks of draws with weights, until there are as many effective draws as wanted or no hope of enough."""
    most = min(most, max(BLOCK, MOST_NUMBERS // prepared.transported.size))
    blocks: list[tuple[Array, Array, Array]] = []
    for own in seed.spawn(-(-most // BLOCK)):
        q = same.nearest(proposal.log_density, proposal.draw(np.random.default_rng(own), BLOCK // 2))
        log_density = evaluate(density, q, cores)
        blocks.append((q, log_density, log_density - same.log_density(proposal.log_density, q)))
        weights = smooth(np.concatenate([log_ratio for *_, log_ratio in blocks]))
        if weights.effective >= wanted or weights.effective * most < FEWEST_EFFECTIVE * BLOCK * len(blocks):
            break
    q, log_density, log_ratio = map(np.concatenate, zip(*blocks, strict=True))
    plain = smooth(theta_shape(proposal, q, log_density) + proposal.log_field(q) - (log_density - log_ratio))
    return Round(proposal, q, log_density, log_ratio, weights, plain)


MEMBER = Laplace()
