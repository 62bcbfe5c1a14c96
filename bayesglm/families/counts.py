"""CountLaw: a count distribution from which zero-inflated, hurdle and truncated families are made.

Each formula stands twice, in PyTensor for the likelihood and in NumPy for predictions, and the laws of the families hold the two
together. Distribution functions come from the same named function of either side, so they are written once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable
from scipy import special

from bayesglm.families.family import Array, Parameter
from bayesglm.families.gamma_ratio import log_rising
from bayesglm.families.likelihood import at_least
from bayesglm.families.logistic import softminus, softplus
from bayesglm.families.reduction import Rows
from bayesglm.families.values import Values
from bayesglm.priors import HalfStudentT, Normal

COUNT_MEAN = Parameter(
    "mu", "mean", ("log",), "mean count, per unit of exposure before exposure is multiplied in", exposed=True,
)
CONCENTRATION = Parameter(
    "concentration", "dispersion", ("log",), "concentration k: variance mu + mu^2 / k; larger k means less spread",
    prior=HalfStudentT(nu=3.0, sigma=10.0), intercept_prior=Normal(mu=1.0, sigma=1.5), scales_with_exposure=True,
    conversions={"1/k": lambda k: 1.0 / k}, prefix="concentration_",
)

ONE, ZERO = np.float64(1.0), np.float64(0.0)

# NumPy's Poisson sampler takes no larger mean; there a normal is the same to its last digit.
LARGEST_POISSON_MEAN = 1e15
# Means are held between these where a formula divides or squares them.
SMALLEST, LARGEST = 1e-200, 1e150

T = TypeVar("T")


class Side(Protocol):
    """What `scipy.special` and `pytensor.tensor` have in common."""

    gammainc: Callable[..., Any]
    gammaincc: Callable[..., Any]
    betainc: Callable[..., Any]
    gammaincinv: Callable[..., Any]
    betaincinv: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class CountLaw:
    """A distribution of counts with the mean mu, and what is needed to cut it.

    Attributes
    ----------
    name, label : str
        The family's name, and the one for readers.
    dispersion : tuple of Parameter
        Its parameters besides the mean, in the order in which the functions take them.
    source : str
        Where the formula stands.
    log_mass : callable
        ``log_mass(y, mu, *dispersion)``, PyTensor: the sum of the two parts below.
    log_varying : callable
        ``log_varying(n, y, values)``: the part of n counts that add up to y in which the mean is, PyTensor.
    log_base : callable, optional
        ``log_base(y, values)``: the part of one count with the dispersion and without the mean, PyTensor; None without
        dispersion. What is left, -log y!, belongs to neither.
    log_zero : callable
        log P(0) = ``log_zero(mu, *dispersion)``, PyTensor.
    random : callable
        ``random(mu, *dispersion, size)``, PyMC.
    log_pmf, zero, variance : callable
        The same in NumPy, with P(0) not as a log.
    draw : callable
        ``draw(rng, mu, *dispersion)``.
    odds : callable
        mu / k of ``(mu, *dispersion)``, 0 for a Poisson: ratios of neighbouring masses come from it.
    ratio : callable
        P(y + 1) / P(y) = ``ratio(y, mu, *dispersion)``.
    below, from_on : callable
        P(Y < j) and P(Y >= j) = ``from_on(side, j, mu, *dispersion)`` for j >= 1, on either side; both keep their relative
        precision in their own tail.
    log_concave_kept : mapping
        Parameter to the links under which the log mass of counts that were cut at any limits is concave in its linear
        predictor: `bayesglm.families.family.Family.log_concave` of what is made of this law by cutting.
    rest : callable
        Counts as arrivals: ``rest(side, share, j, mu, *dispersion)`` gives the parameters of the arrivals after the j-th
        one, which came at that share (uniform on the unit interval) of its distribution, given that it came.
    """

    name: str
    label: str
    dispersion: tuple[Parameter, ...]
    source: str
    log_mass: Callable[..., TensorVariable]
    log_varying: Callable[[TensorVariable, TensorVariable, Values], TensorVariable]
    log_base: Callable[[TensorVariable, Values], TensorVariable] | None
    log_zero: Callable[..., TensorVariable]
    random: Callable[..., TensorVariable]
    log_pmf: Callable[..., Array]
    zero: Callable[..., Array]
    variance: Callable[..., Array]
    draw: Callable[..., Array]
    odds: Callable[..., Array]
    ratio: Callable[..., Array]
    below: Callable[..., Any]
    from_on: Callable[..., Any]
    rest: Callable[..., tuple[Any, ...]]
    log_concave_kept: Mapping[str, tuple[str, ...]]

    def of(self, values: Mapping[str, T] | Values) -> tuple[T, ...]:
        """Return mu and the dispersion parameters, in the order in which the functions take them."""
        return tuple(values[name] for name in ("mu", *(each.name for each in self.dispersion)))


def count_statistics(rows: Rows) -> dict[str, Array]:
    """Return the number of counts and their sum in each cell."""
    return {"n": rows.total(), "y": rows.total(rows.response)}


def log_factorials(rows: Rows) -> float:
    """Return the sum of -log y!."""
    return -float(rows.frequency @ special.gammaln(rows.response + 1.0))


def draw_poisson(rng: np.random.Generator, mean: Array) -> Array:
    """Draw Poisson counts of any mean as float64; an infinite mean gives infinity."""
    mean = np.asarray(mean, dtype=np.float64)
    small = rng.poisson(np.minimum(mean, LARGEST_POISSON_MEAN)).astype(np.float64)
    if np.all(mean <= LARGEST_POISSON_MEAN):
        return small
    finite = np.minimum(mean, LARGEST**2)
    normal = np.rint(rng.normal(finite, np.sqrt(finite)))
    return np.where(mean <= LARGEST_POISSON_MEAN, small, np.where(np.isinf(mean), np.inf, normal))


def poisson_log_mass(y: TensorVariable, mu: TensorVariable) -> TensorVariable:
    """Return y log mu - mu - log y!, PyTensor."""
    return _poisson_varying(ONE, y, pt.log(at_least(mu)), mu) - pt.gammaln(y + 1.0)


def _poisson_varying(n: TensorVariable, y: TensorVariable, log_mu: TensorVariable, mu: TensorVariable) -> TensorVariable:
    return y * log_mu - n * mu


def _poisson_rest(side: Side, share: Any, j: float, mu: Any) -> tuple[Any]:
    """Return the mean of what comes after the j-th arrival of a unit-rate process on [0, mu]; that one is Gamma(j) cut at mu."""
    return (mu - side.gammaincinv(j, share * side.gammainc(j, mu)),)


POISSON = CountLaw(
    name="poisson",
    label="Poisson",
    dispersion=(),
    source="McCullagh and Nelder (1989), Generalized Linear Models, chapter 6",
    log_mass=poisson_log_mass,
    log_varying=lambda n, y, values: _poisson_varying(n, y, values.log("mu"), values["mu"]),
    log_base=None,
    log_zero=lambda mu: -at_least(mu),
    random=lambda mu, size: pm.Poisson.dist(mu=mu, size=size),
    log_pmf=lambda y, mu: special.xlogy(y, mu) - mu - special.gammaln(y + 1.0),
    zero=lambda mu: np.exp(-mu),
    variance=lambda mu: mu,
    draw=draw_poisson,
    odds=lambda mu: 0.0 * mu,
    ratio=lambda y, mu: mu / (y + 1.0),
    below=lambda side, j, mu: side.gammaincc(j, mu),
    from_on=lambda side, j, mu: side.gammainc(j, mu),
    rest=_poisson_rest,
    # log mu is the natural parameter, whatever the limits.
    log_concave_kept={"mu": ("log",)},
)


def negative_binomial_log_mass(y: TensorVariable, mu: TensorVariable, k: TensorVariable) -> TensorVariable:
    """Return log[Gamma(y + k) / (Gamma(k) y!)] + y log(mu / (mu + k)) + k log(k / (mu + k)), PyTensor."""
    mean = at_least(mu)
    varying = negative_binomial_varying(ONE, y, k, pt.log1p(k / mean), pt.log1p(mean / k))
    return log_rising(k, y) - pt.gammaln(y + 1.0) + varying


def negative_binomial_varying(
    n: TensorVariable, y: TensorVariable, k: TensorVariable, log_down: TensorVariable, log_up: TensorVariable,
) -> TensorVariable:
    """Return y log(mu / (mu + k)) + n k log(k / (mu + k)), from -log of the one fraction and of the other."""
    return -y * log_down - n * k * log_up


def _negative_binomial_from_logs(n: TensorVariable, y: TensorVariable, values: Values) -> TensorVariable:
    """Return the same from t = log(mu / k): the two logs are log(1 + e^-t) and log(1 + e^t)."""
    t = values.log("mu") - values.log("concentration")
    return negative_binomial_varying(n, y, values["concentration"], softminus(t), softplus(t))


def random_negative_binomial(mu: TensorVariable, k: TensorVariable, size: TensorVariable) -> TensorVariable:
    """Poisson with a gamma mean: accurate for any k, where k / (k + mu) may round to 1."""
    return pm.Poisson.dist(mu=mu / k * pm.Gamma.dist(alpha=k + pt.zeros_like(mu), beta=np.float64(1.0), size=size), size=size)


def draw_negative_binomial(rng: np.random.Generator, mu: Array, k: Array) -> Array:
    """Poisson with a gamma mean."""
    mean = np.minimum(mu, LARGEST)
    return draw_poisson(rng, rng.gamma(k + 0.0 * mean) * (mean / k))


def _negative_binomial_log_pmf(y: Array, mu: Array, k: Array) -> Array:
    coefficient = -special.betaln(k, y + 1.0) - np.log(y + k)
    return coefficient - y * np.log1p(k / mu) - k * np.log1p(mu / k)


def _negative_binomial_rest(side: Side, share: Any, j: float, mu: Any, k: Any) -> tuple[Any, Any]:
    """Arrivals at rate (count + k) in the time s = 1 - exp(-t), t up to s = mu / (mu + k): the j-th is Beta(j, k) cut there.

    From then on the same process goes on with j + k for k, until the same end.
    """
    end = mu / (mu + k)
    left = end - side.betaincinv(j, k, share * side.betainc(j, k, end))
    return (k + j) * left * (1.0 + mu / k), k + j + 0.0 * left


NEGATIVE_BINOMIAL = CountLaw(
    name="negative_binomial",
    label="Negative binomial (NB2)",
    dispersion=(CONCENTRATION,),
    source="Hilbe (2011), Negative Binomial Regression, equation 8.7",
    log_mass=negative_binomial_log_mass,
    log_varying=_negative_binomial_from_logs,
    log_base=lambda y, values: log_rising(values["concentration"], y),
    log_zero=lambda mu, k: -k * pt.log1p(at_least(mu) / k),
    random=random_negative_binomial,
    log_pmf=_negative_binomial_log_pmf,
    zero=lambda mu, k: np.exp(-k * np.log1p(mu / k)),
    variance=lambda mu, k: mu * (1.0 + np.minimum(mu, LARGEST) / k),
    draw=draw_negative_binomial,
    odds=lambda mu, k: mu / k,
    ratio=lambda y, mu, k: mu / (mu + k) * (y + k) / (y + 1.0),
    below=lambda side, j, mu, k: side.betainc(k, j, k / (mu + k)),
    from_on=lambda side, j, mu, k: side.betainc(j, k, mu / (mu + k)),
    rest=_negative_binomial_rest,
    log_concave_kept={},
)
