"""Priors: records that write themselves into a PyMC model.

To add a prior: write a frozen dataclass below that inherits `Prior`, name its ``support`` and its ``vector``. It is found by
its class name in lower snake case, in ``priors={"x": bg.priors.Normal(0, 1)}`` and in a saved fit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, ClassVar, Self

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable
from scipy import special

from bayesglm.errors import PriorError, unknown
from bayesglm.log_density import LOG_ROOT_TWO_PI, LogDensity, student_t
from bayesglm.own_scales import OwnScales, products, shares

Dims = tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed of a parameter before the data.

    Class attributes
    ----------------
    support : {"real", "positive", "unit", "correlation"}
        What the parameter may be.
    joint : bool
        Whether the prior ties all coefficients that carry it together (horseshoe, R2D2).
    distribution : PyMC distribution
        The PyMC class, whose arguments are the fields.
    powers : mapping
        The power of c by which each field is multiplied when the parameter is multiplied by c.
    caution : str
        What to know of coefficients that carry it before their draws are read; empty where there is nothing.
    """

    support: ClassVar[str] = "real"
    joint: ClassVar[bool] = False
    distribution: ClassVar[Any] = None
    powers: ClassVar[Mapping[str, int]] = {"mu": 1, "sigma": 1}
    caution: ClassVar[str] = ""

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if not isinstance(value, int | float) or isinstance(value, bool) or not np.isfinite(value):
                raise PriorError(f"{each.name}={value!r} in {type(self).__name__}", column=each.name, value=value,
                                 rule="the numbers of a prior are finite", fix="Give a finite number.")
            object.__setattr__(self, each.name, float(value))
            if each.name not in ("mu", "lower", "upper") and value <= 0:
                raise PriorError(f"{each.name}={value!r} in {type(self).__name__}", column=each.name, value=value,
                                 rule=f"{each.name} must be above 0", fix="Give a positive number.")

    @classmethod
    def kind(cls) -> str:
        """Name of the prior in lower snake case."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()

    def __str__(self) -> str:
        inside = ", ".join(f"{each.name}={getattr(self, each.name):.4g}" for each in fields(self))
        return f"{type(self).__name__}({inside})"

    def to_dict(self) -> dict[str, Any]:
        """Return a mapping that JSON can hold; `from_dict` turns it back."""
        return {"prior": self.kind(), **{each.name: getattr(self, each.name) for each in fields(self)}}

    @classmethod
    def vector(cls, name: str, priors: Sequence[Self], dims: Dims) -> TensorVariable:
        """Write one variable for several parameters that have this kind of prior, inside a model context."""
        return cls.distribution(name, **_stacked(priors, vector=dims is not None), dims=dims)

    def scalar(self, name: str) -> TensorVariable:
        """Write one scalar variable, inside a model context."""
        return type(self).vector(name, (self,), None)

    def log_density(self) -> LogDensity:
        """Return the log density of one parameter as a sum of elementary functions.

        Examples
        --------
        >>> Exponential(2.0).log_density().linear
        -2.0
        """
        raise NotImplementedError

    def own_scales(self, size: int) -> OwnScales[Prior]:
        """Return the scales of so many coefficients that share this prior, for a joint one."""
        raise NotImplementedError

    def shifted(self, name: str, shift: TensorVariable) -> TensorVariable:
        """Write the variable v such that v - shift has this prior, inside a model context."""
        numbers = _stacked((self,), vector=False)
        return self.distribution(name, **{**numbers, "mu": numbers["mu"] + shift})

    def scaled(self, factor: float) -> Self:
        """Return the prior of factor times the parameter.

        Examples
        --------
        >>> Normal(0, 2).scaled(3)
        Normal(mu=0.0, sigma=6.0)
        """
        changed = {each.name: getattr(self, each.name) * factor ** self.powers[each.name]
                   for each in fields(self) if each.name in self.powers}
        return replace(self, **changed)


def _stacked(priors: Sequence[Prior], *, vector: bool) -> dict[str, Any]:
    columns = {each.name: np.array([getattr(prior, each.name) for prior in priors]) for each in fields(priors[0])}
    return columns if vector else {key: np.float64(value[0]) for key, value in columns.items()}


@dataclass(frozen=True, slots=True)
class Normal(Prior):
    """Normal(mu, sigma)."""

    mu: float = 0.0
    sigma: float = 1.0

    distribution: ClassVar[Any] = pm.Normal

    def log_density(self) -> LogDensity:
        """Return the log density as a sum of elementary functions."""
        return LogDensity(-np.log(self.sigma) - LOG_ROOT_TWO_PI, location=self.mu, quadratic=-0.5 / self.sigma**2)


@dataclass(frozen=True, slots=True)
class StudentT(Prior):
    """Student's t with nu degrees of freedom, location mu and scale sigma."""

    nu: float = 3.0
    mu: float = 0.0
    sigma: float = 1.0

    distribution: ClassVar[Any] = pm.StudentT

    def log_density(self) -> LogDensity:
        """Return the log density as a sum of elementary functions."""
        return student_t(self.nu, self.mu, self.sigma)


