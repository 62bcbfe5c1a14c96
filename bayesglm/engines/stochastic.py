"""Stochastic: the normal distribution nearest to a posterior that only batches of rows tell.

Each step takes another batch and other random numbers, in pairs of opposite sign with matched mean squares, and goes a share of
the way along the gradient in the coordinates of `Normal.gradient`, where minus the Hessian is near the identity: a natural
gradient. Steps of one size circle around the optimum, so the answer is the mean over a window of whole passes over the table,
every row once in each. It has converged when the mean gradient of a window is small and known to be.

Source: Hoffman, Blei, Wang and Paisley (2013), Journal of Machine Learning Research 14, 1303, for natural gradients of batches;
Polyak and Juditsky (1992), SIAM Journal on Control and Optimization 30, 838, for the mean of the path; Dhaka et al. (2020),
NeurIPS 33, for judging it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bayesglm.engines.approximation import Nearest
from bayesglm.engines.evaluations import slopes
from bayesglm.engines.native import Native
from bayesglm.engines.variational import LOG_TWO_PI_E, Climbed, Normal, numbers

Array = NDArray[np.float64]
Index = NDArray[np.int64]
LEAST_STEPS = 40  # of a window
LONGEST_STEP = 0.5  # of any coordinate, in sds
# Of the mean gradient of a window, in sds: how far the mean of its path may be from the optimum, and how well that is known.
TOLERANCE, ERROR = 0.05, 0.1
NARROWER = 0.1
MOST_OVERFLOWS = 10  # in a row
_NONE = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Ascended(Climbed):
    """Where an ascent ended.

    Attributes
    ----------
    error : float
        Standard error of the distance.
    change : float
        Relative change of the mean ELBO from the last window but one to the last; infinite where there was one only.
    windows : int
        How many there were.
    """

    error: float = np.inf
    change: float = np.inf
    windows: int = 0

    @property
    def converged(self) -> bool:
        """Whether the mean of the last window is at an optimum; the first is on the way there."""
        return self.windows > 1 and self.distance < TOLERANCE and self.error < ERROR

    @property
    def relative_change(self) -> float:
        """Relative change of the mean ELBO between the last two windows."""
        return self.change


@dataclass(frozen=True, slots=True, eq=False)
class Averaged(Nearest):
    """What the ascents found."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know."""
        best = self.ascent
        return (f"ELBO {best.elbo[-1]:.2f} after {best.evaluations} steps of {self.points} draws, "
                f"{'converged' if best.converged else 'not converged'} (mean gradient {best.distance:.3f} +- "
                f"{best.error:.3f} sds, relative change {best.change:.1e}); {len(self.climbs)} "
                f"{'ascent was' if len(self.climbs) == 1 else 'ascents were'} tried",)

    @property
    def against(self) -> tuple[str, ...]:
        """What speaks against the approximation before any draw is looked at."""
        best = self.ascent
        if best.converged:
            return ()
        if best.windows < 2:
            return (f"the ELBO has not converged: {best.evaluations} steps are too few to tell",)
        return (f"the ELBO has not converged: its mean gradient is {best.distance:.2g} +- {best.error:.2g} sds, at an optimum "
                f"below {TOLERANCE} and known to {ERROR}",)

    @property
    def ascent(self) -> Ascended:
        """The best one."""
        assert isinstance(self.best, Ascended)
        return self.best


@dataclass(slots=True)
class _Window:
    """Sums over the steps of a window."""

    parameters: Array
    gradient: Array
    squares: Array
    elbo: list[float]

    def add(self, at: Normal, gradient: Array, elbo: float) -> None:
        """Take a step in."""
        self.parameters += np.concatenate([at.mean, at.log_sd])
        self.gradient += gradient
        self.squares += gradient**2
        self.elbo.append(elbo)

    def normal(self, like: Normal) -> Normal:
        """Return the mean of the path."""
        mean, log_sd = np.split(self.parameters / len(self.elbo), 2)
        return Normal(mean, log_sd, like.block, like.lower)

    def distance(self, few: Index) -> tuple[float, float]:
        """Return the size of the mean gradient and its standard error, at worst over what many depend on, typical of the rest."""
        steps, size = len(self.elbo), len(self.gradient) // 2
        mean = np.abs(self.gradient / steps)
        error = np.sqrt(np.maximum(self.squares / steps - mean**2, 0.0) / steps)
        chosen = np.zeros(size, np.bool_)
        chosen[few] = True
        both = np.concatenate([chosen, chosen])
        found = [max(float(each[both].max(initial=0.0)), float(np.sqrt((each[~both]**2).mean())) if not both.all() else 0.0)
                 for each in (mean, error)]
        return found[0], found[1]


def ascend(
    batches: Callable[[], Iterable[Native]], start: Normal, few: Index, *, points: int, rate: float, share: float, passes: int,
    seed: np.random.SeedSequence, cores: int | None,
) -> Ascended:
    """Climb the ELBO in steps of one batch each, window by window, until the mean over the last is at an optimum.

    Parameters
    ----------
    batches : callable
        The batches of one pass, each as the log density of the posterior that it tells.
    start : Normal
        Where to begin.
    few : int array
        Coordinates that many others depend on: every one of them is held to the tolerance.
    points : int
        Random numbers of a step, even.
    rate : float
        Share of the way to the optimum that a step goes.
    share : float
        Share of the table that a batch is. What a batch says of coordinates that few rows depend on varies more, by the inverse
        of its root, and their steps are shorter by the root.
    passes : int
        Most passes over the table; a pass of few batches is repeated until it has `LEAST_STEPS`.
    seed : SeedSequence
        Of the random numbers.
    cores : int, optional
        Threads.
    """
    size, at, last = len(start.mean), start, start
    rates = np.full(size, rate * np.sqrt(share))
    rates[few] = rate
    rates = np.concatenate([rates, rates])
    trace: list[float] = []
    distance, error, change, before = np.inf, np.inf, np.inf, np.nan
    windows = 0
    for _ in range(passes):
        window = _Window(np.zeros(2 * size), np.zeros(2 * size), np.zeros(2 * size), [])
        overflows = 0
        for density in _whole_passes(batches):
            eps = numbers(size, points, _NONE, seed.spawn(1)[0])
            values, gradients = slopes(density, at.at(eps), cores)
            if not np.isfinite(values).all():
                overflows += 1
                if overflows > MOST_OVERFLOWS:
                    return Ascended(last, np.array([*trace, -np.inf]), np.inf, len(trace) + 1)
                at = replace(at, log_sd=at.log_sd - NARROWER)
                continue
            overflows, gradient = 0, at.gradient(eps, gradients)
            elbo = float(values.mean() + at.log_sd.sum() + 0.5 * size * LOG_TWO_PI_E)
            window.add(at, gradient, elbo)
            trace.append(elbo)
            at = at.moved(np.clip(rates * gradient, -LONGEST_STEP, LONGEST_STEP))
        windows += 1
        last, mean = window.normal(at), float(np.mean(window.elbo))
        distance, error = window.distance(few)
        change, before = abs(mean - before) / max(abs(mean), 1.0), mean
        if windows > 1 and distance < TOLERANCE and error < ERROR:
            break
    return Ascended(last, np.array(trace), distance, len(trace), error, float(np.nan_to_num(change, nan=np.inf)), windows)


def _whole_passes(batches: Callable[[], Iterable[Native]]) -> Iterator[Native]:
    """Yield the batches of whole passes, at least `LEAST_STEPS`."""
    steps = 0
    while steps < LEAST_STEPS:
        for each in batches():
            steps += 1
            yield each
