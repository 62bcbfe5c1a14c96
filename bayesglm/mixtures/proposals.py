"""Proposals: what splitting a component, or merging two, would do to the bound and to rows that were left out.

The search has made every move that raises the bound of the rows it saw. Rows that were left out are a second opinion, and new
rows may ask for other moves. How alike two components are is

    alike = integral sqrt(p q)  (Bhattacharyya 1943),     divergence = KL(p || q) + KL(q || p)  (Kullback and Leibler 1951)

of their predictive densities, by simulation, so that it knows every kind of component. Merging adds sums of features: the moments
of the pair are those of its rows.

Sources: Bhattacharyya (1943), Bulletin of the Calcutta Mathematical Society 35, 99; Kullback and Leibler (1951), Annals of
Mathematical Statistics 22, 79; Ueda, Nakano, Ghahramani and Hinton (2000), Neural Computation 12, 2109.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from bayesglm.errors import OptionError
from bayesglm.mixtures.ascent import Posterior, Problem, bound_of, from_responsibilities, largest_first, maximise
from bayesglm.mixtures.component import Array
from bayesglm.mixtures.expectation import assign
from bayesglm.mixtures.fitted import FittedMixture
from bayesglm.mixtures.identity import Change, Identity, Standing, check_ids
from bayesglm.mixtures.kernels import entropy
from bayesglm.mixtures.learning import coordinates, rows_and_bases
from bayesglm.mixtures.moves import GAIN, Search, climb, divide, joined
from bayesglm.mixtures.scoring import log_density

ROWS = 4000
COLUMNS = ("action", "id", "other", "alike", "divergence", "bound", "score", "score_se", "proposed")


def likeness(standing: Standing, seed: int) -> tuple[Array, Array]:
    """Return Bhattacharyya coefficients and symmetric divergences (nats) of a fit's components, each (component, component).

    Parameters
    ----------
    standing : Standing
        The components.
    seed : int
        For the simulated rows, 400 of each component.
    """
    drawn = standing.simulate(np.random.default_rng(seed))
    logs, size = standing.log_density(drawn), standing.posterior.size
    own = np.arange(size).repeat(len(logs) // size)
    away = logs - logs[np.arange(len(logs)), own][:, None]
    both = np.exp(np.minimum(away / 2, 50.0)).reshape(size, -1, size).mean(axis=1)
    apart = -away.reshape(size, -1, size).mean(axis=1)
    return (both + both.T) / 2, apart + apart.T


@dataclass(frozen=True, slots=True, eq=False)
class _Trial:
    """What moves are tried on.

    Attributes
    ----------
    search : Search
        Rows to climb on.
    responsibilities, kept : array
        Of these rows, shape (component, row), and kept sums, shape (component, feature), in the order of the fit.
    left : list of array
        What each part sees of the rows that were left out.
    """

    search: Search
    responsibilities: Array
    kept: Array
    left: list[Array]


def proposals(fit: FittedMixture, data: Any, *, seed: int, held_out: float) -> pd.DataFrame:
    """Return what each split and merge would do; see `MixtureFit.proposals`."""
    if not 0 < held_out < 1:
        raise OptionError(f"held_out={held_out!r}", value=held_out, rule="it is a share, above 0 and below 1",
                          fix="Leave it out for 0.3.")
    trial = _tried_on(fit, data, seed, held_out)
    bound, score = _outcome(fit, trial, trial.responsibilities, trial.kept)
    alike, divergence = likeness(Standing(fit.parts, fit.posterior, fit.weights), seed)
    lines = []
    for action, first, second, shares, kept in _moves(trial, alike):
        changed, scores = _outcome(fit, trial, shares, kept)
        gain, change = changed - bound, scores - score
        error = float(change.std(ddof=1) / np.sqrt(len(change))) if len(change) > 1 else np.inf
        if second is None:
            of: tuple[Any, float, float] = (pd.NA, np.nan, np.nan)
            better = gain > GAIN and change.mean() > 0
        else:
            of = (fit.ids[second], alike[first, second], divergence[first, second])
            better = gain > -GAIN and change.mean() > -error
        lines.append((action, fit.ids[first], *of, gain, float(change.mean()), error, bool(better)))
    table = pd.DataFrame(lines, columns=list(COLUMNS)).astype({"other": "Int64"})
    return table.sort_values(["proposed", "bound"], ascending=False, kind="stable").reset_index(drop=True)


def _tried_on(fit: FittedMixture, data: Any, seed: int, held_out: float) -> _Trial:
    rng, table = np.random.default_rng(seed), fit.read(data)
    rows = rng.permutation(table.rows)[:ROWS]
    cut = max(1, round(held_out * len(rows)))
    if len(rows) - cut < 2:
        raise OptionError(f"{table.rows} rows", value=table.rows, rule="some are left out, and two or more are learnt from",
                          fix="Give more rows.")
    left, own = (table.take(np.sort(each)) for each in (rows[:cut], rows[cut:]))
    held, bases, numbers = rows_and_bases(fit.parts, own)
    problem = replace(fit.priors, held=held, base=float(bases.sum()))
    kept = fit.posterior.kept if data is None else fit.posterior.sums
    responsibilities, _ = assign(fit.posterior.natural, fit.posterior.params, held)
    search = Search(problem, coordinates(fit.parts, numbers), rng)
    return _Trial(search, responsibilities, kept, [part.numbers(left) for part in fit.parts])


def _moves(trial: _Trial, alike: Array) -> Iterator[tuple[str, int, int | None, Array, Array]]:
    """Yield every split, and the merge of each component with the one most like it, as responsibilities and kept sums."""
    r, kept, size = trial.responsibilities, trial.kept, len(alike)
    for k in range(size if size < trial.search.problem.limit else 0):
        share = divide(trial.search, r[k], kept[k])
        if share is not None:
            shares = np.vstack([r, r[k] * (1 - share)])
            shares[k] *= share
            yield "split", k, None, shares, np.vstack([kept, np.zeros_like(kept[:1])])
    nearest = (alike - 2 * np.eye(size)).argmax(axis=1)
    pairs = {(min(k, int(other)), max(k, int(other))) for k, other in enumerate(nearest)} if size > 1 else set()
    for first, second in sorted(pairs):
        yield "merge", first, second, joined(r, first, second), joined(kept, first, second)


def _outcome(fit: FittedMixture, trial: _Trial, responsibilities: Array, kept: Array) -> tuple[float, Array]:
    """Return the bound after a climb, and the log densities of the rows that were left out."""
    problem = trial.search.problem
    state = climb(problem, from_responsibilities(problem, responsibilities, kept)[0])
    weights = problem.weights.mean(state.posterior.weights)
    return state.bound, log_density(fit.parts, state.posterior, weights / weights.sum(), trial.left)


def merged(fit: FittedMixture, id: int, into: int) -> tuple[Posterior, float, Identity]:
    """Return posterior, bound and identity with one component added to another; see `MixtureFit.merged`."""
    check_ids((id, into), fit.ids)
    if id == into:
        raise OptionError(f"component {id} into itself", value=id, rule="two components are merged",
                          fix="Name two: see proposals() for those that are alike.")
    gone, stays = fit.ids.index(id), fit.ids.index(into)
    before = fit.posterior
    kept, sums = (joined(each, stays, gone) for each in (before.kept, before.sums))
    posterior = maximise(fit.priors, sums - kept, kept)
    ids = np.delete(np.array(fit.ids), gone)[largest_first(sums)]
    change = Change(len(fit.identity.refreshes), "merged", id, into, float(fit.weights[gone]), 0.0, float("nan"), 0.0)
    names, runbooks = ({own: text for own, text in texts.items() if own != id}
                       for texts in (fit.identity.names, fit.identity.runbooks))
    identity = replace(fit.identity, ids=tuple(ids.tolist()), changes=(*fit.identity.changes, change), names=names,
                       runbooks=runbooks)
    return posterior, _bound(fit, posterior, gone, stays), identity


def _bound(fit: FittedMixture, posterior: Posterior, gone: int, stays: int) -> float:
    """Return the bound with the responsibilities of the two added; of the sums alone where the rows are not at hand."""
    if fit.table is None:
        return bound_of(fit.priors, posterior, 0.0)
    held, bases, _ = rows_and_bases(fit.parts, fit.table)
    responsibilities, _ = assign(fit.posterior.natural, fit.posterior.params, held)
    problem: Problem = replace(fit.priors, held=held, base=float(bases.sum()))
    return bound_of(problem, posterior, float(entropy(np.ascontiguousarray(joined(responsibilities, stays, gone))).sum()))
