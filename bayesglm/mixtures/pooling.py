"""Pooling: one mixture for all groups, one for each, or shared components with weights of each group, by held-out density."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from scipy.special import logsumexp, softmax

from bayesglm.errors import OptionError
from bayesglm.mixtures.columns import read_rows
from bayesglm.mixtures.component import Array
from bayesglm.mixtures.fit import MixtureFit
from bayesglm.mixtures.membership import read_column
from bayesglm.mixtures.mixture import Mixture
from bayesglm.mixtures.scoring import log_predictive
from bayesglm.predict import LEVEL, check_seed, interval_names

PRIOR_ROWS = 10.0  # how many rows the weights of all groups together count as in each group
_FEWEST = 20
_SWEEPS = 200


def compare_pooling(columns: Sequence[str], data: Any, by: str, *, seed: int, held_out: float = 0.3,
                    **options: Any) -> pd.DataFrame:
    """Compare one mixture for all groups, one for each group, and shared components with weights of each group.

    Each learns from the same random rows of every group and is scored on the others.

    Parameters
    ----------
    columns : sequence of str
        The columns to describe.
    data : data frame
        Rows with those columns and the group.
    by : str
        The column of groups: the service.
    seed : int
        For the split and the fits.
    held_out : float
        Share of each group's rows that are scored.
    **options
        Of `Mixture`.

    Returns
    -------
    pandas.DataFrame
        One line each for ``global``, ``per_group`` and ``shared``, the best first: mean held-out log density a row, its
        difference from the best with a paired standard error and 90 % interval, and the number of components.

    Raises
    ------
    OptionError
        A group with too few rows, or a share that is none.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> site = np.repeat(["a", "b"], 150)
    >>> data = {"x": rng.normal(np.where(site == "a", 0, 8), 1), "site": site}
    >>> compare_pooling(["x"], data, "site", seed=1, max_components=4)["model"].tolist()[-1]
    'global'
    """
    if not 0 < held_out < 1:
        raise OptionError(f"held_out={held_out!r}", value=held_out, rule="it is a share, above 0 and below 1",
                          fix="Leave it out for 0.3.")
    seed = check_seed(seed)
    groups, place = np.unique(read_column(data, by).labels(), return_inverse=True)
    _check_sizes(groups, place, by)
    rng = np.random.default_rng(seed)
    test = np.zeros(len(place), bool)
    for group in range(len(groups)):
        rows = np.flatnonzero(place == group)
        test[rng.permutation(rows)[: max(1, round(held_out * len(rows)))]] = True
    read, _ = read_rows(data, list(columns))
    table = pd.DataFrame({name: read[name].labels() for name in columns})
    pooled = Mixture(columns, table[~test], **options).fit(seed=seed)
    apart = [Mixture(columns, table[~test & (place == group)], **options).fit(seed=seed) for group in range(len(groups))]
    found = {"global": pooled.score(table[test]), "shared": _shared(pooled, table, place, test),
             "per_group": np.empty(int(test.sum()))}
    for group, fit in enumerate(apart):
        held = place[test] == group
        found["per_group"][held] = fit.score(table[test & (place == group)])
    sizes = {"global": pooled.posterior.size, "shared": pooled.posterior.size,
             "per_group": sum(fit.posterior.size for fit in apart)}
    return _ranked(found, sizes)


def _check_sizes(groups: NDArray[Any], place: NDArray[np.intp], by: str) -> None:
    counts = np.bincount(place)
    if len(groups) < 2:
        raise OptionError("the column has one group", column=by, rule="groups are compared with each other",
                          fix="Give at least two.")
    if counts.min() < _FEWEST:
        raise OptionError(f"the group {groups[counts.argmin()]} has {counts.min()} rows", column=by, value=int(counts.min()),
                          rule=f"a mixture of its own needs at least {_FEWEST}",
                          fix="Leave small groups out, or put them together.")


def group_weights(logs: Array, weights: Array) -> Array:
    """Return the weights of one group given components, shape (component,): variational, with a Dirichlet prior at ``weights``.

    Parameters
    ----------
    logs : array, shape (row, component)
        Log density of the group's rows in each component.
    weights : array, shape (component,)
        Weights in all groups together, which count as 10 rows.
    """
    prior = PRIOR_ROWS * weights
    found = weights
    for _ in range(_SWEEPS):
        before = found
        counts = softmax(logs + np.log(found), axis=1).sum(axis=0)
        found = (prior + counts) / (prior + counts).sum()
        if np.abs(found - before).max() < 1e-8:
            break
    return found


def _shared(fit: MixtureFit, table: pd.DataFrame, place: NDArray[np.intp], test: NDArray[np.bool_]) -> Array:
    """Return the held-out log density under shared components, with weights learnt in each group."""
    held = fit.read(table)
    numbers = [part.numbers(held) for part in fit.parts]
    logs = log_predictive(fit.parts, fit.posterior, fit.weights, numbers) - np.log(fit.weights)
    jacobian = fit.log_jacobian(held, numbers)
    found = np.empty(len(place))
    for group in np.unique(place):
        rows = place == group
        weights = group_weights(logs[rows & ~test], fit.weights)
        found[rows] = logsumexp(logs[rows] + np.log(weights), axis=1)
    return np.asarray((found + jacobian)[test])


def _ranked(found: dict[str, Array], sizes: dict[str, int]) -> pd.DataFrame:
    names: Sequence[str] = sorted(found, key=lambda name: -float(found[name].mean()))
    best = found[names[0]]
    low, high = interval_names("difference", LEVEL)
    half = float(stats.norm.ppf((1 + LEVEL) / 2))
    lines = []
    for name in names:
        away = found[name] - best
        error = float(away.std(ddof=1) / np.sqrt(len(away)))
        mean = float(away.mean())
        lines.append({"model": name, "score": float(found[name].mean()), "difference": mean, "standard_error": error,
                      low: mean - half * error, high: mean + half * error, "components": sizes[name], "rows": len(away)})
    return pd.DataFrame(lines)
