"""Zero parts: zero-inflated and hurdle families made from a count law.

Zero-inflated: P(0) = pi + (1 - pi) f(0), P(y) = (1 - pi) f(y), with pi the probability of a structural zero.
Hurdle: P(0) = pi, P(y) = (1 - pi) f(y) / (1 - f(0)), with pi the probability of a zero of whatever kind.
Here pi is ``zero_probability``; PyMC's ``psi`` is 1 - pi. Exposure multiplies mu and never pi.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from bayesglm.families.counts import COUNT_MEAN, LARGEST, ONE, ZERO, CountLaw, log_factorials
from bayesglm.families.family import Array, Family, Numbers, Parameter, count_support
from bayesglm.families.likelihood import likelihood
from bayesglm.families.logistic import softplus
from bayesglm.families.reduction import Reduction, Rows, Statistics
from bayesglm.families.truncation import draw as draw_kept
from bayesglm.families.truncation import log_cut, log_kept, moments, random_kept
from bayesglm.families.values import Values
from bayesglm.priors import Beta, Normal

STRUCTURAL_ZERO = Parameter(
    "zero_probability", "zero", ("logit",), "probability of a structural zero, one that the count part does not explain",
    prior=Beta(1.0, 1.0), intercept_prior=Normal(0.0, 1.5), prefix="zero_",
)
ANY_ZERO = Parameter(
    "zero_probability", "zero", ("logit",), "probability of a zero of any kind",
    prior=Beta(1.0, 1.0), intercept_prior=Normal(0.0, 1.5), prefix="zero_",
)


def log_with_zeros(
    y: TensorVariable, logit: TensorVariable, log_zero: TensorVariable, log_mass: TensorVariable,
) -> TensorVariable:
    """Return the zero-inflated log mass: log(e^logit + f(0)) - log(1 + e^logit) at 0, log f(y) - log(1 + e^logit) above."""
    return pt.switch(y > 0, log_mass, _log_any_zero(logit, log_zero)) - softplus(logit)


def _log_any_zero(logit: TensorVariable, log_zero: TensorVariable) -> TensorVariable:
    return logit + softplus(log_zero - logit)


def zero_statistics(rows: Rows) -> dict[str, Array]:
    """Return how many responses of each cell are zero and how many positive, and their sum."""
    return {"zeros": rows.total(rows.response == 0), "positive": rows.total(rows.response > 0), "y": rows.total(rows.response)}


def inflated_log_density(of: Statistics, logit: TensorVariable, log_zero: TensorVariable, rest: TensorVariable) -> TensorVariable:
    """Return the zero-inflated log density of a cell, of whose positive responses the plain one is ``rest``."""
    return of["zeros"] * _log_any_zero(logit, log_zero) + rest - (of["zeros"] + of["positive"]) * softplus(logit)


def mixed_variance(zero: Array, mean: Array, variance: Array) -> Array:
    """Return the variance of a response that is 0 with a probability and else has this mean and variance."""
    mixed: Array = (1.0 - zero) * (variance + zero * np.minimum(mean, LARGEST) ** 2)
    return mixed


def zero_inflated(law: CountLaw, *, caution: str, source: str) -> Family:
    """Return the zero-inflated family of a count law."""
    name = f"zero_inflated_{law.name}"
    return Family(
        name=name,
        label=f"{law.label}, zero-inflated",
        parameters=(COUNT_MEAN, STRUCTURAL_ZERO, *law.dispersion),
        support=count_support(name),
        likelihood=lambda p: _inflated_likelihood(law, p),
        mean=lambda p, trials: (1.0 - p["zero_probability"]) * p["mu"],
        variance=lambda p, trials: mixed_variance(p["zero_probability"], p["mu"], law.variance(*law.of(p))),
        draw=lambda rng, p, trials: (
            law.draw(rng, *law.of(p)) * (rng.uniform(size=_shape(p)) >= p["zero_probability"])
        ),
        zero=lambda p, trials: p["zero_probability"] + (1.0 - p["zero_probability"]) * law.zero(*law.of(p)),
        exposure=True,
        proportional=True,
        source=source,
        caution=caution,
        reduction=_reduction(law, lambda p, of: inflated_log_density(
            of, p.logit("zero_probability"), law.log_varying(ONE, ZERO, p), law.log_varying(of["positive"], of["y"], p),
        )),
    )


def _reduction(law: CountLaw, log_density: Callable[[Values, Statistics], TensorVariable]) -> Reduction:
    return Reduction(
        zero_statistics, log_density, keeps=("exposure",), constant=tuple(each.name for each in law.dispersion),
        base=law.log_base, number=log_factorials,
    )


def hurdle(law: CountLaw, *, caution: str, source: str) -> Family:
    """Return the hurdle family of a count law: zero or not, then the law's counts from 1 on."""
    name = f"hurdle_{law.name}"

    def positive(p: Numbers) -> tuple[Array, Array]:
        return moments(law, 1, None, *law.of(p))

    def draw(rng: np.random.Generator, p: Numbers, trials: Array | None) -> Array:  # noqa: ARG001
        some = rng.uniform(size=_shape(p)) >= p["zero_probability"]
        return np.where(some, draw_kept(rng, law, 1, None, *law.of(p)), 0.0)

    return Family(
        name=name,
        label=f"{law.label}, hurdle",
        parameters=(COUNT_MEAN, ANY_ZERO, *law.dispersion),
        support=count_support(name),
        likelihood=lambda p: _hurdle_likelihood(law, p),
        mean=lambda p, trials: (1.0 - p["zero_probability"]) * positive(p)[0],
        variance=lambda p, trials: mixed_variance(p["zero_probability"], *positive(p)),
        draw=draw,
        zero=lambda p, trials: p["zero_probability"] + 0.0 * np.minimum(p["mu"], LARGEST),
        exposure=True,
        source=source,
        caution=caution,
        reduction=_reduction(law, lambda p, of: _hurdle_log_density(law, p, of)),
        log_concave=_jointly(law.log_concave_kept, ANY_ZERO),
    )


