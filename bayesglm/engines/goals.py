"""Goals: how many effective draws each variable should have, and whether the draws of all chains meet them.

The sampling loop asks after every block. Whatever the goal, the 5% and the 95% quantile of every element are to be known within
0.1 robust sds (`bayesglm.engines.quantiles`). Bulk and tail effective size and R-hat are the rank-normalised ones of Vehtari,
Gelman, Simpson, Carpenter and Bürkner (2021), Bayesian Analysis 16, 667, for many elements at once, as ArviZ defines them one by
one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesglm.engines.quantiles import ENOUGH, LEVELS, ROBUST, tails

Array = NDArray[np.float64]
STRICT_FROM = 1_000
FEWEST = 6  # draws a chain: halves of three have an autocorrelation
LONGEST = 1 / 0.3  # half of a 90% interval, in robust sds, whose ends are to be known within 0.1 of these; 1.645 if it is normal
NUMBERS_AT_ONCE = 200_000  # draws of a chunk of elements, so that they stay in the cache


@dataclass(frozen=True, slots=True, eq=False)
class Effective:
    """What draws are worth, one entry for each element.

    Attributes
    ----------
    bulk, tail : array, shape (element,)
        Effective sample sizes: rank-normalised, and the smaller of those at the 5% and 95% quantiles.
    r_hat : array, shape (element,)
        The larger of rank-normalised split R-hat and its folded form.
    error : array, shape (element,)
        Of the 5% or the 95% quantile, whichever is larger, in robust sds; in units of 0.3 of the way from the middle of the 90%
        interval to its ends where that is more, as for the spike of a horseshoe, whose quantiles lie nine robust sds out.
    """

    bulk: Array
    tail: Array
    r_hat: Array
    error: Array

    def meets(self, goal: float) -> NDArray[np.bool_]:
        """Say for each element whether bulk and tail reach a goal, the quantiles are known and the chains agree."""
        return (self.bulk >= goal) & (self.tail >= goal) & (self.error <= ENOUGH) & (self.r_hat <= highest_r_hat(goal))

    def times(self, goal: float) -> Array:
        """Return how many times as many draws each element would need, were every draw worth the same; at least 1."""
        with np.errstate(divide="ignore"):
            return np.maximum(np.maximum(goal / self.bulk, goal / self.tail), np.maximum((self.error / ENOUGH) ** 2, 1.0))


def highest_r_hat(goal: float) -> float:
    """Return the largest R-hat allowed where so many effective draws are wanted.

    Of E independent draws in 8 half chains R-hat is near sqrt(1 + (c / 7 - 1) 8 / E), with c from a chi-square of 7 degrees of
    freedom: at E = 1,000 one element in 1,000 lies above 1.01; at 400 one in 20 does, and one in 300 lies above 1.02.
    """
    return 1.01 if goal >= STRICT_FROM else 1.02


@dataclass(frozen=True, slots=True, eq=False)
class Suspects:
    """The elements that fell short the last time: they are looked at first, and all others only once these are met.

    Attributes
    ----------
    found : dict
        Variable to the positions of its elements, flattened.
    """

    found: dict[str, NDArray[np.intp]] = field(default_factory=dict)

    def replace(self, name: str, elements: NDArray[np.intp]) -> None:
        """Hold these elements and no others."""
        self.found.clear()
        self.found[name] = elements


def needed(draws: Mapping[str, NDArray[np.floating]], goals: Mapping[str, float], suspects: Suspects) -> float:
    """Return how many times as many draws the first elements found to fall short need; 0 if every element meets its goal.

    Parameters
    ----------
    draws : mapping
        Variable to its draws so far, shape (draw, chain, ...).
    goals : mapping
        Variable to the effective size each of its elements should have.
    suspects : Suspects
        Where to look first; updated. Whether the answer is 0 does not depend on it, only how soon that is found.
    """
    names = sorted(goals, key=lambda each: draws[each][0].size)
    others = ((name, elements) for name in names for elements in _chunks(draws[name]))
    for name, elements in chain(list(suspects.found.items()), others):
        found = _elements(draws[name], elements)
        short = ~found.meets(goals[name])
        if short.any():
            suspects.replace(name, elements[short])
            return float(found.times(goals[name])[short].max())
    return 0.0


class Least(NamedTuple):
    """What the worst elements of a variable have.

    Attributes
    ----------
    bulk, tail : float
        Smallest effective sizes.
    r_hat : float
        Largest R-hat.
    error : float
        Largest error of a 5% or 95% quantile, in robust sds.
    """

    bulk: float
    tail: float
    r_hat: float
    error: float

    def short_of(self, goal: float) -> str:
        """Say in words what is missing, empty if nothing is."""
        found = []
        if min(self.bulk, self.tail) < goal or self.r_hat > highest_r_hat(goal):
            found.append(f"{min(self.bulk, self.tail):.0f} of {goal:.0f} effective draws (R-hat {self.r_hat:.3f})")
        if self.error > ENOUGH:
            found.append(f"a quantile known within {self.error:.2f} sd and not {ENOUGH}")
        return " and ".join(found)


def worst(draws: Mapping[str, NDArray[np.floating]], goals: Mapping[str, float]) -> dict[str, Least]:
    """Return what the worst elements of each goal variable have.

    Parameters
    ----------
    draws : mapping
        Variable to its draws, shape (draw, chain, ...).
    goals : mapping
        Variables to look at.
    """
    found = {}
    for name in goals:
        parts = [_elements(draws[name], elements) for elements in _chunks(draws[name])]
        found[name] = Least(float(min(each.bulk.min() for each in parts)), float(min(each.tail.min() for each in parts)),
                            float(max(each.r_hat.max() for each in parts)), float(max(each.error.max() for each in parts)))
    return found


def _chunks(values: NDArray[np.floating]) -> Iterator[NDArray[np.intp]]:
    n_draw, n_chain = values.shape[:2]
    elements = np.arange(values[0, 0].size)
    yield from np.array_split(elements, range(0, len(elements), max(1, NUMBERS_AT_ONCE // (n_draw * n_chain)))[1:])


def _elements(values: NDArray[np.floating], elements: NDArray[np.intp]) -> Effective:
    n_draw, n_chain = values.shape[:2]
    chosen = values.reshape(n_draw, n_chain, -1)[:, :, elements]
    return effective(np.ascontiguousarray(chosen.transpose(2, 1, 0), dtype=np.float64), among=values[0, 0].size)


def effective(draws: Array, among: int | None = None) -> Effective:
    """Return what the draws of many elements are worth.

    Parameters
    ----------
    draws : array, shape (element, chain, draw)
        An element that never changes counts all its draws and has R-hat 1; one with a value that is not finite has none and
        R-hat infinity, and so has every element where a chain has fewer than 6 draws.
    among : int, optional
        How many elements there are altogether; by default these.

    Examples
    --------
    >>> found = effective(np.random.default_rng(0).normal(size=(1, 4, 500)))
    >>> bool(found.meets(1_000)[0])
    True
    """
    if draws.shape[2] < FEWEST:
        none, unknown = np.zeros(len(draws)), np.full(len(draws), np.inf)
        return Effective(none, none, unknown, unknown)
    whole = np.isfinite(draws).all(axis=(1, 2))
    draws = np.where(whole[:, None, None], draws, 0.0)
    pieces = _split(draws)
    normal, median = _normal_scores(pieces)
    folded, deviation = _normal_scores(np.abs(pieces - median[:, None, None]))
    quantiles = np.quantile(draws, LEVELS, axis=(1, 2))
    tail = np.array([effective_size(_split(draws <= quantiles[at, :, None, None])) for at in (1, 4)])
    sd = ROBUST * deviation
    reach = np.divide(quantiles[4] - quantiles[1], 2 * sd, out=np.zeros_like(sd), where=sd > 0)
    error = tails(list(quantiles), sd, tail).errors(among=among) / np.maximum(1.0, reach / LONGEST)
    total = float(draws[0].size)
    still = np.ptp(draws, axis=(1, 2)) < np.finfo(float).resolution
    with np.errstate(divide="ignore", invalid="ignore"):
        r_hat = np.maximum(potential_scale_reduction(normal), potential_scale_reduction(folded))
    return Effective(*(np.select([~whole, still], [wrong, constant], values) for values, constant, wrong in (
        (effective_size(normal), total, 0.0), (tail.min(axis=0), total, 0.0), (r_hat, 1.0, np.inf), (error, 0.0, np.inf))))


def _split(draws: NDArray[Any]) -> NDArray[Any]:
    half = draws.shape[2] // 2
    return np.concatenate([draws[:, :, :half], draws[:, :, -half:]], axis=1)


def _blom(rank: Any, n: int) -> Any:
    from scipy.special import ndtri

    return ndtri((rank - 3 / 8) / (n + 1 / 4))


def _normal_scores(pieces: Array) -> tuple[Array, Array]:
    """Return Blom's normal scores of the ranks among all draws of an element (ties share their average rank), and its median."""
    from scipy.stats import rankdata

    flat = pieces.reshape(len(pieces), -1)
    n = flat.shape[1]
    order = np.argsort(flat, axis=1)
    in_order = np.take_along_axis(flat, order, axis=1)
    found = np.empty_like(flat)
    np.put_along_axis(found, order, np.broadcast_to(_blom(np.arange(1, n + 1), n), flat.shape), axis=1)
    tied = in_order[:, 1:] == in_order[:, :-1]
    rows = np.flatnonzero(tied[:, 0])[:, None]
    found[rows, order[rows, [0, 1]]] = _blom(1.5, n)  # the two draws beside a median are as far from it
    tied = tied[:, 1:].any(axis=1)
    if tied.any():
        found[tied] = _blom(rankdata(flat[tied], axis=1), n)
    return found.reshape(pieces.shape), (in_order[:, (n - 1) // 2] + in_order[:, n // 2]) / 2


def potential_scale_reduction(chains: Array) -> Array:
    """Return R-hat of every element, sqrt((B / W + n - 1) / n), from draws of shape (element, chain, draw)."""
    n = chains.shape[2]
    within = chains.var(axis=2, ddof=1).mean(axis=1)
    between = n * chains.mean(axis=2).var(axis=1, ddof=1)
    found: Array = np.sqrt((between / within + n - 1) / n)
    return found


def effective_size(chains: NDArray[Any]) -> Array:
    """Return the effective number of draws of every element.

    The autocorrelations rho_t of all chains together, in pairs P_j = rho_2j + rho_2j+1, as long as they are positive (Geyer's
    initial positive sequence) and made to fall (his monotone one): n m / (-1 + 2 sum P_j).

    Parameters
    ----------
    chains : array, shape (element, chain, draw)
        Draws, in chains already split.
    """
    from scipy.fft import irfft, next_fast_len, rfft

    n_element, m, n = chains.shape
    means = chains.mean(axis=2)
    length = next_fast_len(2 * n, real=True)
    spectrum = rfft(chains - means[:, :, None], n=length, axis=2)
    covariance = irfft((spectrum * spectrum.conj()).real.mean(axis=1), n=length, axis=1)[:, :n] / n
    within = covariance[:, :1] * n / (n - 1.0)
    overall = covariance[:, :1] + (means.var(axis=1, ddof=1)[:, None] if m > 1 else 0.0)
    still = overall[:, 0] <= 0
    rho = 1.0 - (within - covariance) / np.where(still[:, None], 1.0, overall)
    rho[:, 0] = 1.0
    n_pair = (n - 2) // 2 + (n % 2)  # as far as ArviZ looks
    even, odd = rho[:, 0:2 * n_pair:2], rho[:, 1:2 * n_pair:2]
    pairs = even + odd
    stop = np.where((pairs <= 0).any(axis=1), np.argmax(pairs <= 0, axis=1), n_pair - 1)
    falling = np.minimum.accumulate(pairs, axis=1)
    inside = np.arange(n_pair)[None, :] < stop[:, None]
    tau = -1.0 + 2.0 * np.where(inside, falling, 0.0).sum(axis=1) + np.maximum(even[np.arange(n_element), stop], 0.0)
    size: Array = m * n / np.maximum(tau, 1.0 / np.log10(m * n))
    return np.where(still, float(m * n), size)
