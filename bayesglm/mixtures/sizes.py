"""Sizes: the same mixture with 1, 2, ... components, by its bound, by information criteria and by rows that were left out.

Each size is climbed from several k-means++ starts without splits or merges; the best bound stays. With L the log likelihood at
expected log parameters and p free parameters,

    BIC = -2 L + p log(rows),     AIC = -2 L + 2 p

Sources: Schwarz (1978), Annals of Statistics 6, 461-464; Akaike (1974), IEEE Transactions on Automatic Control 19, 716-723.
Their theory does not hold for mixtures; they are shown as second opinions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from bayesglm.errors import OptionError
from bayesglm.mixtures.ascent import Posterior, Problem, from_responsibilities
from bayesglm.mixtures.columns import Part
from bayesglm.mixtures.component import Array
from bayesglm.mixtures.expectation import assign
from bayesglm.mixtures.learning import coordinates, rows_and_bases
from bayesglm.mixtures.mixture import Mixture
from bayesglm.mixtures.moves import State, climb
from bayesglm.mixtures.scoring import log_density
from bayesglm.mixtures.starts import kmeans
from bayesglm.predict import check_seed

_SWEEPS = 300
_TIE = 1.0  # nats


@dataclass(frozen=True, slots=True, eq=False)
class Sizes:
    """Mixtures of several sizes held against each other.

    Attributes
    ----------
    table : DataFrame
        One line for each number of components: ``bound`` (nats), ``bic``, ``aic``, ``held_out`` (mean log density of a row that
        was left out, in the numbers that components see), its standard error, and ``starts_at_best``, the share of starts that
        came within 1 nat of the best bound of that size.
    recommended : int
        The smallest number of components whose bound is within 1 nat of the largest: one without rows costs nothing.
    reason : str
        Why, and which of the other criteria say otherwise.
    """

    table: pd.DataFrame
    recommended: int
    reason: str


def criteria(parts: Sequence[Part], problem: Problem, posterior: Posterior) -> tuple[float, float]:
    """Return BIC and AIC of a posterior on the rows of a problem."""
    _, logs = assign(posterior.natural, posterior.params, problem.held)
    free = posterior.size - 1 + sum(
        part.component.parameters(len(part.layout.names), len(part.layout.levels), posterior.size) for part in parts)
    likelihood = float(logs.sum() + problem.base)
    return -2 * likelihood + free * float(np.log(problem.rows)), -2 * likelihood + 2 * free


def compare_sizes(mixture: Mixture, *, seed: int, most: int | None = None, starts: int = 5, held_out: float = 0.2) -> Sizes:
    """Compare mixtures of 1 to ``most`` components by bound, BIC, AIC and left-out rows.

    Parameters
    ----------
    mixture : Mixture
        What is believed; of a table in pieces, its sample is taken.
    seed : int
        For the split and the starts.
    most : int, optional
        Largest number of components, at most ``mixture.max_components``; 8, or that where it is less.
    starts : int
        k-means++ starts of each size.
    held_out : float
        Share of rows that are left out of all fits and scored.

    Raises
    ------
    OptionError
        A number out of its range.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> data = {"x": np.concatenate([rng.normal(0, 1, 200), rng.normal(9, 1, 100)])}
    >>> found = compare_sizes(Mixture(["x"], data), seed=1, most=3)
    >>> found.recommended, found.reason
    (2, '2 components have a bound within 1 nat of the largest, and no fewer do; BIC, AIC and left-out rows say the same.')
    """
    most = min(8, mixture.max_components) if most is None else most
    if not 1 <= most <= mixture.max_components:
        raise OptionError(f"most={most!r}", value=most, rule=f"it is from 1 to the mixture's {mixture.max_components}",
                          fix="Raise max_components of the mixture, or leave it out.")
    if not 0 < held_out < 1:
        raise OptionError(f"held_out={held_out!r}", value=held_out, rule="it is a share, above 0 and below 1",
                          fix="Leave it out for 0.2.")
    if starts < 1:
        raise OptionError(f"starts={starts!r}", value=starts, rule="it is a whole number >= 1", fix="Leave it out for 5.")
    rng = np.random.default_rng(check_seed(seed))
    order, parts = rng.permutation(mixture.table.rows), mixture.parts
    cut = max(1, round(held_out * len(order)))
    test, train = (mixture.table.take(np.sort(rows)) for rows in (order[:cut], order[cut:]))
    rows, bases, numbers = rows_and_bases(parts, train)
    problem = replace(mixture.priors, held=rows, base=float(bases.sum()))
    left = [part.numbers(test) for part in parts]
    lines = []
    for count in range(1, min(most, problem.rows) + 1):
        states = climbs(problem, coordinates(parts, numbers), count, 1 if count == 1 else starts, rng)
        best = max(states, key=lambda state: state.bound)
        weights = problem.weights.mean(best.posterior.weights)
        score = log_density(parts, best.posterior, weights / weights.sum(), left)
        bic, aic = criteria(parts, problem, best.posterior)
        at_best = float(np.mean([state.bound > best.bound - _TIE for state in states]))
        lines.append({"components": count, "bound": best.bound, "bic": bic, "aic": aic, "held_out": float(score.mean()),
                      "held_out_se": float(score.std() / np.sqrt(len(score))), "starts_at_best": at_best})
    return _judged(pd.DataFrame(lines))


def climbs(problem: Problem, points: Array, count: int, starts: int, rng: np.random.Generator) -> list[State]:
    """Return where ascents of one size end, from k-means++ starts, without splits and merges."""
    found = []
    for _ in range(starts):
        posterior, _ = from_responsibilities(problem, kmeans(points, count, rng))
        found.append(climb(problem, posterior, _SWEEPS))
    return found


def _judged(table: pd.DataFrame) -> Sizes:
    sizes = table["components"]
    chosen = int(sizes[table["bound"] >= table["bound"].max() - _TIE].min())
    best = table.iloc[int(table["held_out"].to_numpy().argmax())]
    near = sizes[table["held_out"] >= best["held_out"] - best["held_out_se"]].tolist()
    others = {name.upper(): int(sizes.iloc[int(table[name].to_numpy().argmin())]) for name in ("bic", "aic")}
    others["left-out rows"] = chosen if chosen in near else int(best["components"])
    said = f"{chosen} component{'s have' if chosen > 1 else ' has'} a bound within 1 nat of the largest, and no fewer do"
    differ = [f"{name} says {size}" for name, size in others.items() if size != chosen]
    end = ", ".join(differ) if differ else "BIC, AIC and left-out rows say the same"
    at_end = " It is the largest that was tried: raise most=." if chosen == sizes.max() and chosen > 1 else ""
    return Sizes(table, chosen, f"{said}; {end}.{at_end}")
