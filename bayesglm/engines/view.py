"""View: what importance weights are over, all coordinates at once or those that all levels share, and how draws are learnt from.

A view draws from a proposal (`bayesglm.engines.proposal`) and knows the exact log density of what it draws, up to a constant:

    joint      q = (tau, z, y)     the transported density itself
    levels     x = (tau, y)        with the levels integrated out, and z drawn from its posterior given x
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bayesglm.engines.approximation import Returned, reported, worth
from bayesglm.engines.evaluations import evaluate, in_threads
from bayesglm.engines.mirror import Mirror, mirror
from bayesglm.engines.native import Native
from bayesglm.engines.proposal import LONG_TAILS, PAIR, Proposal, adapted, calibrated, first_proposal, theta_shape
from bayesglm.engines.quantiles import ENOUGH
from bayesglm.engines.structured import Prepared
from bayesglm.engines.verdict import FEWEST_EFFECTIVE, MOST_QUANTILE_ERROR, Verdict, Weights, judge, moved, smooth
from bayesglm.latent.levels import CANDIDATES, SPREAD, Integrated, Levels, rule_of

Array = NDArray[np.float64]
MOST_NUMBERS = 4_000_000  # of all proposals together, unless a block has more
MOST_INTEGRATED = 8_000  # draws whose levels are integrated out: each takes a millisecond or more
LEAST_MORE = 1.25  # times as many draws, before it is looked again
ROUNDS = 4
FEWEST_TO_LEARN_FROM = 50.0  # effective draws
COSTLY = 20_000  # evaluations of a cell for one draw
GROUP_DRAWS, GROUPS_LOOKED_AT = 200, 20
# Of the search for the maximum, in sds: differences, longest step, the step that ends it; and the flattest curvature believed.
STRIDE, LONGEST, CLOSE, MOST_STRIDES, LEAST_BEND = 0.5, 4.0, 0.1, 15, 0.05


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What weights are over.

    Attributes
    ----------
    proposal : Proposal
        Where draws come from, at first.
    same : Mirror
        Images of the posterior.
    complete : callable
        Draws x, shape (draw, coordinates of the proposal), and a seed, to their log densities and the draws q of everything.
    group_k_hat : callable, optional
        The largest k-hat of single groups at a draw x.
    correction : str
        What the weights are over, in words.
    block, most : int
        Draws that are taken at a time, and at most.
    wanted : int
        Effective draws that are enough.
    returned : Returned
        How many of equal weight will be taken of them.
    """

    proposal: Proposal
    same: Mirror
    complete: Callable[[Array, np.random.SeedSequence], tuple[Array, Array]]
    group_k_hat: Callable[[Array], float] | None
    correction: str
    block: int
    most: int
    wanted: int
    returned: Returned


@dataclass(frozen=True, slots=True, eq=False)
class Round:
    """Draws of a proposal with what weights say of them.

    Attributes
    ----------
    x, q : array, shapes (draw, coordinates of the proposal) and (draw, size)
        The draws, and with everything.
    weights : Weights
        Of the posterior.
    plain : Weights
        Of the approximation: coefficients and levels as they were proposed, hyperparameters as the weights show them.
    draws : int
        How many of equal weight to take.
    verdict : Verdict
        What to think of the weights.
    """

    x: Array
    q: Array
    weights: Weights
    plain: Weights
    draws: int
    verdict: Verdict


def learn(prepared: Prepared, view: View, doubts: tuple[str, ...], *, seed: np.random.SeedSequence) -> Round:
    """Draw, weigh, and draw again from where the weights are, until they are reliable or there is nothing to learn from.

    Weights may be reliable and their largest still have no variance; then longer tails are tried, and kept if they are reliable.
    """
    proposal, rounds, best = view.proposal, seed.spawn(ROUNDS), None
    for own in rounds:
        found = _round(prepared, view, proposal, doubts, last=own is rounds[-1], seed=own)
        best = found if found.verdict.reliable or best is None else best
        reliable = found.verdict.reliable and found.weights.k_hat <= LONG_TAILS
        if reliable or doubts or found.weights.effective < FEWEST_TO_LEARN_FROM:
            break
        proposal = adapted(proposal, found.x, found.weights)
    return best if best is not None and best.verdict.reliable else found


