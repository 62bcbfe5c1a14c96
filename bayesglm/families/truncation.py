"""Truncated counts: a count law kept between two limits, where counts outside were never recorded.

    P(y | lower <= Y <= upper) = f(y) / S,      S = P(lower <= Y <= upper)

With o = mu / k (0 for a Poisson), a = lower f(lower) / S and b = (upper + 1) f(upper + 1) / S,

    mean = mu + (1 + o)(a - b),      variance = (1 + o)[mu + o (a - b) + a (lower - mean) - b (upper + 1 - mean)],

which follow from (y + 1) f(y + 1) (1 + o) = (mu + o y) f(y). Source: Hilbe (2011), Negative Binomial Regression, chapter 11.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray
from pytensor.gradient import disconnected_grad
from pytensor.tensor.variable import TensorVariable
from scipy import special

from bayesglm.errors import OptionError
from bayesglm.families.counts import COUNT_MEAN, LARGEST, SMALLEST, CountLaw, count_statistics, log_factorials
from bayesglm.families.family import Array, Family, count_support
from bayesglm.families.likelihood import likelihood
from bayesglm.families.reduction import Reduction
from bayesglm.families.values import Values

# Kept probabilities below this have lost their digits; the law is then built up from the limit nearer to the mean.
LOST = 1e-280
# The log of the kept probability is a sum over its counts; more counts than this make every evaluation too slow.
MOST_COUNTS = 10_000
# Above this, one minus the probability of the counts cut off has lost too many digits, and the tail is summed instead.
NEARLY_ONE = np.float64(-1e-6)


def truncated(law: CountLaw, lower: float | str | None = 1, upper: float | str | None = None) -> Family:
    """Return the family of a count law of which only lower <= y <= upper was recorded.

    Parameters
    ----------
    law : CountLaw
        The counts before the cut.
    lower : int
        Smallest count that was recorded.
    upper : int, optional
        Largest count that was recorded; None for no limit.

    Raises
    ------
    OptionError
        Limits that are no counts, that keep nothing, everything, or too much to sum over.

    Examples
    --------
    >>> from bayesglm.families.counts import POISSON
    >>> capped = truncated(POISSON, lower=0, upper=20)
    >>> capped.support.rule
    'a truncated_poisson response needs counts >= 0 and <= 20'
    """
    name = f"truncated_{law.name}"
    low, high = _limits(name, lower, upper)
    return Family(
        name=name,
        label=f"{law.label}, truncated",
        parameters=(COUNT_MEAN, *law.dispersion),
        support=count_support(name, lower=low, upper=np.inf if high is None else high),
        likelihood=lambda p: _likelihood(law, low, high, p),
        mean=lambda p, trials: moments(law, low, high, *law.of(p))[0],
        variance=lambda p, trials: moments(law, low, high, *law.of(p))[1],
        draw=lambda rng, p, trials: draw(rng, law, low, high, *law.of(p)),
        zero=lambda p, trials: _zero(law, low, high, *law.of(p)),
        exposure=True,
        source="Hilbe (2011), Negative Binomial Regression, chapter 11",
        caution="mu is the mean before the cut, counts that were never recorded included; the mean of recorded counts differs.",
        options={"lower": low, "upper": high},
        configure=lambda **options: truncated(law, **options),
        reduction=Reduction(
            count_statistics,
            lambda p, of: law.log_varying(of["n"], of["y"], p) - of["n"] * log_kept(law, low, high, *law.of(p)),
            keeps=("exposure",), constant=tuple(each.name for each in law.dispersion), base=law.log_base,
            number=log_factorials,
        ),
        log_concave=law.log_concave_kept,
    )


def _limits(name: str, lower: float | str | None, upper: float | str | None) -> tuple[int, int | None]:
    """Check the limits and return them as integers."""
    low = 0 if lower is None else _count(name, "lower", lower)
    high = None if upper is None else _count(name, "upper", upper)
    if low == 0 and high is None:
        raise OptionError(f"{name} with lower=0 and no upper", value=lower, rule="a truncated family cuts something off",
                          fix=f"Use family={name.removeprefix('truncated_')!r}, or give lower=1 or upper=.")
    if high is not None and high <= low:
        raise OptionError(f"lower={low} and upper={high}", value=high, rule="upper must be above lower",
                          fix="Give limits with at least two counts between them.")
    if (low if high is None else high - low) >= MOST_COUNTS:
        raise OptionError(f"lower={low} and upper={high}", value=high, fix="Leave out a limit that is far from the counts.",
                          rule=f"the likelihood sums over fewer than {MOST_COUNTS} counts")
    return low, high


def _count(name: str, option: str, value: float | str) -> int:
    if isinstance(value, bool | str) or not float(value).is_integer() or value < 0:
        raise OptionError(f"{option}={value!r} for {name}", value=value, rule="a limit of a truncated count is an integer >= 0",
                          fix=f"Give {option} as a count.")
    return int(value)


def log_kept(law: CountLaw, lower: int, upper: int | None, mu: TensorVariable, *rest: TensorVariable) -> TensorVariable:
    """Return log S in PyTensor, with derivatives in all parameters, for any mean however far outside the limits."""
    if upper is not None:
        return _log_sum(law, np.arange(lower, upper + 1.0), mu, *rest)
    cut = law.log_zero(mu, *rest)
    if lower == 1:
        return log_cut(cut)
    cut = _log_sum(law, np.arange(float(lower)), mu, *rest)
    # The tail falls off at least as fast as a geometric one once it holds less than a millionth: so many terms hold all of it.
    tail = _log_sum(law, np.arange(lower, 5 * lower + 64.0), mu, *rest)
    return pt.switch(cut < NEARLY_ONE, pt.log(-pt.expm1(pt.minimum(cut, NEARLY_ONE))), tail)


def log_cut(log_zero: TensorVariable) -> TensorVariable:
    """Return log(1 - P(0)) from log P(0)."""
    return pt.log(-pt.expm1(log_zero))  # log1mexp has a second derivative of inf / inf far out


def _log_sum(law: CountLaw, counts: NDArray[np.float64], mu: TensorVariable, *rest: TensorVariable) -> TensorVariable:
    """Return the log of the sum of the masses of some counts."""
    logs = law.log_mass(pt.as_tensor(counts), *(pt.shape_padright(each) for each in (mu, *rest)))
    most = disconnected_grad(pt.max(logs, axis=-1, keepdims=True))
    return pt.log(pt.exp(logs - most).sum(axis=-1)) + most[..., 0]


def _likelihood(law: CountLaw, lower: int, upper: int | None, values: Values) -> TensorVariable:
    top = np.inf if upper is None else float(upper)

    def log_mass(y: TensorVariable, *parameters: TensorVariable) -> TensorVariable:
        kept = law.log_mass(y, *parameters) - log_kept(law, lower, upper, *parameters)
        return pt.switch(pt.and_(y >= lower, y <= top), kept, -np.inf)

    def random(*parameters: TensorVariable) -> TensorVariable:
        *of, size = parameters
        return random_kept(law, lower, upper, *of, size=size)

    return likelihood(f"truncated_{law.name}".title().replace("_", ""), log_mass, random, *law.of(values))


def kept(law: CountLaw, lower: int, upper: int | None, mu: Array, *rest: Array) -> Array:
    """Return S in NumPy, from the tail that has the digits."""
    high: Array | float = 0.0 if upper is None else law.from_on(special, upper + 1, mu, *rest)
    between = np.asarray((law.from_on(special, lower, mu, *rest) if lower else 1.0) - high)
    if upper is None:
        return between
    under = law.below(special, lower, mu, *rest) if lower else 0.0
    return np.where(mu > upper, law.below(special, upper + 1, mu, *rest) - under, between)


def moments(law: CountLaw, lower: int, upper: int | None, mu: Array, *rest: Array) -> tuple[Array, Array]:
    """Return mean and variance of the counts that were recorded; a mean of 0 before the cut gives the lower limit.

    Examples
    --------
    >>> from bayesglm.families.counts import POISSON
    >>> mean, variance = moments(POISSON, 1, None, np.array([0.0, 1e-9, 2.0]))
    >>> mean.round(3).tolist(), variance.round(3).tolist()
    ([1.0, 1.0, 2.313], [0.0, 0.0, 1.589])
    """
    of = _bounded(mu, *rest)
    total, odds, above = kept(law, lower, upper, *of), law.odds(*of), np.inf if upper is None else float(upper)
    far = (total <= LOST) | (of[0] > above)
    total = np.where(far, 1.0, total)
    a = lower * np.exp(law.log_pmf(np.float64(lower), *of)) / total
    b = 0.0 if upper is None else (upper + 1.0) * np.exp(law.log_pmf(upper + 1.0, *of)) / total
    mean = of[0] + (1.0 + odds) * (a - b)
    last = 0.0 if upper is None else b * (above + 1.0 - mean)
    variance = (1.0 + odds) * (of[0] + odds * (a - b) + a * (lower - mean) - last)
    if far.any():
        y, weight = _from_edge(law, lower, upper, *(each[far] for each in of))
        mean[far] = (y * weight).sum(0)
        variance[far] = ((y - mean[far]) ** 2 * weight).sum(0)
    shape = np.broadcast_shapes(np.shape(mu), *map(np.shape, rest))
    return np.clip(mean, lower, above).reshape(shape), np.maximum(variance, 0.0).reshape(shape)


def _bounded(mu: Array, *rest: Array) -> tuple[Array, ...]:
    return tuple(np.broadcast_arrays(np.atleast_1d(np.clip(mu, SMALLEST, LARGEST)), *rest))


def _from_edge(law: CountLaw, lower: int, upper: int | None, *of: Array) -> tuple[Array, Array]:
    """Return counts and their probabilities from the limit nearer to the mean, until they vanish: along a new first axis.

    For means outside the limits, where the closed forms divide 0 by 0 or cancel.
    """
    high = np.zeros(of[0].shape, dtype=bool) if upper is None else of[0] > upper
    top = float(lower if upper is None else upper)
    weights, most = [np.ones(of[0].shape)], np.ones(of[0].shape)
    for step in range(1, MOST_COUNTS if upper is None else upper - lower + 1):
        up, down = law.ratio(lower + step - 1.0, *of), law.ratio(np.where(high, top - step, top), *of)
        weights.append(weights[-1] * np.where(high, 1.0 / np.maximum(down, SMALLEST), up))
        most = np.maximum(most, weights[-1])
        if (weights[-1] < 1e-18 * most).all():
            break
    weight = np.array(weights)
    steps = np.arange(float(len(weights))).reshape(-1, *[1] * of[0].ndim)
    return np.where(high, top - steps, lower + steps), weight / weight.sum(0)


def _zero(law: CountLaw, lower: int, upper: int | None, *of: Array) -> Array:
    if lower > 0:
        return 0.0 * of[0]
    return law.zero(*of) / np.maximum(kept(law, lower, upper, np.clip(of[0], SMALLEST, LARGEST), *of[1:]), LOST)


def random_kept(
    law: CountLaw, lower: int, upper: int | None, *of: TensorVariable, size: TensorVariable,
) -> TensorVariable:
    """Return PyMC draws between the limits, one uniform number each and no rejection.

    Where the kept probability rounds to 0, the limit nearer to the mean.
    """
    share = pm.Uniform.dist(pt.zeros_like(sum(of)), np.float64(1.0), size=size)
    if upper is not None:
        return _bisect(pt, pt, law, lower, upper, share, *of).astype("int64")
    mean, *others = law.rest(pt, share, lower, *of)
    return lower + law.random(pt.maximum(mean, np.float64(0.0)), *others, size=size)


def draw(rng: np.random.Generator, law: CountLaw, lower: int, upper: int | None, mu: Array, *rest: Array) -> Array:
    """Draw between the limits in NumPy, one uniform number each and no rejection."""
    shape = np.broadcast_shapes(np.shape(mu), *map(np.shape, rest))
    return _draw(rng, law, lower, upper, *_bounded(mu, *rest)).reshape(shape)


def _draw(rng: np.random.Generator, law: CountLaw, lower: int, upper: int | None, *of: Array) -> Array:
    share = rng.uniform(size=of[0].shape)
    if upper is None:
        mean, *others = law.rest(special, share, lower, *of)
        return lower + law.draw(rng, np.maximum(mean, 0.0), *others)
    draws: Array = _bisect(np, special, law, lower, upper, share, *of)
    lost = kept(law, lower, upper, *of) <= LOST
    if lost.any():
        y, weight = _from_edge(law, lower, upper, *(each[lost] for each in of))
        reached = np.argmax(np.cumsum(weight, axis=0) > share[lost] * (1.0 - 1e-12), axis=0)
        draws[lost] = np.take_along_axis(np.broadcast_to(y, weight.shape), reached[None], axis=0)[0]
    return draws


def _bisect(xp: Any, side: Any, law: CountLaw, lower: int, upper: int, share: Any, *of: Any) -> Any:
    """Return the count at that share of the kept probability, measured from the tail that has the digits."""
    under = law.below(side, lower, *of) if lower else 0.0
    over = law.from_on(side, upper + 1, *of)
    from_low = under + share * (law.below(side, upper + 1, *of) - under)
    from_high = over + (1.0 - share) * ((law.from_on(side, lower, *of) if lower else 1.0) - over)
    rare, low, high = of[0] < lower, 0.0 * share + (lower - 1.0), 0.0 * share + float(upper)
    for _ in range(math.ceil(math.log2(upper - lower + 1))):
        middle = xp.floor(0.5 * (low + high))
        reached = xp.where(rare, law.from_on(side, middle + 1.0, *of) <= from_high,
                           law.below(side, middle + 1.0, *of) > from_low)
        low, high = xp.where(reached, low, middle), xp.where(reached, middle, high)
    return xp.maximum(high, float(lower))
