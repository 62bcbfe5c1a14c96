"""Verdict: whether the draws of an approximation may be read as the posterior, with the evidence.

Importance weights r = p / q compare the posterior p with the approximation q at its own draws. They correct it, and say how good
it was: the shape k-hat of their largest values, the effective draws 1 / sum w^2, and how far they move means and sds.

    reliable    at least 400 effective draws, k-hat below its limit, no reported mean moved by more than 0.15 sd and no sd by
                more than 15 %; or, where the weights are too uneven to tell, draws that transitions of the exact posterior
                leave where they are (`bayesglm.engines.moves`). And in either case 5% and 95% quantiles that are not moved by
                more than 0.4 robust sds, and known within 0.15 (`bayesglm.engines.quantiles`).

Engines that approximate make one with `judge`; it travels with the fit, and checks and summaries show it.

Source: Vehtari, Simpson, Gelman, Yao and Gabry (2024), Journal of Machine Learning Research 25(72), for k-hat and the smoothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesglm.engines.quantiles import Tails
from bayesglm.engines.shifts import shifts, varying

Array = NDArray[np.float64]
FEWEST_EFFECTIVE = 400
MOST_MEAN_MOVED = 0.15
MOST_SD_MOVED = 0.15
MOST_QUANTILE_MOVED = 0.4  # robust sds; an sd that changes by 15 % moves a normal quantile by 0.25
MOST_QUANTILE_ERROR = 0.15
HIGHEST_K_HAT = 0.7
LEAST_ACCEPTANCE = 0.6


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Smoothed importance weights.

    Attributes
    ----------
    weight : array, shape (draw,)
        Nonnegative, with sum 1.
    k_hat : float
        Shape of the generalised Pareto distribution of the largest; infinite if the ratios were not finite.
    effective : float
        Number of effective draws.
    """

    weight: Array
    k_hat: float
    effective: float


@dataclass(frozen=True, slots=True)
class Moved:
    """How far something moved the draws, at worst.

    Attributes
    ----------
    mean : float
        Largest shift of a mean, in sds.
    mean_of : str
        Of which parameter.
    sd : float
        Largest relative change of an sd.
    sd_of : str
        Of which parameter.
    quantile : float
        Largest shift of a 5% or 95% quantile, in robust sds.
    quantile_of : str
        Of which parameter.
    not_finite : str
        Parameters with a weighted draw that is not finite: the first, and how many more.
    """

    mean: float
    mean_of: str
    sd: float
    sd_of: str
    quantile: float = 0.0
    quantile_of: str = ""
    not_finite: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """How well draws know the ends of intervals.

    Attributes
    ----------
    error : float
        Largest Monte Carlo error of a 5% or 95% quantile, in robust sds.
    error_of : str
        Of which parameter.
    """

    error: float
    error_of: str


@dataclass(frozen=True, slots=True)
class Drift:
    """What transitions of the exact posterior did to draws of an approximation.

    Attributes
    ----------
    score : float
        Largest change of a mean or a mean square, in Monte Carlo errors.
    score_of : str
        Of which parameter.
    limit : float
        What chance alone stays below in 99 of 100 runs.
    acceptance : float
        Mean acceptance of the transitions; where it is low, draws that stay prove nothing.
    draws : int
        How many draws were moved.
    """

    score: float
    score_of: str
    limit: float
    acceptance: float
    draws: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an approximation may be read as the posterior, with the evidence.

    Attributes
    ----------
    reliable : bool
        Whether it may.
    reasons : tuple of str
        Why not; empty if it may.
    correction : str
        What the draws were weighted by, in words; empty if they are as the approximation gave them.
    proposals : int
        Draws of the approximation that were looked at.
    effective : float
        Effective draws of the weights.
    k_hat, k_hat_limit : float
        Shape of their largest, and what it has to stay below.
    group_k_hat : float, optional
        The largest of single groups, where groups were integrated one by one.
    moved : Moved, optional
        How far the weights moved means and sds.
    drift : Drift, optional
        What transitions of the exact posterior did, where the weights could not tell.
    known : Known, optional
        How well the draws know 5% and 95% quantiles.
    """

    reliable: bool
    reasons: tuple[str, ...]
    correction: str
    proposals: int
    effective: float
    k_hat: float
    k_hat_limit: float
    group_k_hat: float | None = None
    moved: Moved | None = None
    drift: Drift | None = None
    known: Known | None = None

    @property
    def summary(self) -> str:
        """The verdict in a line."""
        found = [f"k-hat {self.k_hat:.2f}", f"{self.effective:.0f} effective of {self.proposals} draws"]
        if self.moved is not None:
            found.append(f"the correction moved means by up to {self.moved.mean:.2f} sd ({self.moved.mean_of}), "
                         f"sds by up to {self.moved.sd:.0%} ({self.moved.sd_of}) "
                         f"and 5% and 95% quantiles by up to {self.moved.quantile:.2f} sd ({self.moved.quantile_of})")
        if self.drift is not None:
            found.append(f"exact transitions moved {self.drift.score_of} the most, by {self.drift.score:.1f} Monte Carlo errors")
        if self.known is not None:
            found.append(f"5% and 95% quantiles are known within {self.known.error:.2f} sd ({self.known.error_of})")
        word = "reliable" if self.reliable else f"not reliable, because {'; '.join(self.reasons)}"
        return f"{word} ({', '.join(found)})"

    @property
    def evidence(self) -> list[tuple[str, str, float, float]]:
        """What was found, of which parameter, its value, and what it is held to."""
        found = [("effective draws", "", self.effective, float(FEWEST_EFFECTIVE)), ("k-hat", "", self.k_hat, self.k_hat_limit)]
        if self.group_k_hat is not None:
            found.append(("largest k-hat of a group", "", self.group_k_hat, HIGHEST_K_HAT))
        if self.moved is not None:
            found += [("mean moved by the correction, in sds", self.moved.mean_of, self.moved.mean, MOST_MEAN_MOVED),
                      ("sd changed by the correction, relative", self.moved.sd_of, self.moved.sd, MOST_SD_MOVED),
                      ("5% or 95% quantile moved by the correction, in robust sds", self.moved.quantile_of, self.moved.quantile,
                       MOST_QUANTILE_MOVED)]
        if self.drift is not None:
            found += [("moved by exact transitions, in Monte Carlo errors",
                       self.drift.score_of, self.drift.score, self.drift.limit),
                      ("acceptance of these transitions", "", self.drift.acceptance, LEAST_ACCEPTANCE)]
        if self.known is not None:
            found.append(("Monte Carlo error of a 5% or 95% quantile, in robust sds", self.known.error_of, self.known.error,
                          MOST_QUANTILE_ERROR))
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as numbers, texts, lists and mappings."""
        return asdict(self)

    @staticmethod
    def from_dict(told: Mapping[str, Any]) -> Verdict:
        """Return the verdict that `to_dict` wrote."""
        moved, drift, known = told["moved"], told["drift"], told.get("known")
        return Verdict(**{**told, "reasons": tuple(told["reasons"]), "moved": None if moved is None else Moved(**moved),
                          "drift": None if drift is None else Drift(**drift),
                          "known": None if known is None else Known(**known)})


