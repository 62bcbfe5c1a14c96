"""Profile: what sets a component apart from the others, column by column.

How far a column tells a component from the rest of the mixture is the total variation distance of the two distributions,

    TV = 1/2 sum |p_k(x) - p_rest(x)|  (an integral for numbers),   between 0 (tells nothing) and 1 (tells all),

so numbers and categories can be put in one order. Numbers are Gaussian here, by means and sds after the column's
transform: the distance is the same on either scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from bayesglm.mixtures.columns import Part
from bayesglm.mixtures.component import Array, Params
from bayesglm.mixtures.scorer.transforms import IDENTITY

LEAST = 0.25
MOST = 3
_POINTS = 4001
_REACH = 8.0


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """How one column tells the components apart.

    Attributes
    ----------
    name : str
        The column.
    distance : array, shape (component,)
        Total variation distance between each component and the rest.
    text : tuple of str
        What each component has where the others have something else.
    """

    name: str
    distance: Array
    text: tuple[str, ...]


def _rest(weights: Array) -> Array:
    """Return the weights of the others, seen from each component: shape (component, component), rows sum to one."""
    others = np.tile(weights, (len(weights), 1)) * (1 - np.eye(len(weights)))
    return np.asarray(others / others.sum(axis=1, keepdims=True))


def of_numbers(name: str, mean: Array, center: Array, sd: Array, weights: Array) -> Contrast:
    """Return the contrast of a numeric column.

    Parameters
    ----------
    name : str
        The column.
    mean : array, shape (component,)
        Of each component, in original units.
    center, sd : array, shape (component,)
        Mean and sd of each after the column's transform.
    weights : array, shape (component,)
        Weights, summing to one; at least two components.

    Examples
    --------
    >>> found = of_numbers("x", np.array([0.0, 9.0]), np.array([0.0, 9.0]), np.array([1.0, 1.0]), np.array([0.5, 0.5]))
    >>> found.distance.round(2).tolist(), found.text[1]
    ([1.0, 1.0], 'x 9 (others 0)')
    """
    rest = _rest(weights)
    typical = rest @ mean
    spread = np.maximum(sd, 1e-12 * np.maximum(np.abs(center), 1e-300))
    grid = np.unique((center + np.outer(np.linspace(-_REACH, _REACH, _POINTS // len(center) + 64), spread)).ravel())
    passed = np.asarray(stats.norm.cdf(grid[:, None], center, spread)).T
    mass = np.diff(passed, axis=1)
    distance = 0.5 * np.abs(mass - rest @ mass).sum(axis=1)
    text = tuple(f"{name} {short(own, other - own)} (others {short(other, other - own)})"
                 for own, other in zip(mean, typical, strict=True))
    return Contrast(name, distance, text)


def of_levels(name: str, shares: Array, levels: Sequence[str], weights: Array) -> Contrast:
    """Return the contrast of a categorical column with probabilities of shape (component, level)."""
    other = _rest(weights) @ shares
    away = shares - other
    top = away.argmax(axis=1)
    text = tuple(f"{name}={levels[j]} {shares[k, j]:.0%} (others {other[k, j]:.0%})" for k, j in enumerate(top))
    return Contrast(name, 0.5 * np.abs(away).sum(axis=1), text)


def short(value: float, difference: float | None = None) -> str:
    """Return a number in three digits, without an exponent where it can be read, and no finer than a difference it is to show.

    Examples
    --------
    >>> short(412.3), short(0.0123), short(-1e9), short(3211.0)
    ('412', '0.0123', '-1e+09', '3211')
    >>> short(0.000289, 3.36), short(1.79, 29.6), short(0.4, 0.387), short(76.4, 1784.0)
    ('0', '1.8', '0.4', '76')
    """
    if difference and 1e-3 < abs(difference) < 1e6:
        digits = (2 - int(np.floor(np.log10(abs(each)))) for each in (value, difference) if each)
        places = max(0, min(digits))
        text = f"{round(value, places) + 0.0:.{places}f}"
        return text.rstrip("0").rstrip(".") if places else text
    return f"{value:.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.3g}"


def contrasts(parts: Sequence[Part], params: Sequence[Params], weights: Array) -> tuple[Contrast, ...]:
    """Return the contrast of every column; none where there is one component.

    Parameters
    ----------
    parts : sequence of Part
        The columns.
    params : sequence of mapping
        Parameters of each part.
    weights : array, shape (component,)
        Weights of the components.
    """
    if len(weights) < 2:
        return ()
    return tuple(each for part, held in zip(parts, params, strict=True) for each in _of_part(part, held, weights))


def _of_part(part: Part, params: Params, weights: Array) -> list[Contrast]:
    layout = part.layout
    columns = part.component.describe(params, layout)
    if layout.levels:
        name = layout.names[0]
        shares = np.column_stack([columns[f"{name}={level}"] for level in layout.levels])
        return [of_levels(name, shares, layout.levels, weights)]
    scaled = part.component.describe(params, replace(layout, transforms=(IDENTITY,) * len(layout.names)))
    return [of_numbers(name, columns[f"{name}_mean"], scaled[f"{name}_mean"], scaled[f"{name}_sd"], weights)
            for name in layout.names]


def distinguished_by(found: Sequence[Contrast], component: int) -> str:
    """Return what sets a component apart, the most telling column first; empty where nothing does."""
    ordered = sorted(found, key=lambda each: -each.distance[component])
    told = [each.text[component] for each in ordered[:MOST] if each.distance[component] >= LEAST]
    return "; ".join(told)
