"""Categories: P(level) is the softmax of the scores, and the reference level, the first one, has the score 0.

A score is the log odds of its level against the reference, so exp(coefficient) is an odds ratio against the reference.
"""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.gradient import disconnected_grad
from pytensor.tensor.variable import TensorVariable
from scipy import special

from bayesglm.errors import LevelError
from bayesglm.families.family import Array, Family, Mask, Numbers, Parameter, Support
from bayesglm.families.likelihood import likelihood
from bayesglm.families.reduction import Reduction, Rows, Statistics
from bayesglm.families.values import Values
from bayesglm.priors import Normal


def for_levels(levels: tuple[str, ...]) -> Family:
    """Return the family of a response with these levels, one predicted score for each but the first.

    Raises
    ------
    LevelError
        Fewer than two levels, or one twice.

    Examples
    --------
    >>> [each.name for each in for_levels(("ok", "slow", "failed")).parameters]
    ['score[slow]', 'score[failed]']
    """
    if len(levels) < 2 or len(set(levels)) < len(levels):
        raise LevelError(f"the levels {', '.join(levels) or 'of nothing'}", value=levels,
                         rule="a categorical response has at least two distinct levels",
                         fix="Use a column with two or more levels.")
    reference, *others = levels
    parameters = tuple(
        Parameter(
            f"score[{level}]", "mean", ("softmax",), f"log odds of {level} against {reference}",
            intercept_prior=Normal(0.0, 2.5), prefix=f"{level}_",
        )
        for level in others
    )
    last = len(others)
    return Family(
        name="categorical",
        label="Categorical",
        parameters=parameters,
        support=Support("category", f"a categorical response is one of {', '.join(levels)}", _faults(last), upper=float(last)),
        likelihood=lambda p: _likelihood(parameters, p),
        mean=lambda p, trials: _probabilities(parameters, p),
        variance=lambda p, trials: _variance(parameters, p),
        draw=lambda rng, p, trials: _draw(rng, _probabilities(parameters, p)),
        source="McCullagh and Nelder (1989), Generalized Linear Models, section 5.2.4",
        for_levels=for_levels,
        reduction=Reduction(lambda rows: _statistics(rows, len(levels)), lambda p, of: _log_density(parameters, p, of)),
        information=lambda p, of: _information(parameters, p, of),
        log_concave={each.name: each.links for each in parameters},
    )


def _faults(last: int):  # type: ignore[no-untyped-def]
    def faults(values: Array) -> tuple[tuple[str, Mask, str], ...]:
        return (
            ("{} codes that are no integers", values != np.floor(values), "Give the levels themselves."),
            ("{} negative codes", values < 0, "Give the levels themselves."),
            ("{} codes beyond the last level", values > last, "Use the levels of the fit."),
        )

    return faults


def _likelihood(parameters: tuple[Parameter, ...], values: Values) -> TensorVariable:
    return likelihood("Categorical", _log_mass, _random, *(values[each.name] for each in parameters))


def _log_total(*scores: TensorVariable) -> TensorVariable:
    """Log of 1 + sum of exp(scores), the largest score taken out."""
    most = pt.zeros_like(sum(scores))
    for score in scores:
        most = pt.maximum(most, score)
    most = disconnected_grad(most)
    return most + pt.log(pt.exp(-most) + sum(pt.exp(score - most) for score in scores))


def _log_mass(y: TensorVariable, *scores: TensorVariable) -> TensorVariable:
    """Score of the level minus log(1 + sum of exp(scores))."""
    own = sum(pt.switch(pt.eq(y, code), score, np.float64(0.0)) for code, score in enumerate(scores, start=1))
    known = pt.and_(pt.and_(y >= 0, y <= len(scores)), pt.eq(y, pt.floor(y)))
    return pt.switch(known, own - _log_total(*scores), -np.inf)


def _statistics(rows: Rows, levels: int) -> dict[str, Array]:
    """Return the number of rows of each cell, and how many of them have each level but the reference."""
    return {"n": rows.total(), **{f"level_{code}": rows.total(rows.response == code) for code in range(1, levels)}}


def _log_density(parameters: tuple[Parameter, ...], p: Values, of: Statistics) -> TensorVariable:
    scores = [p[each.name] for each in parameters]
    own = sum(of[f"level_{code}"] * score for code, score in enumerate(scores, start=1))
    return own - of["n"] * _log_total(*scores)


def _information(parameters: tuple[Parameter, ...], p: Values, of: Statistics) -> dict[tuple[str, str], TensorVariable]:
    """Covariance of the indicators: share_i (1 - share_i), and -share_i share_j."""
    scores = [p[each.name] for each in parameters]
    total = _log_total(*scores)
    shares = {each.name: pt.exp(score - total) for each, score in zip(parameters, scores, strict=True)}
    return {(a, b): of["n"] * shares[a] * ((1.0 if a == b else 0.0) - shares[b]) for a in shares for b in shares}


def _random(*parameters: TensorVariable) -> TensorVariable:
    *scores, size = parameters
    each = pt.zeros_like(sum(scores))
    return pm.Categorical.dist(logit_p=pt.stack([each, *(score + each for score in scores)], axis=-1), size=size)


def _probabilities(parameters: tuple[Parameter, ...], p: Numbers) -> Array:
    scores = np.broadcast_arrays(*(p[each.name] for each in parameters))
    return special.softmax(np.stack([np.zeros(scores[0].shape), *scores], axis=-1), axis=-1)


def _variance(parameters: tuple[Parameter, ...], p: Numbers) -> Array:
    share = _probabilities(parameters, p)
    return share * (1.0 - share)


def _draw(rng: np.random.Generator, share: Array) -> Array:
    point = rng.uniform(size=share.shape[:-1])[..., None]
    return (point >= np.cumsum(share, axis=-1)[..., :-1]).sum(axis=-1).astype(np.float64)


# Two levels until the data's are known: a response with other levels is refused, not misread.
MEMBER = for_levels(("0", "1"))
