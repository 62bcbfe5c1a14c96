"""Approximation: the nearest normal distribution of a posterior, its draws corrected, judged and in the model's words.

1. The ELBO is climbed from a standard normal and from overdispersed starts, with the same numbers: other optima are found.
2. Where that does not converge, it is climbed again with new numbers, twice as many each time.
3. Draws of the best are weighted by the exact posterior (`bayesglm.engines.verdict`), on both sides of 0 for scales
   (`bayesglm.engines.mirror`), and resampled to equal weights where the weights can be believed.
4. Else they stay as they are, and have to stay where they are when transitions of the exact posterior act on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesglm.engines.evaluations import evaluate, slopes
from bayesglm.engines.mirror import Mirror, mirror
from bayesglm.engines.moves import drift
from bayesglm.engines.native import Native, native
from bayesglm.engines.quantiles import ENOUGH, Tails, enough, weighted_tails
from bayesglm.engines.structured import Prepared, overdispersed
from bayesglm.engines.variational import TOLERANCE, Climbed, Normal, climb, numbers, standard
from bayesglm.engines.verdict import (
    Known,
    Verdict,
    Weights,
    columns,
    conclusive,
    even,
    judge,
    known,
    moved,
    resample,
    smooth,
)
from bayesglm.latent.density import packed
from bayesglm.latent.layout import Field
from bayesglm.latent.variables import dims_of

Array = NDArray[np.float64]
Index = NDArray[np.int64]
UNSEEN = 5.0  # nats between the posterior and an approximation that would hardly ever draw there
WORTH = 0.01  # share of the posterior that may be missed
DRIFT_DRAWS = 1_600  # a mean that is off by 0.2 sd moves by 5.7 Monte Carlo errors
MOST_NUMBERS = 4_000_000  # of all proposals together
MOST_RESTARTS = 2
STEP = 250  # draws of a chain
BLOCK = 4_000  # proposals that are weighted at a time


@dataclass(frozen=True, slots=True)
class Plan:
    """How the ELBO is climbed.

    Attributes
    ----------
    block : int array
        Coordinates that are correlated in the approximation.
    joint : int array
        Coordinates whose random numbers have covariances of 0.
    points : int
        Random numbers of each coordinate, even.
    iterations : int
        Most steps of a climb.
    starts : int
        Climbs, the first from a standard normal.
    """

    block: Index
    joint: Index
    points: int
    iterations: int
    starts: int


@dataclass(frozen=True, slots=True, eq=False)
class Nearest:
    """What the climbs found.

    Attributes
    ----------
    best : Climbed
        The one with the highest ELBO, images included, of those that converged, if any did.
    climbs : sequence of Climbed
        All of them, in the order they were tried.
    optima : int
        How many there are such that one never draws what another shows to be part of the posterior.
    points : int
        Random numbers of each coordinate in the best climb.
    """

    best: Climbed
    climbs: Sequence[Climbed]
    optima: int
    points: int

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know."""
        best = self.best
        return (f"ELBO {best.elbo[-1]:.2f} after {best.evaluations} evaluations of {self.points} draws, "
                f"{'converged' if best.converged else 'not converged'} (relative change {best.relative_change:.1e}, largest "
                f"gradient {best.distance:.3f}); {len(self.climbs)} climbs were tried; random error of an sd "
                f"{1 / np.sqrt(2 * self.points):.0%}",)

    @property
    def against(self) -> tuple[str, ...]:
        """What speaks against the approximation before any draw is looked at."""
        found = []
        if not self.best.converged:
            found.append(f"the ELBO has not converged: its gradient is {self.best.distance:.2g}, at an optimum below {TOLERANCE}")
        if self.optima > 1:
            found.append(f"{self.optima} optima of the ELBO stand apart, and the draws are around one")
        return tuple(found)


