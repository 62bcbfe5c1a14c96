"""Replicates: responses drawn from a fit for the rows it was fitted to, some posterior draws at a time.

Every predictive check compares a statistic of the observed responses with the same statistic of replicates. Replicates
come in pieces over posterior draws, each with all rows, so that any statistic of a whole column can be taken whatever
the memory. Rows that add nothing to the likelihood (exposure, trials or weight 0) are left out, and a row with weight w
stands as w units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesglm.checks.check import CheckResult, Verdict, not_applicable
from bayesglm.fitted import Fitted
from bayesglm.rows import linear_predictor, parameters, rows_of, states, thin
from bayesglm.specification import Problem

Array = NDArray[np.float64]

SAMPLES, FEWEST_SAMPLES = 500, 250
MOST_DRAWS = 4e7  # draws times units of one check; of more, fewer draws are taken, but never so few that p says nothing
ALARM = 0.01  # two-sided posterior predictive probability below which a statistic counts as off
FAR = 5.0  # predictive standard deviations from which a statistic that is off fails the check
LEVEL = 0.90
PIECE_NUMBERS = 2**20  # draws times units held at once
WITHOUT_DATA = "the fit was saved without its data: save it with save(path, data=True) to check it against them"


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """What a fit is held against.

    Attributes
    ----------
    rows : int array, shape (unit,)
        Positions in the table; a row with weight w stands w times.
    pattern : int array, shape (unit,)
        Covariate pattern of each unit.
    observed : array, shape (unit,)
        Responses (codes for a category).
    trials : array, shape (unit,), optional
        Trials.
    """

    rows: NDArray[np.intp]
    pattern: NDArray[np.intp]
    observed: Array
    trials: Array | None

    @property
    def size(self) -> int:
        """Number of units."""
        return len(self.rows)


@dataclass(frozen=True, slots=True, eq=False)
class Replicate:
    """Some posterior draws of all units.

    Attributes
    ----------
    numbers : mapping
        Parameters of the family on their natural scale, exposure included, shape (sample, unit) or (sample, 1).
    drawn : array, shape (sample, unit)
        Drawn responses.
    """

    numbers: Mapping[str, Array]
    drawn: Array


def units_of(problem: Problem) -> Units:
    """Return the units of a problem."""
    data = problem.observations
    kept = np.flatnonzero(data.informative)
    rows = np.repeat(kept, data.weights[kept].astype(np.intp))
    trials = None if data.trials is None else data.trials[rows]
    return Units(rows, problem.patterns.index[rows], data.response[rows], trials)


def replicates(fitted: Fitted, units: Units, seed: int, *, samples: int | None = None) -> Iterator[Replicate]:
    """Draw replicates of all units from thinned posterior draws, known group effects included.

    Parameters
    ----------
    fitted : Fitted
        The posterior, with its data.
    units : Units
        From `units_of`.
    seed : int
        The same seed gives the same replicates.
    samples : int, optional
        Number of posterior draws, evenly spread; by default 500, fewer of very many units.
    """
    problem, family = fitted.data(), fitted.specification.family
    coded = rows_of(fitted, problem)
    if samples is None:
        samples = int(np.clip(MOST_DRAWS // max(units.size, 1), FEWEST_SAMPLES, SAMPLES))
    which, rng = thin(fitted, samples), np.random.default_rng(seed)
    patterns = np.arange(problem.patterns.table.rows)
    step = max(1, PIECE_NUMBERS // max(units.size, 1))
    for begin in range(0, len(which), step):
        part = which[begin:begin + step]
        etas = {}
        for predictor, each in zip(fitted.specification.predictors, coded.coded, strict=True):
            eta, _ = linear_predictor(states(fitted, predictor, each, part, "conditional", rng), each, patterns)
            etas[predictor.parameter] = eta[:, units.pattern]
        numbers = parameters(fitted, coded, etas, units.rows, part)
        drawn = np.asarray(family.draw(rng, numbers, units.trials), dtype=np.float64)
        yield Replicate(numbers, np.broadcast_to(drawn, (len(part), units.size)))


Statistics = Mapping[str, Array]


def collect(
    fitted: Fitted, units: Units, seed: int, statistics: Callable[[Replicate], Statistics], *, samples: int | None = None,
) -> dict[str, Array]:
    """Return statistics of every replicate, draws in front.

    Parameters
    ----------
    fitted, units, seed, samples : Fitted, Units, int, int or None
        See `replicates`.
    statistics : callable
        ``statistics(replicate)``: name to an array of shape (sample, ...).
    """
    pieces: dict[str, list[Array]] = {}
    for each in replicates(fitted, units, seed, samples=samples):
        for name, value in statistics(each).items():
            pieces.setdefault(name, []).append(value)
    return {name: np.concatenate(parts) for name, parts in pieces.items()}


def two_sided(above: Array, equal: Array) -> Array:
    """Return the two-sided mid-p of P(replicate > observed) and P(replicate = observed).

    Examples
    --------
    >>> two_sided(np.array([0.0, 0.5, 0.99]), np.array([0.0, 0.0, 0.01])).tolist()
    [0.0, 1.0, 0.01]
    """
    upper = above + 0.5 * equal
    return np.minimum(1.0, 2.0 * np.minimum(upper, 1.0 - upper)).round(12)


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """An observed statistic against its replicates; arrays where there are several.

    Attributes
    ----------
    observed, mean, lower, upper : array
        The statistic, its predictive mean and 90 % equal-tailed interval.
    p : array
        Two-sided posterior predictive mid-p.
    distance : array
        (observed - mean) in predictive standard deviations; 0 where the replicates do not vary.
    """

    observed: Array
    mean: Array
    lower: Array
    upper: Array
    p: Array
    distance: Array


def compare(observed: Array, drawn: Array, *, whole: bool = False) -> Comparison:
    """Compare observed statistics, shape (...), with replicates of shape (sample, ...).

    Parameters
    ----------
    observed, drawn : array
        The statistics.
    whole : bool
        Whether the statistic is one of the responses and these are whole numbers, so that interval ends are too.
    """
    ends = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0, method="inverted_cdf" if whole else "linear")
    mean, sd = drawn.mean(axis=0), drawn.std(axis=0)
    close = np.isclose(drawn, observed, rtol=1e-9, atol=1e-12)
    p = two_sided(np.asarray(((drawn > observed) & ~close).mean(axis=0)), np.asarray(close.mean(axis=0)))
    distance = np.divide(observed - mean, sd, out=np.zeros_like(mean), where=sd > 0)
    return Comparison(np.asarray(observed), mean, ends[0], ends[1], p, distance)


def judge(p: Array, distance: Array) -> Verdict:
    """Pass where no p is below 0.01; fail where one of these lies 5 predictive standard deviations off; else warn."""
    off = np.asarray(p) < ALARM
    if not off.any():
        return "pass"
    return "fail" if (np.abs(np.asarray(distance)[off]) >= FAR).any() else "warn"


def say_p(p: float, samples: int) -> str:
    """Return a posterior predictive probability in words that its number of draws supports.

    Examples
    --------
    >>> say_p(0.0, 500), say_p(0.251, 500)
    ('p < 0.002', 'p = 0.25')
    """
    return f"p < {1 / samples:.2g}" if p < 1 / samples else f"p = {p:.2g}"


def with_data(name: str, run: Callable[[Fitted, int], CheckResult]) -> Callable[[Fitted, int], CheckResult]:
    """Return a check's ``run`` that answers "not applicable" where the fit has no data, or none in the likelihood."""
    def checked(fitted: Fitted, seed: int) -> CheckResult:
        if fitted.problem is None:
            return not_applicable(name, WITHOUT_DATA)
        if not fitted.problem.observations.informative.any():
            return not_applicable(name, "no row of the data is in the likelihood")
        return run(fitted, seed)

    return checked
