"""Association: whether rows with a label, such as a deployment, belong to a component more often than rows as a whole.

For one component with expected members y_l among the n_l rows of label l, and the log odds of the share in all rows eta_0,

    y_l ~ Binomial(n_l, logit^-1(eta_0 + delta_l)),   delta_l ~ Normal(0, tau^2),
    P(tau = 0) = 1/2,   else tau ~ |Normal(0, 1)|

so labels are shrunk together, the more so the less they differ: with many labels the largest of them is not taken at its word,
and where nothing differs the posterior says so. Given tau each delta has its Laplace approximation; tau is summed over a grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats
from scipy.special import expit, logsumexp, ndtr, xlogy

from bayesglm.errors import OptionError
from bayesglm.mixtures.component import Array
from bayesglm.predict import LEVEL, interval_names

_TAUS = np.geomspace(0.02, 4.0, 28)
_STEPS = 40
_POINTS = 201
_FINE = np.linspace(-3.5, 3.5, 15)
SURE = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Shrunk:
    """Shares of several groups, shrunk towards the whole.

    Attributes
    ----------
    share, low, high : array, shape (group,)
        Posterior mean and ends of the 90 % interval.
    higher : array, shape (group,)
        Probability that the group's share is above that of all rows.
    whole : float
        Share of all rows together.
    differs : float
        Probability that groups differ at all.
    """

    share: Array
    low: Array
    high: Array
    higher: Array
    whole: float
    differs: float


def _modes(y: Array, n: Array, base: float, taus: Array) -> tuple[Array, Array, Array]:
    """Return mode and sd of each delta given tau, shape (tau, group), and the log evidence of tau, (tau,)."""
    precision = (1 / taus**2)[:, None]
    delta = np.zeros((len(taus), len(y)))
    for _ in range(_STEPS):
        p = expit(base + delta)
        step = (y - n * p - precision * delta) / (n * p * (1 - p) + precision)
        delta += np.clip(step, -1.0, 1.0)
    p = expit(base + delta)
    sd = 1 / np.sqrt(n * p * (1 - p) + precision)
    logs = xlogy(y, p) + xlogy(n - y, 1 - p) - precision * delta**2 / 2 + np.log(sd * np.sqrt(precision))
    return delta, sd, np.asarray(logs.sum(axis=1))


def shrink(members: Array, totals: Array) -> Shrunk:
    """Return the shares of groups, shrunk towards the share of all of them together.

    Parameters
    ----------
    members : array, shape (group,)
        How many of each group are counted; may be expected numbers, so no whole ones.
    totals : array, shape (group,)
        How many each group has, above 0.

    Examples
    --------
    >>> found = shrink(np.array([10.0, 11.0, 60.0, 9.0]), np.array([100.0, 100.0, 100.0, 100.0]))
    >>> found.share.round(2).tolist(), found.higher.round(2).tolist()
    ([0.11, 0.12, 0.59, 0.1], [0.0, 0.0, 1.0, 0.0])
    """
    y, n = members.astype(np.float64), totals.astype(np.float64)
    least = 0.5 / (n.sum() + 1)
    whole = float(np.clip(y.sum() / n.sum(), least, 1 - least))
    base = float(np.log(whole) - np.log1p(-whole))
    delta, sd, evidence = _modes(y, n, base, _TAUS)
    prior = stats.halfnorm.logpdf(_TAUS) + np.log(np.gradient(_TAUS))
    slab = evidence + prior - logsumexp(prior)
    none = float((xlogy(y, whole) + xlogy(n - y, 1 - whole)).sum())
    logs = np.concatenate([[none], slab]) + np.log(0.5)
    weight = np.exp(logs - logsumexp(logs))
    higher = weight[1:] @ ndtr(delta / sd)
    share, low, high = _summed(weight, delta, sd, base)
    return Shrunk(share, low, high, higher, whole, float(1 - weight[0]))


def _summed(weight: Array, delta: Array, sd: Array, base: float) -> tuple[Array, Array, Array]:
    """Return mean and quantiles of shares, over tau: a point at no difference and one Gaussian for each tau."""
    share, low, high = (np.empty(delta.shape[1]) for _ in range(3))
    for group in range(delta.shape[1]):
        m, s = delta[:, group], sd[:, group]
        reach = max(float(np.abs(m).max() + 6 * s.max()), 1e-6)
        fine = (m + np.outer(_FINE, s)).ravel()
        near = np.sort(np.concatenate([fine, np.linspace(-reach, reach, _POINTS), [-2e-9, 0.0]]))
        passed = weight[0] * (near >= -1e-9) + weight[1:] @ ndtr((near - m[:, None]) / s[:, None])
        middle, mass = (near[1:] + near[:-1]) / 2, np.diff(passed)
        share[group] = (expit(base + middle) * mass).sum() / mass.sum()
        ends = np.interp([(1 - LEVEL) / 2, (1 + LEVEL) / 2], passed, near)
        low[group], high[group] = expit(base + ends)
    return share, low, high


@dataclass(frozen=True, slots=True, eq=False)
class Association:
    """Which labels go together with which components.

    Attributes
    ----------
    table : pandas.DataFrame
        One line a component and label, the surest first.
    note : str
        How many comparisons there were, and what keeps them honest.
    """

    table: pd.DataFrame
    note: str

    def __str__(self) -> str:
        return f"{self.table.to_string(index=False)}\n{self.note}"

    __repr__ = __str__


def enrichment(ids: Sequence[int], responsibilities: Array, labels: ArrayLike, name: str) -> Association:
    """Return how much more often rows with each label belong to each component.

    Parameters
    ----------
    ids : sequence of int
        Ids of the components.
    responsibilities : array, shape (row, component)
        Probability of each component.
    labels : array, shape (row,)
        The label of each row.
    name : str
        What the labels are.

    Returns
    -------
    Association
        ``share`` of the label's rows in the component after shrinkage, ``overall`` share, their ``ratio`` with its 90 % interval,
        and ``probability_higher``.
    """
    held, place = np.unique(np.asarray(labels), return_inverse=True)
    _check_groups(len(held), len(place), name)
    totals = np.bincount(place).astype(np.float64)
    low, high = interval_names("ratio", LEVEL)
    lines = []
    for k, id in enumerate(ids):
        members = np.bincount(place, weights=responsibilities[:, k])
        found = shrink(members, totals)
        lines.append(pd.DataFrame({
            "id": id, name: held, "rows": totals.astype(int), "members": members, "share": found.share, "overall": found.whole,
            "ratio": found.share / found.whole, low: found.low / found.whole, high: found.high / found.whole,
            "probability_higher": found.higher}))
    table = pd.concat(lines, ignore_index=True)
    order = np.lexsort((-table["ratio"], -table["probability_higher"].round(6)))
    note = _note(len(ids), len(held), table["probability_higher"].to_numpy())
    return Association(table.iloc[order].reset_index(drop=True), note)


def outcome_rates(ids: Sequence[int], responsibilities: Array, outcome: Array) -> Association:
    """Return how often an outcome, such as an error, happens in each component.

    Parameters
    ----------
    ids : sequence of int
        Ids of the components.
    responsibilities : array, shape (row, component)
        Probability of each component.
    outcome : array, shape (row,)
        0 or 1 in each row.
    """
    wrong = np.flatnonzero((outcome != 0) & (outcome != 1))
    if len(wrong):
        raise OptionError(f"{len(wrong)} outcomes that are neither 0 nor 1", value=float(outcome[wrong[0]]),
                          rows=wrong[:20].tolist(), rule="an outcome happened or did not", fix="Give booleans, or 0 and 1.")
    totals, members = responsibilities.sum(axis=0), outcome @ responsibilities
    kept = totals > 1e-9
    found = shrink(members[kept], totals[kept])
    low, high = interval_names("rate", LEVEL)
    table = pd.DataFrame({"id": np.asarray(ids)[kept], "rows": totals[kept], "events": members[kept], "rate": found.share,
                          low: found.low, high: found.high, "overall": found.whole, "probability_higher": found.higher})
    order = np.lexsort((-table["rate"], -table["probability_higher"].round(6)))
    return Association(table.iloc[order].reset_index(drop=True), _note(int(kept.sum()), 1, found.higher))


def _check_groups(groups: int, rows: int, name: str) -> None:
    if groups < 2:
        raise OptionError("the column has one label", column=name, rule="labels are compared with each other",
                          fix="Give rows with at least two labels.")
    if groups > 1 and groups == rows:
        raise OptionError(f"every one of the {rows} rows has a label of its own", column=name,
                          rule="a label stands for several rows", fix="Group the labels.")


def _note(components: int, labels: int, higher: Array) -> str:
    sure = higher[higher > SURE]
    false = float((1 - sure).sum())
    return (f"{components * labels} comparisons; probabilities are shrunk and start from no difference at all (probability 1/2). "
            f"{len(sure)} above {SURE:g}, of which {false:.2g} expected to be wrong. Rows count as independent: where neighbours "
            "in time resemble each other, the probabilities are too sure. An association is no cause.")