def k_hat_limit(proposals: int) -> float:
    """Return what k-hat has to stay below for so many draws: min(1 - 1 / log10 S, 0.7).

    Examples
    --------
    >>> round(k_hat_limit(1_000), 2), k_hat_limit(100_000)
    (0.67, 0.7)
    """
    return float(min(1.0 - 1.0 / np.log10(max(proposals, 20)), HIGHEST_K_HAT))


def smooth(log_ratio: Array) -> Weights:
    """Return Pareto-smoothed weights of importance ratios.

    Parameters
    ----------
    log_ratio : array, shape (draw,)
        log p - log q up to a constant; minus infinity where p is 0.

    Examples
    --------
    >>> even = smooth(np.random.default_rng(0).normal(0.0, 0.1, 1_000))
    >>> round(even.effective, -1)
    990.0
    """
    from arviz_stats.base import array_stats

    finite = np.isfinite(log_ratio)
    if finite.sum() < 2 or not np.all(finite | (log_ratio == -np.inf)):
        return Weights(np.full(len(log_ratio), 1.0 / len(log_ratio)), np.inf, 0.0)
    # psislw takes the negative log ratios; what has no density is far below everything else.
    filled = np.where(finite, log_ratio - log_ratio[finite].max(), -700.0)
    if np.ptp(filled) < 1e-10:
        return even(len(log_ratio))
    log_weight, k_hat = array_stats.psislw(-filled)
    weight = np.where(finite, np.exp(log_weight - log_weight.max()), 0.0)
    weight /= weight.sum()
    return Weights(weight, float(k_hat), float(1.0 / (weight**2).sum()))


def even(size: int) -> Weights:
    """Return the weights of draws that are taken as they are."""
    return Weights(np.full(size, 1.0 / size), -np.inf, float(size))