def _round(
    prepared: Prepared, view: View, proposal: Proposal, doubts: tuple[str, ...], *, last: bool, seed: np.random.SeedSequence,
) -> Round:
    """Return blocks of draws with weights, until they are worth what is wanted or there is no hope of it.

    Where the weights already speak against the proposal, it is time to learn and not to know quantiles, except in the last round.
    """
    blocks: list[tuple[Array, Array, Array, Array]] = []
    found, look = None, 0
    for own in seed.spawn(-(-view.most // view.block)):
        numbers, rest = own.spawn(2)
        drawn = view.same.nearest(proposal.log_density, proposal.draw(np.random.default_rng(numbers), view.block // 2))
        exact, whole = view.complete(drawn, rest)
        blocks.append((drawn, whole, exact, view.same.log_density(proposal.log_density, drawn)))
        weights = smooth(np.concatenate([each - proposed for *_, each, proposed in blocks]))
        count, found = len(weights.weight), None
        if weights.effective * view.most < FEWEST_EFFECTIVE * count:
            break
        if weights.effective >= view.wanted and count >= look:
            found = _weighed(prepared, view, proposal, doubts, weights, blocks)
            error = 0.0 if found.verdict.known is None else found.verdict.known.error
            look = int(count * max((error / ENOUGH) ** 2, LEAST_MORE))  # when it will be small enough
            wrong = len(found.verdict.reasons) > (error > MOST_QUANTILE_ERROR)
            if error <= ENOUGH or count * (error / MOST_QUANTILE_ERROR) ** 2 > view.most or (wrong and not last):
                break
    return found or _weighed(prepared, view, proposal, doubts, weights, blocks)


def _weighed(
    prepared: Prepared, view: View, proposal: Proposal, doubts: tuple[str, ...], weights: Weights,
    blocks: Sequence[tuple[Array, Array, Array, Array]],
) -> Round:
    """Return the draws of all blocks with what their weights say."""
    x, q, log_density, proposed = map(np.concatenate, zip(*blocks, strict=True))
    shape = theta_shape(proposal, x, log_density) + proposal.log_field(x) - proposed
    plain = smooth(np.where(np.isfinite(log_density), shape, -np.inf))
    if weights.effective >= FEWEST_EFFECTIVE:
        tau = proposal.standardised(x)[:, :proposal.theta]
        plain = smooth(calibrated(tau, plain.weight, weights.weight))
    variables = reported(prepared, q)
    draws, known, tails = worth(variables, weights, view.returned, PAIR)
    shift = moved(variables, plain.weight, weights.weight, tails)
    enough = weights.effective >= FEWEST_EFFECTIVE and view.group_k_hat is not None
    group = view.group_k_hat(x[int(np.argmax(weights.weight))]) if enough and view.group_k_hat is not None else None
    verdict = judge(weights, shift, correction=view.correction, group_k_hat=group, known=known, against=doubts)
    return Round(x, q, weights, plain, draws, verdict)


def joint_view(prepared: Prepared, density: Native, *, returned: Returned, most: int, cores: int | None) -> View:
    """Return the view of all coordinates at once."""
    transported = prepared.transported
    return View(first_proposal(transported.posterior.field), mirror(transported), lambda q, _: (evaluate(density, q, cores), q),
                None, "weights over all parameters", 1_000, min(most, max(1_000, MOST_NUMBERS // transported.size)),
                returned.least, returned)


def levels_view(prepared: Prepared, levels: Levels, *, returned: Returned, most: int, cores: int | None) -> View:
    """Return the view of what all levels share."""
    transported, rule = prepared.transported, rule_of(levels.widest)
    whole, same = first_proposal(transported.posterior.field), mirror(transported)
    few, size = whole.few, len(whole.few)
    integrated = Integrated(transported, levels, rule)

    def complete(x: Array, seed: np.random.SeedSequence) -> tuple[Array, Array]:
        def one(given: tuple[Array, np.random.SeedSequence]) -> tuple[float, Array]:
            (tau, y), rng = np.split(given[0], [whole.theta]), np.random.default_rng(given[1])
            return integrated(tau, y, rng.normal(0.0, SPREAD, (CANDIDATES, len(whole.rest))), rng.uniform(size=levels.count))

        found = in_threads(one, zip(x, seed.spawn(len(x)), strict=True), cores)
        q = np.empty((len(x), transported.size))
        q[:, few], q[:, whole.rest] = x, np.array([z for _, z in found])
        return np.array([value for value, _ in found]), q

    def group_k_hat(x: Array) -> float:
        return largest_k_hat(integrated, *np.split(x, [whole.theta]))

    def log_density(x: Array) -> Array:
        return np.array(in_threads(lambda each: integrated.log_density(*np.split(each, [whole.theta])), x, cores))

    mean, triangle = summit(log_density, size)
    compact = replace(whole, few=np.arange(size), mean=mean, triangle=triangle, rest=np.arange(0), rest_mean=np.zeros(0),
                      rest_sd=np.ones(0))
    costly = len(rule.nodes) * len(transported.posterior.likelihood.pattern) > COSTLY
    enough = min(returned.least, FEWEST_EFFECTIVE * 5 // 4) if costly else returned.least
    return View(compact, Mirror(same.reference, same.signs[:, few]), complete, group_k_hat,
                "weights over what groups share, groups integrated one by one", 250, min(most, MOST_INTEGRATED), enough, returned)


def summit(log_density: Callable[[Array], Array], size: int) -> tuple[Array, Array]:
    """Return the maximum of a log density near a standard normal, and the Cholesky factor of the inverse curvature there.

    Levels are skewed, and each pulls the mode of the joint density a little away from where the integral has its own; many levels
    pull it several sds. Differences over half an sd give slope and curvature.

    Parameters
    ----------
    log_density : callable
        Of points, shape (n, size), to values.
    size : int
        Number of coordinates.
    """
    at, one = np.zeros(size), STRIDE * np.eye(size)
    for _ in range(MOST_STRIDES):
        values = log_density(np.concatenate([[at], at + one, at - one]))
        ahead, behind = values[1:size + 1], values[size + 1:]
        bend = np.maximum((2 * values[0] - ahead - behind) / STRIDE**2, LEAST_BEND)
        step = np.nan_to_num(np.clip((ahead - behind) / (2 * STRIDE) / bend, -LONGEST, LONGEST))
        at = at + step
        if np.abs(step).max(initial=0.0) < CLOSE:
            break
    row, column = np.tril_indices(size, -1)
    points = np.concatenate([[at], at + one, at - one, at + one[row] + one[column], at - one[row] - one[column]])
    centre, ahead, behind, both, neither = np.split(log_density(points), np.cumsum([1, size, size, len(row)]))
    curvature = np.diag((2 * centre - ahead - behind) / STRIDE**2)
    mixed = (2 * centre + both + neither - ahead[row] - ahead[column] - behind[row] - behind[column]) / (2 * STRIDE**2)
    curvature[row, column] = curvature[column, row] = -mixed
    values, vectors = np.linalg.eigh(np.nan_to_num(curvature))
    return at, np.linalg.cholesky(vectors / np.maximum(values, LEAST_BEND) @ vectors.T)


def largest_k_hat(integrated: Integrated, tau: Array, y: Array) -> float:
    """Return the largest k-hat of a level's posterior against its proposal, given what all levels share.

    Parameters
    ----------
    integrated : Integrated
        The posterior.
    tau, y : array
        Hyperparameters and core.
    """
    levels = integrated.levels
    z = np.random.default_rng(0).normal(0.0, SPREAD, (GROUP_DRAWS, len(levels.level)))
    found = integrated.ratios(tau, y, z)
    if found is None:
        return np.inf
    ratio = found[1][:, :-1]
    np.add.at(ratio.T, levels.level, -0.5 * (1.0 - SPREAD**-2) * (z**2).T)
    worst = np.argsort(ratio.std(axis=0))[-GROUPS_LOOKED_AT:]
    return max(smooth(ratio[:, c]).k_hat for c in worst)