def _jointly(count: Mapping[str, tuple[str, ...]], zero: Parameter) -> Mapping[str, tuple[str, ...]]:
    """Return where a sum of two parts, one for the counts and one for the zeros, is concave in both predictors."""
    return {**count, zero.name: zero.links}


def _hurdle_log_density(law: CountLaw, p: Values, of: Statistics) -> TensorVariable:
    logit, positive = p.logit("zero_probability"), of["positive"]
    counts = law.log_varying(positive, of["y"], p) - positive * log_cut(law.log_varying(ONE, ZERO, p))
    return of["zeros"] * logit - (of["zeros"] + positive) * softplus(logit) + counts


def _shape(p: Numbers) -> tuple[int, ...]:
    return np.broadcast_shapes(*(np.shape(each) for each in p.values()))


def _inflated_likelihood(law: CountLaw, values: Values) -> TensorVariable:
    def log_mass(y: TensorVariable, logit: TensorVariable, *of: TensorVariable) -> TensorVariable:
        return log_with_zeros(y, logit, law.log_zero(*of), law.log_mass(y, *of))

    def random(logit: TensorVariable, *parameters: TensorVariable) -> TensorVariable:
        *of, size = parameters
        some = pm.Bernoulli.dist(p=pt.sigmoid(-logit) + pt.zeros_like(sum(of)), size=size)
        return some * law.random(*_like(logit, of), size=size)

    return likelihood(_class_name("zero_inflated", law), log_mass, random, values.logit("zero_probability"), *law.of(values))


def _hurdle_likelihood(law: CountLaw, values: Values) -> TensorVariable:
    def log_mass(y: TensorVariable, logit: TensorVariable, *of: TensorVariable) -> TensorVariable:
        return pt.switch(y > 0, law.log_mass(y, *of) - log_kept(law, 1, None, *of), logit) - softplus(logit)

    def random(logit: TensorVariable, *parameters: TensorVariable) -> TensorVariable:
        *of, size = parameters
        some = pm.Bernoulli.dist(p=pt.sigmoid(-logit) + pt.zeros_like(sum(of)), size=size)
        return some * random_kept(law, 1, None, *_like(logit, of), size=size)

    return likelihood(_class_name("hurdle", law), log_mass, random, values.logit("zero_probability"), *law.of(values))


def _like(logit: TensorVariable, of: list[TensorVariable]) -> list[TensorVariable]:
    """Return parameters of the common shape, so that each unit has a draw of its own."""
    return [of[0] + pt.zeros_like(logit), *of[1:]]


def _class_name(part: str, law: CountLaw) -> str:
    return f"{part}_{law.name}".title().replace("_", "")
