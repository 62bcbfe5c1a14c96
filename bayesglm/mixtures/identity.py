"""Identity: which component of one fit is which of another, and what is remembered of each under its id.

Two components are as alike as their Bhattacharyya coefficient says, the integral of sqrt(p q), 1 where they are equal; it is
estimated from rows simulated from either, so that it knows every kind of component. Pairs are matched so that the sum is
largest; an id follows its component, however components are ordered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from bayesglm.errors import OptionError
from bayesglm.mixtures.ascent import Posterior
from bayesglm.mixtures.columns import Part
from bayesglm.mixtures.component import Array

ALIKE = 0.2  # least Bhattacharyya coefficient of components that are the same, or part of the same
_ROWS = 400  # simulated from each component


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to one component in a refresh.

    Attributes
    ----------
    refresh : int
        Number of the refresh, from 1; what was merged by hand has that of the refresh before, 0 for a first fit.
    action : {"kept", "new", "split", "merged", "retired", "pruned"}
        A split component is new and stood inside ``other``; a merged one went into ``other``.
    id : int
        The component.
    other : int, optional
        The id of its parent, or of the component it went into.
    weight_before, weight_after : float
        Mean weights.
    distance : float
        Bhattacharyya distance between before and after (nats): how far it drifted.
    rows : float
        Rows of this refresh in it.
    """

    refresh: int
    action: str
    id: int
    other: int | None
    weight_before: float
    weight_after: float
    distance: float
    rows: float


@dataclass(frozen=True, slots=True)
class Refresh:
    """One refresh: the rows that came, and how well they were foreseen.

    Attributes
    ----------
    number : int
        From 1.
    rows : int
        Rows that came.
    effective_rows : float
        Rows that the posterior stands on after forgetting.
    mean_age : float
        Their mean age in refreshes: how far the fit lags behind.
    score_before, score_se : float
        Mean log density of the new rows under the fit before, and its standard error (nats a row).
    score_after : float
        The same under the fit after.
    """

    number: int
    rows: int
    effective_rows: float
    mean_age: float
    score_before: float
    score_se: float
    score_after: float


@dataclass(frozen=True, slots=True)
class Identity:
    """What is remembered of components, by id.

    Attributes
    ----------
    ids : tuple of int
        Of the components, in the order of the posterior.
    last : int
        The largest id that was ever given; no id is given twice.
    names, runbooks : mapping
        Id to what people call it, and to a link that says what to do.
    below : mapping
        Id to refreshes in a row in which its weight was below the floor.
    changes : tuple of Change
        Of all refreshes.
    refreshes : tuple of Refresh
        All of them.
    """

    ids: tuple[int, ...]
    last: int
    names: Mapping[int, str] = field(default_factory=dict)
    runbooks: Mapping[int, str] = field(default_factory=dict)
    below: Mapping[int, int] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    refreshes: tuple[Refresh, ...] = ()

    def named(self, names: Mapping[int, str], runbooks: Mapping[int, str]) -> Identity:
        """Return the identity with names and runbooks added; an empty text takes one away.

        Raises
        ------
        OptionError
            An id that no component has.
        """
        check_ids((*names, *runbooks), self.ids)
        return replace(self, names=_without_empty({**self.names, **names}),
                       runbooks=_without_empty({**self.runbooks, **runbooks}))

    def since(self, id: int) -> int:
        """Return the refresh in which a component was first seen, 0 for the first fit."""
        return next((each.refresh for each in self.changes if each.id == id and each.action in ("new", "split")), 0)

    def columns(self) -> dict[str, list[str]]:
        """Return the columns of a component table that hold names and runbooks, where there are any."""
        given = {"name": self.names, "runbook": self.runbooks}
        return {column: [texts.get(own, "") for own in self.ids] for column, texts in given.items() if texts}

    def change_table(self) -> pd.DataFrame:
        """Return one line for each change."""
        names = [each.name for each in fields(Change)]
        lines = [{name: getattr(each, name) for name in names} for each in self.changes]
        return pd.DataFrame(lines, columns=names).astype({"other": "Int64"})

    def refresh_table(self) -> pd.DataFrame:
        """Return one line for each refresh."""
        names = [each.name for each in fields(Refresh)]
        return pd.DataFrame([{name: getattr(each, name) for name in names} for each in self.refreshes], columns=names)


def check_ids(given: Iterable[object], ids: Sequence[int]) -> None:
    """Raise where an id is none of a fit's components."""
    for each in given:
        if isinstance(each, bool) or each not in ids:
            raise OptionError(f"no component has the id {each!r}", value=each, fix=f"Use {', '.join(map(str, ids))}.",
                              rule="ids are whole numbers, those of `components`")


def first_identity(components: int) -> Identity:
    """Return the identity of a first fit: ids from 1 for the largest component."""
    return Identity(tuple(range(1, components + 1)), components)