def nearest(prepared: Prepared, density: Native, plan: Plan, *, seed: int, cores: int | None) -> Nearest:
    """Climb the ELBO from several starts; the same seed finds the same."""
    size = prepared.transported.size
    first, last, *later = np.random.SeedSequence([seed, 3]).spawn(2 + MOST_RESTARTS)
    eps = numbers(size, plan.points, plan.joint, first)
    origin = standard(size, plan.block)
    wide = overdispersed(prepared.transported, chains=plan.starts - 1, seed=seed)
    starts = [origin, *(origin.moved(np.concatenate([mean, np.zeros(size + len(origin.lower))])) for mean in wide)]

    def batch(q: Array) -> tuple[Array, Array]:
        return slopes(density, q, cores)

    climbs = [climb(batch, start, eps, iterations=plan.iterations) for start in starts]
    points = plan.points
    for own in later:
        if any(each.converged for each in climbs):
            break
        points *= 2
        eps = numbers(size, points, plan.joint, own)
        climbs.append(climb(batch, origin, eps, iterations=plan.iterations))
    same = mirror(prepared.transported)
    looked = [_look(each, density, numbers(size, points, plan.joint, last), same, cores) for each in climbs]
    number = max(range(len(climbs)), key=lambda i: (climbs[i].converged, looked[i].elbo))
    beyond = [looked[i].missed(same, climbs[number].normal) - looked[number].log_evidence
              for i in range(len(climbs)) if i != number and climbs[i].converged]
    return Nearest(climbs[number], climbs, 1 + sum(each > np.log(WORTH) for each in beyond), points)


@dataclass(frozen=True, slots=True, eq=False)
class _Looked:
    """Draws of an approximation, with the log densities of the posterior and of the approximation, images included."""

    q: Array
    log_density: Array
    log_normal: Array

    @property
    def elbo(self) -> float:
        """The ELBO of the approximation and its images."""
        return float((self.log_density - self.log_normal).mean())

    @property
    def log_evidence(self) -> float:
        """Log of the integral of the posterior density, as far as the draws have seen it."""
        return _log_mean_exp(self.log_density - self.log_normal)

    def missed(self, same: Mirror, other: Normal) -> float:
        """Return the log of that part of the integral where another approximation has too little density to ever draw."""
        unseen = self.log_density - same.log_density(other.log_density, self.q) > self.log_evidence + UNSEEN
        return _log_mean_exp(np.where(unseen, self.log_density - self.log_normal, -np.inf))


def _look(climbed: Climbed, density: Native, eps: Array, same: Mirror, cores: int | None) -> _Looked:
    q = climbed.normal.at(eps)
    return _Looked(q, evaluate(density, q, cores), same.log_density(climbed.normal.log_density, q))


def _log_mean_exp(values: Array) -> float:
    highest = values.max()
    return float(highest + np.log(np.exp(values - highest).mean())) if np.isfinite(highest) else -np.inf


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Draws of an approximation of equal weight.

    Attributes
    ----------
    q : array, shape (draw, size)
        Transported coordinates.
    log_density : array, shape (draw,)
        Log density of the posterior there.
    verdict : Verdict
        Whether they may be read.
    """

    q: Array
    log_density: Array
    verdict: Verdict


def corrected(
    prepared: Prepared, density: Native, found: Nearest, *, returned: Returned, proposals: int, seed: int, cores: int | None,
) -> Drawn:
    """Return draws of the nearest normal distribution, weighted by the posterior where weights can be believed."""
    size, normal = prepared.transported.size, found.best.normal
    rng, same = np.random.default_rng([seed, 4]), mirror(prepared.transported)
    q, log_density, log_ratio = np.empty((0, size)), np.empty(0), np.empty(0)
    most = max(min(proposals, MOST_NUMBERS // size), 1_000)
    while True:
        new = normal.at(rng.standard_normal((min(BLOCK, most - len(q)), size)))
        exact = evaluate(density, new, cores)
        q, log_density = np.concatenate([q, new]), np.concatenate([log_density, exact])
        log_ratio = np.concatenate([log_ratio, exact - same.log_density(normal.log_density, new)])
        weights = smooth(log_ratio)
        variables = reported(prepared, q)
        draws, ends, tails = worth(variables, weights, returned)
        if not conclusive(weights) or ends.error <= ENOUGH or len(q) >= most:
            break
    equal = even(len(q))
    shift = moved(variables, equal.weight, weights.weight, tails)
    trusted = conclusive(weights)
    stay = None
    if not trusted:
        more = normal.at(rng.standard_normal((DRIFT_DRAWS, size)))
        stay = drift(density, more, lambda flat: reported(prepared, flat), seed=seed, cores=cores)
        draws, ends, _ = worth(variables, equal, returned)
    verdict = judge(weights, shift, correction="weights over all parameters" if trusted else "", drift=stay, known=ends,
                    against=(*against(prepared), *found.against))
    chosen = resample(weights.weight if trusted else equal.weight, draws, rng)
    return Drawn(q[chosen], log_density[chosen], verdict)


def against(prepared: Prepared) -> tuple[str, ...]:
    """Return what no weight can show."""
    found = [] if prepared.definite else ["the curvature of the posterior is not positive definite at the mode"]
    if prepared.modes > 1:
        found.append(f"{prepared.modes} different modes were found, and the draws are around one")
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Returned:
    """How many draws of equal weight an approximation returns: in steps, as many as 5% and 95% quantiles take.

    Attributes
    ----------
    least, most, step : int
        Numbers of draws.
    """

    least: int
    most: int
    step: int

    @staticmethod
    def of(draws: int | None, chains: int, proposals: int) -> Returned:
        """Return the numbers for so many chains of a given length, or in steps of 250 up to that of all proposals.

        Examples
        --------
        >>> Returned.of(100, 4, 1_000), Returned.of(None, 4, 5_000)
        (Returned(least=400, most=400, step=1000), Returned(least=1000, most=5000, step=1000))
        """
        step = STEP * chains
        return Returned(step, max(proposals, step), step) if draws is None else Returned(draws * chains, draws * chains, step)


def reported(prepared: Prepared, q: Array) -> dict[str, Array]:
    """Return the variables that users read at coordinates q, shape (n, ...)."""
    found = prepared.expand(q)
    return {name: found[name] for name in prepared.transported.posterior.field.problem.specification.reported()}


def worth(variables: Mapping[str, Array], weights: Weights, returned: Returned, together: int = 1) -> tuple[int, Known, Tails]:
    """Return how many draws of equal weight to take of weighted ones, how well these know quantiles, and what all of them know.

    Parameters
    ----------
    variables : mapping
        Reported variables at the draws, shape (draw, ...).
    weights : Weights
        Theirs.
    returned : Returned
        The numbers that are tried.
    together : int
        So many draws that follow each other may depend on each other.
    """
    labels, values = columns(variables)
    tails = weighted_tails(values, weights.weight, together)
    draws, thinned = enough(tails, weights.effective, len(values), **asdict(returned))
    return draws, known(labels, thinned), tails


def compiled(prepared: Prepared) -> Native:
    """Return the log density in transported coordinates as an address."""
    return native(packed, prepared.transported.arrays)


def tree(prepared: Prepared, drawn: Drawn, *, chains: int) -> xr.DataTree:
    """Return draws in the model's variables, as so many chains."""
    return posterior_tree(prepared.transported.posterior.field, prepared.expand(drawn.q), drawn.log_density, chains)