@dataclass(frozen=True, slots=True)
class Laplace(Prior):
    """Laplace(mu, b): the lasso's prior. Its posterior mean is never exactly zero; only its mode can be."""

    mu: float = 0.0
    b: float = 1.0

    distribution: ClassVar[Any] = pm.Laplace
    powers: ClassVar[Mapping[str, int]] = {"mu": 1, "b": 1}
    caution: ClassVar[str] = "posterior means under a Laplace prior are never exactly 0; only a mode can be, by engine='map'"

    def log_density(self) -> LogDensity:
        """Return the log density as a sum of elementary functions."""
        return LogDensity(-np.log(2 * self.b), location=self.mu, absolute=-1 / self.b)


@dataclass(frozen=True, slots=True)
class HalfNormal(Prior):
    """Half-normal: ``|Normal(0, sigma)|``."""

    sigma: float = 1.0
    support: ClassVar[str] = "positive"

    distribution: ClassVar[Any] = pm.HalfNormal

    def log_density(self) -> LogDensity:
        """Return the log density as a sum of elementary functions."""
        return LogDensity(np.log(2 / self.sigma) - LOG_ROOT_TWO_PI, quadratic=-0.5 / self.sigma**2)


@dataclass(frozen=True, slots=True)
class HalfStudentT(Prior):
    """Half-t: ``|t|`` with nu degrees of freedom and scale sigma."""

    nu: float = 3.0
    sigma: float = 1.0
    support: ClassVar[str] = "positive"

    distribution: ClassVar[Any] = pm.HalfStudentT

    def log_density(self) -> LogDensity:
        """Return the log density as a sum of elementary functions."""
        whole = student_t(self.nu, 0.0, self.sigma)
        return whole._replace(constant=whole.constant + np.log(2))


@dataclass(frozen=True, slots=True)
class HalfCauchy(Prior):
    """Half-Cauchy with scale beta."""

    beta: float = 1.0
    support: ClassVar[str] = "positive"

    distribution: ClassVar[Any] = pm.HalfCauchy
    powers: ClassVar[Mapping[str, int]] = {"beta": 1}

    def log_density(self) -> LogDensity:
        """Return the log density as a sum of elementary functions."""
        whole = student_t(1.0, 0.0, self.beta)
        return whole._replace(constant=whole.constant + np.log(2))


@dataclass(frozen=True, slots=True)
class Exponential(Prior):
    """Exponential with rate lam, mean 1 / lam."""

    lam: float = 1.0
    support: ClassVar[str] = "positive"

    distribution: ClassVar[Any] = pm.Exponential
    powers: ClassVar[Mapping[str, int]] = {"lam": -1}

    def log_density(self) -> LogDensity:
        """Return the log density as a sum of elementary functions."""
        return LogDensity(np.log(self.lam), linear=-self.lam)


@dataclass(frozen=True, slots=True)
class Gamma(Prior):
    """Gamma with shape alpha and rate beta, mean alpha / beta."""

    alpha: float = 2.0
    beta: float = 0.1
    support: ClassVar[str] = "positive"

    distribution: ClassVar[Any] = pm.Gamma
    powers: ClassVar[Mapping[str, int]] = {"beta": -1}

    def log_density(self) -> LogDensity:
        """Return the log density as a sum of elementary functions."""
        constant = self.alpha * np.log(self.beta) - float(special.gammaln(self.alpha))
        return LogDensity(constant, linear=-self.beta, log=self.alpha - 1)