def _without_empty(texts: Mapping[int, str]) -> dict[int, str]:
    return {each: text for each, text in texts.items() if text}


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """The components of one fit.

    Attributes
    ----------
    parts : sequence of Part
        Kinds and scales.
    posterior : Posterior
        The parameters.
    weights : array, shape (component,)
        Mean weights.
    """

    parts: Sequence[Part]
    posterior: Posterior
    weights: Array

    def simulate(self, rng: np.random.Generator) -> list[Array]:
        """Return rows of each component in turn, as the numbers of each part."""
        labels = np.repeat(np.arange(self.posterior.size), _ROWS)
        return [part.component.simulate(params, labels, np.ones((1, 1)), rng)
                for part, params in zip(self.parts, self.posterior.params, strict=True)]

    def log_density(self, numbers: Sequence[Array]) -> Array:
        """Return the log predictive density of rows under each component alone, shape (row, component)."""
        return np.asarray(sum(part.component.predictive(params, each) for part, params, each
                              in zip(self.parts, self.posterior.params, numbers, strict=True)))


def alikeness(before: Standing, after: Standing, seed: int) -> Array:
    """Return the Bhattacharyya coefficients, shape (component before, component after).

    Parameters
    ----------
    before, after : Standing
        Two fits of the same columns, each with scales of its own.
    seed : int
        For the simulated rows.
    """
    rng = np.random.default_rng(seed)
    return (_one_way(before, after, rng) + _one_way(after, before, rng).T) / 2


def _one_way(one: Standing, other: Standing, rng: np.random.Generator) -> Array:
    """Estimate E_p[sqrt(q / p)] from rows of each p."""
    drawn = one.simulate(rng)
    place = {frozenset(part.layout.names): (part, each) for part, each in zip(one.parts, drawn, strict=True)}
    moved = [_as_seen_by(part, *place[frozenset(part.layout.names)]) for part in other.parts]
    own = np.arange(one.posterior.size).repeat(_ROWS)
    p = one.log_density(drawn)[np.arange(len(own)), own] + _log_scale(one.parts)
    q = other.log_density(moved) + _log_scale(other.parts)
    return np.exp(np.minimum((q - p[:, None]) / 2, 50.0)).reshape(one.posterior.size, _ROWS, -1).mean(axis=1)


def _as_seen_by(part: Part, other: Part, numbers: Array) -> Array:
    """Return numbers of another fit's part as this part sees the same rows; a level it does not know is its first."""
    if part.layout.levels:
        known = {level: code for code, level in enumerate(part.layout.levels)}
        codes = np.array([known.get(level, 0) for level in other.layout.levels], np.float64)
        return codes[numbers.astype(np.intp)]
    order = [other.layout.names.index(name) for name in part.layout.names]
    size = len(order)
    values = (other.layout.center + other.layout.scale * numbers[:, :size])[:, order]
    exposures = numbers[:, size:][:, order] if numbers.shape[1] > size else numbers[:, size:]
    return np.hstack([(values - part.layout.center) / part.layout.scale, exposures])


def _log_scale(parts: Sequence[Part]) -> float:
    return float(-sum(np.log(part.layout.scale).sum() for part in parts if not part.layout.levels))


def follow(identity: Identity, before: Standing, after: Standing, seed: int, refresh: int, rows: Array) -> Identity:
    """Return the identity after a refresh: ids follow their components, and what happened to each is noted.

    Parameters
    ----------
    identity : Identity
        Before.
    before, after : Standing
        The components.
    seed : int
        For the simulated rows.
    refresh : int
        Its number.
    rows : array, shape (component,)
        Rows of this refresh in each component after.
    """
    alike = alikeness(before, after, seed)
    pairs = {int(j): int(i) for i, j in zip(*linear_sum_assignment(-alike), strict=True) if alike[i, j] >= ALIKE}
    ids, last, changes = [], identity.last, []
    for j in range(after.posterior.size):
        nearest = int(alike[:, j].argmax())
        related = alike[nearest, j] >= ALIKE
        if j in pairs:
            i = pairs[j]
            action, own, other, was, distance = "kept", identity.ids[i], None, before.weights[i], max(0.0, -np.log(alike[i, j]))
        else:
            last += 1
            action, own, was, distance = ("split" if related else "new"), last, 0.0, np.nan
            other = identity.ids[nearest] if related else None
        ids.append(own)
        changes.append(Change(refresh, action, own, other, float(was), float(after.weights[j]), float(distance), float(rows[j])))
    for i in sorted(set(range(before.posterior.size)) - set(pairs.values())):
        nearest = int(alike[i].argmax())
        into = ids[nearest] if alike[i, nearest] >= ALIKE else None
        changes.append(Change(refresh, "retired" if into is None else "merged", identity.ids[i], into,
                              float(before.weights[i]), 0.0, float("nan"), 0.0))
    return replace(identity, ids=tuple(ids), last=last, changes=(*identity.changes, *changes))