def posterior_tree(field: Field, variables: Mapping[str, Array], log_density: Array, chains: int) -> xr.DataTree:
    """Return draws of variables, shape (draw, ...), and their log density as so many chains, with dims and coordinates."""
    shape = (chains, len(log_density) // chains)
    values = {name: each.reshape(*shape, *each.shape[1:]) for name, each in variables.items()}
    stats = xr.Dataset({"lp": (("chain", "draw"), log_density.reshape(shape))},
                       {"chain": np.arange(shape[0]), "draw": np.arange(shape[1])})
    return xr.DataTree.from_dict({"posterior": dataset(field, values, ("chain", "draw")), "sample_stats": stats})


def dataset(field: Field, variables: Mapping[str, Array], leading: tuple[str, ...] = ()) -> xr.Dataset:
    """Return variables of the model, shape (*leading, ...), with dims and coordinates."""
    dims, coords = dims_of(field)
    named = {name: dims.get(name) or tuple(f"{name}_dim_{i}" for i in range(each.ndim - len(leading)))
             for name, each in variables.items()}
    used = {dim for each in named.values() for dim in each}
    index = dict(zip(leading, map(np.arange, next(iter(variables.values())).shape), strict=False))
    return xr.Dataset({name: ((*leading, *named[name]), each) for name, each in variables.items()},
                      {**index, **{dim: list(labels) for dim, labels in coords.items() if dim in used}})


def trace(climbs: Sequence[Climbed]) -> xr.Dataset:
    """Return the ELBO of all climbs by step, NaN after the last, with evaluations and how far from an optimum they ended."""
    length = max(len(each.elbo) for each in climbs)
    elbo = np.stack([np.pad(each.elbo, (0, length - len(each.elbo)), constant_values=np.nan) for each in climbs])
    each_climb = {name: ("climb", [getattr(each, name) for each in climbs])
                  for name in ("converged", "relative_change", "distance", "evaluations")}
    return xr.Dataset({"elbo": (("climb", "step"), elbo), **each_climb},
                      {"climb": np.arange(len(climbs)), "step": np.arange(length)})
