"""Update: yesterday's posterior is today's prior.

A posterior is its prior and the sums of features of its rows. The sums of yesterday, times a forgetting factor, are kept;
today's rows are assigned, and components split, merge and are deleted, where that raises the bound of today's rows and
yesterday's sums together. So an emerging kind of row is a split of today's rows from a component that stays, and merging
adds sums: moments of the pair are those of its rows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bayesglm.mixtures.ascent import Climb, Posterior, Problem, bound_of, largest_first, maximise
from bayesglm.mixtures.columns import Part
from bayesglm.mixtures.component import Array
from bayesglm.mixtures.identity import Identity, Refresh, Standing, follow
from bayesglm.mixtures.learning import Source, climb_all, coordinates, rows_and_bases
from bayesglm.mixtures.moves import Search, climb, delete, improve, merge, split
from bayesglm.mixtures.scoring import log_density
from bayesglm.mixtures.search import SUBSAMPLE, Found

_GONE = 0.5  # rows below which a component is no longer kept


@dataclass(frozen=True, slots=True)
class Policy:
    """How a fit changes from refresh to refresh.

    Attributes
    ----------
    forgetting : float
        What a row counts after one refresh, in (0, 1].
    floor : float
        Weight below which a component may be pruned.
    patience : int
        Refreshes in a row below the floor after which it is.
    protect : collection of int
        Ids that are never pruned.
    """

    forgetting: float
    floor: float
    patience: int
    protect: Collection[int]


def refresh(
    priors: Problem, parts: Sequence[Part], posterior: Posterior, identity: Identity, source: Source, policy: Policy, seed: int,
) -> tuple[Found, Identity]:
    """Return the mixture after new rows, and what became of its components.

    Parameters
    ----------
    priors : Problem
        What was believed before any row, a problem without rows.
    parts : sequence of Part
        The parts of a row.
    posterior : Posterior
        Before.
    identity : Identity
        Ids of its components.
    source : Source
        The new rows.
    policy : Policy
        What is forgotten and pruned.
    seed : int
        For the subsample, the splits and the matching.
    """
    kept = policy.forgetting * posterior.sums
    kept = kept[(kept[:, 0] >= _GONE) | (np.arange(len(kept)) == 0)]
    start, ends, searched = _restructured(priors, parts, source, kept, seed)
    found = Found(climb_all(priors, parts, source, start), ends, searched)
    before = _standing(priors, parts, posterior)
    after = _standing(priors, parts, found.climb.posterior)
    number = len(identity.refreshes) + 1
    new_rows = after.posterior.counts - after.posterior.kept[:, 0]
    followed = follow(identity, before, after, seed, number, new_rows)
    followed = replace(followed, refreshes=(*identity.refreshes, _noted(identity, before, after, source, policy, number)))
    return _pruned(priors, parts, source, found, followed, policy)


def _restructured(
    priors: Problem, parts: Sequence[Part], source: Source, kept: Array, seed: int,
) -> tuple[Posterior, dict[str, tuple[int, float]], int]:
    """Search the structure on a subsample of the new rows, with kept sums in proportion; return it with all that is kept."""
    rng = np.random.default_rng(seed)
    table = source.table
    if table.rows > SUBSAMPLE:
        table = table.take(np.sort(rng.choice(table.rows, SUBSAMPLE, replace=False)))
    held, bases, numbers = rows_and_bases(parts, table)
    problem = replace(priors, held=held, base=float(bases.sum()))
    share = table.rows / source.rows
    search = Search(problem, coordinates(parts, numbers), rng)
    state = climb(problem, maximise(problem, np.zeros_like(kept), share * kept))
    state = improve(search, state, (split, merge, delete))
    sums, kept = (state.posterior.sums - state.posterior.kept) / share, state.posterior.kept / share
    return maximise(priors, sums, kept), {"update": (state.posterior.size, state.bound)}, table.rows


def _standing(priors: Problem, parts: Sequence[Part], posterior: Posterior) -> Standing:
    weights = priors.weights.mean(posterior.weights)
    return Standing(parts, posterior, weights / weights.sum())


def _noted(
    identity: Identity, before: Standing, after: Standing, source: Source, policy: Policy, number: int,
) -> Refresh:
    numbers = [part.numbers(source.table) for part in before.parts]
    jacobian = np.sum([part.log_jacobian(each) for part, each in zip(before.parts, numbers, strict=True)], axis=0)
    was, now = (log_density(each.parts, each.posterior, each.weights, numbers) + jacobian for each in (before, after))
    old = policy.forgetting * float(before.posterior.counts.sum())
    age = identity.refreshes[-1].mean_age if identity.refreshes else 0.0
    effective = old + source.rows
    spread = float(was.std() / np.sqrt(len(was)))
    return Refresh(number, source.rows, effective, (age + 1) * old / effective, float(was.mean()), spread, float(now.mean()))


def _pruned(
    priors: Problem, parts: Sequence[Part], source: Source, found: Found, identity: Identity, policy: Policy,
) -> tuple[Found, Identity]:
    """Remove components that were below the floor long enough; rows of today go to the others, older ones are forgotten."""
    standing = _standing(priors, parts, found.climb.posterior)
    low = {own: identity.below.get(own, 0) + 1 for own, weight in zip(identity.ids, standing.weights, strict=True)
           if weight < policy.floor and own not in policy.protect}
    gone = {own for own, times in low.items() if times >= policy.patience}
    identity = replace(identity, below={own: times for own, times in low.items() if own not in gone})
    stays = np.array([own not in gone for own in identity.ids])
    if not gone or not stays.any():
        return found, identity
    posterior = found.climb.posterior
    start = maximise(priors, (posterior.sums - posterior.kept)[stays], posterior.kept[stays])
    climbed = climb_all(priors, parts, source, start)
    after = _standing(priors, parts, climbed.posterior)
    number = identity.refreshes[-1].number
    followed = follow(replace(identity, changes=()), standing, after, seed=number, refresh=number,
                      rows=after.posterior.counts - after.posterior.kept[:, 0])
    noted = tuple(replace(each, action="pruned", other=None) for each in followed.changes if each.id in gone)
    return replace(found, climb=climbed), replace(followed, changes=(*identity.changes, *noted))


def pooled(
    priors: Problem, shared: Posterior, ids: Sequence[int], others: Sequence[tuple[Posterior, Sequence[int]]],
) -> tuple[Found, list[int]]:
    """Return the posterior of all rows that several updates of one fit saw, from their sums alone, and its order.

    Parameters
    ----------
    priors : Problem
        What was believed before any row.
    shared : Posterior
        The fit they all started from.
    ids : sequence of int
        Ids of its components.
    others : sequence of (Posterior, ids)
        The updates, each with nothing forgotten and the same components.
    """
    sums = shared.sums.copy()
    for posterior, theirs in others:
        sums += posterior.sums[[list(theirs).index(own) for own in ids]] - shared.sums
    posterior = maximise(priors, np.zeros_like(sums), sums)
    bound = bound_of(priors, posterior, 0.0)
    found = Found(Climb(posterior, (bound,), converged=True), {"pooled": (posterior.size, bound)}, 0)
    return found, largest_first(sums).tolist()