@dataclass(frozen=True, slots=True)
class Beta(Prior):
    """Beta(alpha, beta) on the unit interval."""

    alpha: float = 1.0
    beta: float = 1.0
    support: ClassVar[str] = "unit"

    distribution: ClassVar[Any] = pm.Beta

    def log_density(self) -> LogDensity:
        """Return the log density as a sum of elementary functions."""
        return LogDensity(-float(special.betaln(self.alpha, self.beta)), log=self.alpha - 1, complement=self.beta - 1)


@dataclass(frozen=True, slots=True)
class Uniform(Prior):
    """Uniform(lower, upper): for the autocorrelation of an AR(1)."""

    lower: float = -1.0
    upper: float = 1.0
    support: ClassVar[str] = "correlation"
    distribution: ClassVar[Any] = pm.Uniform

    def log_density(self) -> LogDensity:
        """Return the log density as a sum of elementary functions."""
        return LogDensity(-np.log(self.upper - self.lower))


@dataclass(frozen=True, slots=True)
class LKJ(Prior):
    """LKJ(eta) on a correlation matrix; eta = 1 is uniform, larger is nearer to no correlation."""

    eta: float = 2.0
    support: ClassVar[str] = "correlation_matrix"

    def spread(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Return, for a correlation matrix of so many rows, b of every partial correlation and how many each column has."""
        below = size - 1 - np.arange(size)
        return np.repeat(self.eta + (below - 1) / 2, below), below

    def factor(self, name: str, size: int) -> TensorVariable:
        """Write the Cholesky factor of a correlation matrix of so many rows with this prior, inside a model context.

        Sampled are canonical partial correlations p_ij, independent with (p_ij + 1) / 2 ~ Beta(b_j, b_j) and
        b_j = eta + (size - 2 - j) / 2; the factor is L_ij = p_ij prod_{k<j} sqrt(1 - p_ik^2) with p_ii = 1. Standard deviations
        stay apart: a covariance's own factor has an entry whose scale is another one's value, which samplers get stuck in.
        Source: Lewandowski, Kurowicka and Joe (2009), Journal of Multivariate Analysis 100, 1989.
        """
        spread, below = self.spread(size)
        unit = pm.Beta(name, alpha=spread, beta=spread, shape=len(spread))
        left, columns = pt.ones(size), []
        for j, part in enumerate(np.split(np.arange(len(spread)), np.cumsum(below)[:-1])):
            share = unit[part]
            columns.append(pt.concatenate([pt.zeros(j), left[:1], (2.0 * share - 1.0) * left[1:]]))
            left = left[1:] * 2.0 * pt.sqrt(share * (1.0 - share))
        return pt.stack(columns, axis=1)


@dataclass(frozen=True, slots=True)
class Horseshoe(Prior):
    """Regularised horseshoe over all coefficients that carry it.

    beta_j = z_j tau lambda~_j with lambda~_j^2 = c^2 lambda_j^2 / (c^2 + tau^2 lambda_j^2), lambda_j half-t(nu_local),
    tau half-Cauchy(tau), c^2 inverse-gamma(slab_df / 2, slab_df slab_scale^2 / 2). The coefficients are per sd of their columns;
    under an identity link, ``tau`` and ``slab_scale`` are in units of the response's sd.
    Source: Piironen and Vehtari (2017), Electronic Journal of Statistics 11, 5018.
    """

    tau: float = 0.1
    nu_local: float = 1.0
    slab_scale: float = 1.0
    slab_df: float = 4.0
    joint: ClassVar[bool] = True
    powers: ClassVar[Mapping[str, int]] = {"tau": 1, "slab_scale": 1}

    @classmethod
    def vector(cls, name: str, priors: Sequence[Self], dims: Dims) -> TensorVariable:
        """Write the coefficients that share this prior, inside a model context."""
        p = priors[0]
        tau = pm.HalfCauchy(f"{name}_tau", p.tau)
        local = pm.HalfStudentT(f"{name}_lambda", p.nu_local, np.float64(1.0), dims=dims)
        slab = pm.InverseGamma(f"{name}_slab", alpha=np.float64(p.slab_df / 2), beta=np.float64(p.slab_df * p.slab_scale**2 / 2))
        z = pm.Normal(f"{name}_z", dims=dims)
        return pm.Deterministic(name, z * tau * local * pt.sqrt(slab / (slab + (tau * local) ** 2)), dims=dims)

    def own_scales(self, size: int) -> OwnScales[Prior]:
        """Return the scales of so many coefficients: theta is tau, 1 / c^2 and lambda."""
        slab = Gamma(self.slab_df / 2, self.slab_df * self.slab_scale**2 / 2)
        local = [[(2 + j, 1.0, 0.0)] for j in range(size)]
        return OwnScales(
            (HalfCauchy(self.tau), slab, *(HalfStudentT(self.nu_local, 1.0) for _ in range(size))),
            products([[(0, 1.0, 0.0), *each] for each in local]), 1,
            {"tau": products([[(0, 1.0, 0.0)]]), "slab": products([[(1, -1.0, 0.0)]])}, {"lambda": products(local)})


@dataclass(frozen=True, slots=True)
class R2D2(Prior):
    """R2D2 over all coefficients that carry it: R^2 ~ Beta, its variance shared out by a Dirichlet.

    beta_j = scale z_j sqrt(phi_j R^2 / (1 - R^2)), R^2 ~ Beta(mean_r2 precision, (1 - mean_r2) precision),
    phi ~ Dirichlet(concentration). The coefficients are per sd of their columns; under an identity link, ``scale`` is in units
    of the response's sd. Source: Zhang, Naughton, Bondell and Reich (2022), JASA 117, 862.
    """

    mean_r2: float = 0.5
    precision: float = 2.0
    concentration: float = 0.5
    scale: float = 1.0
    joint: ClassVar[bool] = True
    powers: ClassVar[Mapping[str, int]] = {"scale": 1}

    @classmethod
    def vector(cls, name: str, priors: Sequence[Self], dims: Dims) -> TensorVariable:
        """Write the coefficients that share this prior, inside a model context."""
        p = priors[0]
        r2 = pm.Beta(f"{name}_r2", alpha=np.float64(p.mean_r2 * p.precision), beta=np.float64((1 - p.mean_r2) * p.precision))
        share = pm.Dirichlet(f"{name}_share", np.full(len(priors), p.concentration), dims=dims) if len(priors) > 1 else np.ones(1)
        z = pm.Normal(f"{name}_z", dims=dims)
        return pm.Deterministic(name, np.float64(p.scale) * z * pt.sqrt(share * r2 / (1 - r2)), dims=dims)

    def own_scales(self, size: int) -> OwnScales[Prior]:
        """Return the scales of so many coefficients: theta is R^2 and the splits of the shares."""
        splits, factors = shares(size, self.concentration, 1)
        halves = [[(0, 0.5, -0.5), *((k, power / 2, other / 2) for k, power, other in each)] for each in factors]
        return OwnScales(
            (Beta(self.mean_r2 * self.precision, (1 - self.mean_r2) * self.precision), *(Beta(*each) for each in splits)),
            products(halves, float(np.log(self.scale))), -1,
            {"r2": products([[(0, 1.0, 0.0)]])}, {"share": products(factors)} if size > 1 else {})


@cache
def known_priors() -> Mapping[str, type[Prior]]:
    """Return every prior by its name in lower snake case.

    Examples
    --------
    >>> known_priors()["half_normal"](sigma=2)
    HalfNormal(sigma=2.0)
    """
    return {each.kind(): each for each in Prior.__subclasses__()}


def from_dict(saved: Mapping[str, Any]) -> Prior:
    """Return the prior that `Prior.to_dict` wrote.

    Examples
    --------
    >>> from_dict({"prior": "normal", "mu": 0, "sigma": 1})
    Normal(mu=0.0, sigma=1.0)
    """
    numbers = dict(saved)
    kind = str(numbers.pop("prior"))
    if kind not in known_priors():
        raise unknown("prior", kind, known_priors())
    return known_priors()[kind](**numbers)
