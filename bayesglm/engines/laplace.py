"""Nested Laplace: normal draws around the mode, weighted by the exact posterior, with a verdict.

1. The optimum of the Laplace marginal of the hyperparameters, and the transport of the field there.
2. Hyperparameters and coefficients from a t distribution around it, levels from a normal one, in transported coordinates.
3. Weights by the exact posterior, over all of them at once. Where they show that the posterior is elsewhere or has another
   spread, the draws are taken again from there, and the new weights are what counts.
4. With many levels that are independent given everything else, or where 3 fails, the levels are integrated out one by one
   (`bayesglm.latent.levels`), and weights are over hyperparameters and coefficients alone.
5. Where levels depend on each other (crossed factors, paths) and are many, or 3 fails, draws are taken around the normal
   distribution of independent coordinates with the highest ELBO: of many skewed levels the mode is not the mean.
6. Where weights cannot tell, draws of the approximation have to stay when transitions of the exact posterior act on them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from bayesglm.engines.approximation import Drawn, Returned, against, compiled, reported, tree, worth
from bayesglm.engines.engine import Engine, Run
from bayesglm.engines.evaluations import evaluate, slopes
from bayesglm.engines.laps import laps
from bayesglm.engines.moves import DRAWS, drift
from bayesglm.engines.native import Native
from bayesglm.engines.proposal import PAIR, around
from bayesglm.engines.structured import Prepared, prepare
from bayesglm.engines.variational import climb, numbers, standard
from bayesglm.engines.verdict import conclusive, judge, resample
from bayesglm.engines.view import Round, View, joint_view, learn, levels_view
from bayesglm.latent.layout import reason_against
from bayesglm.latent.levels import levels_of
from bayesglm.specification import Problem

MOST_JOINT = 200  # coordinates that are first drawn around the mode, all at once
POINTS, MOST_STEPS = 200, 100  # random numbers of each coordinate for the ELBO, and steps of its climb


@dataclass(frozen=True, slots=True)
class Laplace(Engine):
    """Nested Laplace approximation, corrected by importance weights and resampled to draws of equal weight.

    Parameters
    ----------
    draws : int, optional
        Draws of each chain; all are independent of each other. By default 250, and more, in steps of 250, where 5% and 95%
        quantiles would else not be known within 0.1 robust sds.
    chains : int
        Draws come as so many chains, as tools expect them.
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

    draws: int | None = None
    chains: int = 4
    proposals: int = 20_000
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
        with laps(prepared.seconds) as clock:
            density = compiled(prepared)
            clock.end("compile")
            drawn = corrected(prepared, density, returned=Returned.of(self.draws, self.chains, self.proposals),
                              most=self.proposals, seed=seed, cores=self.cores)
            clock.end("sample")
            draws = tree(prepared, drawn, chains=self.chains)
            clock.end("expand")
        return Run(draws, clock.seconds, notes=prepared.notes, verdict=drawn.verdict, modes=prepared.modes)


def _not_normal(problem: Problem) -> str:
    """Return which prior of a coefficient is not normal, empty if all are."""
    for predictor in problem.specification.predictors:
        priors = problem.specification.priors.predictors[predictor.parameter]
        for each in (*priors.coef, *([priors.intercept] if predictor.intercept and priors.intercept is not None else [])):
            if not each.log_density().gaussian:
                return f"the prior {each} is not normal, and the approximation needs normal priors of coefficients and intercept"
    return ""


def corrected(prepared: Prepared, density: Native, *, returned: Returned, most: int, seed: int, cores: int | None) -> Drawn:
    """Return draws weighted in one way or the other; where weights cannot tell, the move test decides."""
    doubts, levels = against(prepared), levels_of(prepared.transported.posterior.field)
    all_at_once, one_by_one, test, last, summit = np.random.SeedSequence([seed, 5]).spawn(5)
    found: Round | None = None
    small = prepared.transported.size <= MOST_JOINT
    view = joint_view(prepared, density, returned=returned, most=most, cores=cores)
    if small or (levels is None and bool(doubts)):
        found = learn(prepared, view, doubts, seed=all_at_once)
    if levels is None and not doubts and (found is None or not conclusive(found.weights)):
        centred = _around_summit(prepared, density, view, seed=summit, cores=cores)
        if found is None or centred is not view:
            again = learn(prepared, centred, doubts, seed=one_by_one)
            found = again if found is None else max(found, again, key=lambda each: each.weights.effective)
    if levels is not None and (found is None or not (found.verdict.reliable or doubts)):
        view = levels_view(prepared, levels, returned=returned, most=most, cores=cores)
        found = learn(prepared, view, doubts, seed=one_by_one)
    assert found is not None  # one of the ways is always taken
    weight, verdict, draws = found.weights.weight, found.verdict, found.draws
    if not conclusive(found.weights):
        chosen = resample(found.plain.weight, DRAWS, np.random.default_rng(test))
        stay = drift(density, found.q[chosen], lambda flat: reported(prepared, flat), seed=seed, cores=cores)
        weight = found.plain.weight
        draws, known, _ = worth(reported(prepared, found.q), found.plain, returned, PAIR)
        verdict = judge(found.weights, verdict.moved, correction="", drift=stay, group_k_hat=verdict.group_k_hat, known=known,
                        against=doubts)
    chosen = resample(weight, draws, np.random.default_rng(last))
    return Drawn(found.q[chosen], evaluate(density, found.q[chosen], cores), verdict)


def _around_summit(prepared: Prepared, density: Native, view: View, *, seed: np.random.SeedSequence, cores: int | None) -> View:
    """Return the view with a proposal around the highest ELBO; as it is where the climb does not converge."""
    size, joint = prepared.transported.size, view.proposal.few
    eps = numbers(size, POINTS, joint if 4 * len(joint) <= POINTS else joint[:0], seed)
    climbed = climb(lambda q: slopes(density, q, cores), standard(size, joint[:0]), eps, iterations=MOST_STEPS)
    return replace(view, proposal=around(view.proposal, climbed.normal)) if climbed.converged else view


MEMBER = Laplace()
