"""Search: the optimum of the Laplace marginal from several starts, and whether they agree.

One start is moderate, the others are drawn from the priors, field included, in pairs on both sides of the prior mean. A search
that ends elsewhere at a probability worth mentioning is another mode, and no single transport describes such a posterior. Where
the likelihood is not log-concave, or a prior not normal, the field itself may have several modes, far apart: more starts are
drawn, further out, and one is where the data alone would have the coefficients.

A prior with a kink counts as the normal one of its mean and sd while the search climbs: Newton's method does not get past a kink,
and the mode there, where many coefficients may be exactly 0, is further from the posterior mean. Where optima are compared, it
counts as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bayesglm.latent.hyper import ABSOLUTE, LOGARITHM, SIGNED
from bayesglm.latent.layout import Field
from bayesglm.latent.marginal import Marginal, Optimum, centre, climb, optimise
from bayesglm.latent.mode import Posterior, find_mode
from bayesglm.latent.variables import below_diagonal

Array = NDArray[np.float64]
PAIRS, PAIRS_UNLESS_CONCAVE = 1, 4
FURTHER_OUT = 2.0  # times as far, unless concave
WIDER = 1e3  # prior sds within which the data alone place a coefficient
APART = 3.0  # posterior sds
WORTH = 7.0  # nats: a mode a thousand times less probable is no mode of the posterior


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What the searches found.

    Attributes
    ----------
    best : Optimum
        The most probable one.
    modes : int
        How many different ones.
    """

    best: Optimum
    modes: int


def search(posterior: Posterior, seed: int) -> Found:
    """Climb from a moderate start and from prior draws; the same seed finds the same.

    The posterior of what is found has no kinks.
    """
    smooth = replace(posterior, field=_with_normal(posterior.field, posterior.layout.other_density[:, ABSOLUTE] != 0.0))
    rng = np.random.default_rng(seed)
    found = [optimise(smooth, centre(smooth.field))]
    for t, v in drawn_starts(posterior, rng):
        other = _elsewhere(posterior, smooth, found, t, v)
        if other is not None:
            found.append(other)
    heights = [_height(posterior, each.marginal) for each in found]
    return Found(found[int(np.argmax(heights))], sum(each >= max(heights) - WORTH for each in heights))


def _height(posterior: Posterior, found: Marginal) -> float:
    """Return the marginal of a posterior at an optimum of the one without kinks."""
    point = found.point
    return found.value + posterior.log_joint(point.t, point.w, point.v) - point.log_joint


def _elsewhere(posterior: Posterior, smooth: Posterior, found: Sequence[Optimum], t: Array, v: Array) -> Optimum | None:
    """Climb from a start, and return the optimum there if it is none of those found and worth mentioning."""
    rough = climb(smooth, t, (np.zeros(smooth.field.sizes[2]), v), rough=True)
    if not _new(posterior, found, rough):
        return None
    polished = optimise(smooth, rough.point.t, (rough.point.w, rough.point.v))
    return polished if _new(posterior, found, polished.marginal) else None


def _new(posterior: Posterior, found: Sequence[Optimum], other: Marginal) -> bool:
    height = _height(posterior, other) if np.isfinite(other.value) else -np.inf
    worth = height >= max(_height(posterior, each.marginal) for each in found) - WORTH
    return worth and not any(_same(posterior.field, each, other) for each in found)


def drawn_starts(posterior: Posterior, rng: np.random.Generator) -> Iterator[tuple[Array, Array]]:
    """Yield hyperparameters and core, in pairs whose cores mirror each other."""
    field = posterior.field
    concave = posterior.likelihood.log_concave and field.gaussian
    further = 1.0 if concave else FURTHER_OUT
    for _ in range(PAIRS if concave else PAIRS_UNLESS_CONCAVE):
        core = further * rng.standard_normal(field.sizes[1])
        for side in (core, -core):
            yield drawn(field, further * rng.standard_normal(field.hyper.size)), side
    if not field.gaussian:
        yield centre(field), on_the_data_side(posterior)


def on_the_data_side(posterior: Posterior) -> Array:
    """Return the most probable core where priors that are not normal are replaced by wide ones.

    A prior with long tails gives way to data that contradict it, and a normal one does not: there may be a mode on either side,
    however far apart.
    """
    layout, t = posterior.layout, centre(posterior.field)
    _, wide, size = posterior.field.sizes
    times = np.ones(wide)
    times[layout.other_core] = WIDER
    shear = layout.shear_value / times[layout.shear_core]
    wider = replace(posterior.field, layout=layout._replace(columns=layout.columns * times[:, None], shear_value=shear))
    flat = _with_normal(wider, np.ones(len(layout.other_core), np.bool_))
    return find_mode(Posterior(flat, posterior.likelihood), t, (np.zeros(size), np.zeros(wide))).v * times


def _with_normal(field: Field, chosen: NDArray[np.bool_]) -> Field:
    """Return the field with normal priors of the same mean and sd in the place of some that are not normal."""
    names = ("other_core", "other_location", "other_scale", "other_density")
    return replace(field, layout=field.layout._replace(**{name: getattr(field.layout, name)[~chosen] for name in names}))


def drawn(field: Field, noise: Array) -> Array:
    """Return hyperparameters about as far from the moderate start as the priors allow, for standard normal noise."""
    start = centre(field)
    way = field.hyper.way
    moved = np.where(way == SIGNED, start * np.abs(2.0 * noise), start + np.where(way == LOGARITHM, 1.0, 1.5) * noise)
    return np.where(field.hyper.held != 0, start, moved)


def _same(field: Field, best: Optimum, other: Marginal) -> bool:
    """Say whether two optima are one, within posterior sds of the hyperparameters and of the core."""
    point = best.marginal.point
    (t, v), (other_t, other_v) = upright(field, point.t, point.v), upright(field, other.point.t, other.point.v)
    near = bool(np.all(np.abs(other_t - t) < APART * np.sqrt(np.diag(best.covariance))))
    precision = point.precision(point.positive_weight)
    if precision is None:
        return near
    sd = np.sqrt(precision.core_variance)
    return near and bool(np.all(np.abs(other_v - v) < APART * np.maximum(sd, 1e-3)))


def upright(field: Field, t: Array, v: Array) -> tuple[Array, Array]:
    """Return the same hyperparameters and core with positive scales.

    A partial correlation turns with the signs of its two scales, the coefficients of a curve with the sign of theirs.
    """
    sign = np.where((field.hyper.way == SIGNED) & (t < 0), -1.0, 1.0)
    t, v = t * sign, v.copy()
    for placed in field.placed:
        if placed.partial.size:
            row, column = below_diagonal(len(placed.sd))
            t[placed.partial] *= sign[placed.sd[row]] * sign[placed.sd[column]]
        if placed.core is not None:
            v[placed.core] *= sign[placed.sd]
    return t, v