def resample(weight: Array, size: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return indices of draws of equal weight, in random order: each comes as often as its weight says, rounded up or down.

    Examples
    --------
    >>> sorted(resample(np.array([0.5, 0.0, 0.5]), 4, np.random.default_rng(0)).tolist())
    [0, 0, 2, 2]
    """
    place = (np.arange(size) + rng.uniform()) / size
    index = np.searchsorted(np.cumsum(weight) / weight.sum(), place)
    return rng.permutation(np.minimum(index, len(weight) - 1))


def columns(variables: Mapping[str, Array]) -> tuple[list[str], Array]:
    """Return labels and draws, shape (draw, element), of variables of shape (draw, ...), without finite constants."""
    labels: list[str] = []
    parts: list[Array] = []
    for name, values in variables.items():
        flat = np.asarray(values, np.float64).reshape(len(values), -1)
        varies = varying(flat) | ~np.isfinite(flat).all(axis=0)
        places = np.stack(np.unravel_index(np.flatnonzero(varies), values.shape[1:] or (1,)), axis=1)
        labels += [f"{name}[{', '.join(map(str, place))}]" if values.ndim > 1 else name for place in places]
        parts.append(flat[:, varies])
    return labels, np.concatenate(parts, axis=1)


def moved(variables: Mapping[str, Array], before: Array, after: Array, tails: Tails | None = None) -> Moved:
    """Return how far means, sds and quantiles move from one set of weights to another; quantiles less what is chance.

    What does not vary has not moved. Draws without weight in the posterior do not count where they are not finite.

    Parameters
    ----------
    variables : mapping
        Reported variables at the draws, shape (draw, ...).
    before, after : array, shape (draw,)
        Weights with sum 1: those of the approximation (all equal if the draws are its own), and those of the posterior.
    tails : Tails, optional
        The ends of intervals under the latter, if they are known.

    Examples
    --------
    >>> draws = np.array([0.0, 1.0, 2.0, 3.0])
    >>> found = moved({"x": draws}, np.full(4, 0.25), np.array([0.1, 0.2, 0.3, 0.4]))
    >>> found.mean_of, round(found.mean, 2)
    ('x', 0.5)
    """
    labels, values = columns(variables)
    found = shifts(values, before, after, tails)
    wrong = [label for label, sound in zip(labels, found.sound, strict=True) if not sound]
    others = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    return Moved(*_largest(found.mean, labels), *_largest(found.sd, labels), *_largest(found.quantile, labels),
                 not_finite=wrong[0] + others if wrong else "")


def _largest(values: Array, labels: Sequence[str]) -> tuple[float, str]:
    worst = int(np.argmax(values)) if len(labels) else -1
    return (float(values[worst]), labels[worst]) if len(labels) else (0.0, "")


def known(labels: Sequence[str], tails: Tails) -> Known:
    """Return how well draws know 5% and 95% quantiles, at worst.

    Parameters
    ----------
    labels : sequence of str
        Parameters.
    tails : Tails
        The ends of their intervals.
    """
    return Known(*_largest(tails.errors(), labels))


def judge(
    weights: Weights, moved: Moved | None, *, correction: str, drift: Drift | None = None, group_k_hat: float | None = None,
    known: Known | None = None, against: tuple[str, ...] = (),
) -> Verdict:
    """Return the verdict on an approximation.

    Parameters
    ----------
    weights : Weights
        Of its draws.
    moved : Moved, optional
        How far the weights moved means and sds.
    correction : str
        What the draws were weighted by; empty if the draws that are returned are not weighted.
    drift : Drift, optional
        What transitions of the exact posterior did to its draws; decides where `conclusive` says that the weights cannot.
    group_k_hat : float, optional
        The largest k-hat of groups that were integrated one by one.
    known : Known, optional
        How well the draws that are returned know 5% and 95% quantiles.
    against : tuple of str
        What speaks against it whatever the weights say, such as a curvature that is not positive definite.
    """
    proposals = len(weights.weight)
    reasons = list(against)
    if moved is not None and moved.not_finite:
        reasons.append(f"draws of {moved.not_finite} are not finite")
    if weights.effective >= FEWEST_EFFECTIVE:  # whatever k-hat is: so many draws have seen at least this
        reasons += _moved_too_far(moved)
    if not conclusive(weights):
        reasons += _drifted(drift) if drift is not None else [
            f"k-hat is {weights.k_hat:.2f} and {weights.effective:.0f} effective draws remain of {proposals}"]
    if group_k_hat is not None and not group_k_hat < HIGHEST_K_HAT:
        reasons.append(f"a group has k-hat {group_k_hat:.2f}")
    if known is not None and not known.error <= MOST_QUANTILE_ERROR:
        reasons.append(f"5% and 95% quantiles of {known.error_of} are known within {known.error:.2f} sd only")
    return Verdict(not reasons, tuple(reasons), correction, proposals, weights.effective, weights.k_hat, k_hat_limit(proposals),
                   group_k_hat, moved, drift, known)


def conclusive(weights: Weights) -> bool:
    """Return whether weights are even enough to be believed; else `bayesglm.engines.moves.drift` decides."""
    return weights.effective >= FEWEST_EFFECTIVE and weights.k_hat < k_hat_limit(len(weights.weight))


def _moved_too_far(moved: Moved | None) -> list[str]:
    if moved is None:
        return []
    found = []
    if not moved.mean <= MOST_MEAN_MOVED:
        found.append(f"the correction moves the mean of {moved.mean_of} by {moved.mean:.2f} sd")
    if not moved.quantile <= MOST_QUANTILE_MOVED:
        found.append(f"the correction moves a 5% or 95% quantile of {moved.quantile_of} by {moved.quantile:.2f} sd")
    if not moved.sd <= MOST_SD_MOVED:
        found.append(f"the correction changes the sd of {moved.sd_of} by {moved.sd:.0%}")
    return found


def _drifted(drift: Drift) -> list[str]:
    found = []
    if not drift.score <= drift.limit:
        found.append(f"exact transitions move {drift.score_of} by {drift.score:.1f} Monte Carlo errors")
    if not drift.acceptance >= LEAST_ACCEPTANCE:
        found.append(f"only {drift.acceptance:.0%} of exact transitions are accepted")
    return found
