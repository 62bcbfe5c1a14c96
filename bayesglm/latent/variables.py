"""Variables: draws of the field and the hyperparameters in the model's own parameters, with dims and coordinates.

The variables, names and dims are those of the ``pm.Model`` (`bayesglm.model.build`), so that everything that reads a fit, and
every tool that takes the ``pm.Model`` itself, reads these draws.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesglm.design import Predictor
from bayesglm.latent.hyper import SIGNED
from bayesglm.latent.layout import Field
from bayesglm.latent.owned import Own
from bayesglm.latent.placed import Placed
from bayesglm.model import block_dims, coefficient_parts, column_scale
from bayesglm.terms.term import Path

Array = NDArray[np.float64]


def expand(field: Field, theta: Array, w: Array, v: Array) -> dict[str, Array]:
    """Return every variable of the model at draws of theta, shape (draw, theta), and the field, (draw, S) and (draw, C).

    A scale that was sampled on both sides of 0 is reported as its absolute value, with the signs of its standardised effects and
    partial correlations turned accordingly.
    """
    layout = field.layout
    u = v.copy()
    np.add.at(u.T, layout.shear_core, (theta[:, layout.shear_theta] * layout.shear_value * w[:, layout.shear_place]).T)
    found: dict[str, Array] = {}
    for own in field.own:
        _own(own, theta, w, found)
    for predictor in field.problem.specification.predictors:
        _common(field, predictor, u, found)
    for placed in field.placed:
        _block(placed, theta, w, v, found)
    for k, each in zip(layout.constant_theta, field.problem.specification.constant(), strict=True):
        found[each.name] = theta[:, k]
    return found


def _own(own: Own, theta: Array, w: Array, found: dict[str, Array]) -> None:
    """Add coefficients with scales of their own, as sampled, their standard normal z and what the scales are made of."""
    scales, name = own.scales, own.variable
    given = theta[:, own.begin:own.begin + len(scales.priors)]
    a = scales.a.values(given)
    slab = given[:, [scales.slab]] if scales.slab >= 0 else 0.0
    found |= {f"{name}_{key}": each.values(given)[:, 0] for key, each in scales.scalars.items()}
    found |= {f"{name}_{key}": each.values(given) for key, each in scales.vectors.items()}
    found[f"{name}_z"] = w[:, own.place]
    found[name] = w[:, own.place] * a / np.sqrt(1.0 + slab * a**2)


def _common(field: Field, predictor: Predictor, u: Array, found: dict[str, Array]) -> None:
    """Add intercept and coefficients of a predictor, as sampled and as reported."""
    values: dict[str, dict[int, Array]] = {}
    for c, each in enumerate(field.core):
        values.setdefault(each.variable, {})[each.position] = each.location + each.sd * u[:, c]
    priors = field.problem.specification.priors.predictors[predictor.parameter]
    shift: Array | float = 0.0
    if predictor.coef:
        beta = np.empty((len(u), len(predictor.coef)))
        for part in coefficient_parts(predictor, priors):
            if part.name in values:
                found[part.name] = np.stack([values[part.name][i] for i in range(len(part.members))], axis=1)
            beta[:, list(part.members)] = found[part.name]
        beta /= column_scale(predictor)
        found[predictor.name("beta")] = beta
        shift = beta @ predictor.centre
    if predictor.intercept:
        intercept, centred = predictor.name("Intercept"), predictor.name("Intercept_centered")
        sampled = next(name for name in (intercept, centred) if name in values)
        found[sampled] = values[sampled][0]
        if predictor.coef:
            other, sign = (centred, 1.0) if sampled == intercept else (intercept, -1.0)
            found[other] = found[sampled] + sign * shift


def _block(placed: Placed, theta: Array, w: Array, v: Array, found: dict[str, Array]) -> None:
    """Add a block's hyperparameters, its standard normal z and its state."""
    block, name = placed.block, placed.predictor.name
    scale = theta[:, placed.sd]
    sign = np.where(scale < 0, -1.0, 1.0)
    sd = np.abs(scale)
    draws = len(theta)
    factor: Array | None = None
    for each in block.hyperparameters:
        if each.key == "cor":
            size = len(each.labels)
            row, column = below_diagonal(size)
            share = 0.5 + (theta[:, placed.partial] - 0.5) * sign[:, row] * sign[:, column]
            factor = correlation_factor(2.0 * share - 1.0, size)
            found[name(f"partial_{block.name}")] = share
            found[name(each.name)] = factor @ factor.swapaxes(1, 2)
        elif each.key == "sd":
            found[name(each.name)] = sd if each.labels else sd[:, 0]
        else:
            found[name(each.name)] = theta[:, placed.rho[0]]
    if placed.core is not None:
        z = (v[:, placed.core] * sign)[:, None, :]
        state = z * sd[:, None, :]
    elif block.path is not None:
        assert placed.sparse is not None
        z, state = _paths(block.path, placed, w, scale[:, 0], theta[:, placed.rho[0]] if placed.rho.size else None)
    else:
        assert placed.sparse is not None
        z = w[:, placed.sparse.ravel()].reshape(draws, *placed.sparse.shape) * sign[:, None, :]
        state = (z if factor is None else z @ factor.swapaxes(1, 2)) * sd[:, None, :]
    found[name(f"z_{block.name}")] = z
    found[name(f"effect_{block.name}")] = state


def below_diagonal(size: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns below the diagonal, column by column."""
    column, row = np.triu_indices(size, 1)
    return row, column


def correlation_factor(partial: Array, size: int) -> Array:
    """Return the Cholesky factors of correlation matrices from partial correlations, shape (draw, size, size).

    Examples
    --------
    >>> correlation_factor(np.array([[0.6]]), 2)[0].tolist()
    [[1.0, 0.0], [0.6, 0.8]]
    """
    full = np.zeros((len(partial), size, size))
    row, column = below_diagonal(size)
    full[:, row, column] = partial
    left = np.ones((len(partial), size))
    out = np.zeros_like(full)
    for j in range(size):
        out[:, j, j] = left[:, j]
        out[:, j + 1:, j] = full[:, j + 1:, j] * left[:, j + 1:]
        left[:, j + 1:] *= np.sqrt(1.0 - full[:, j + 1:, j] ** 2)
    return out


def _paths(path: Path, placed: Placed, w: Array, scale: Array, rho: Array | None) -> tuple[Array, Array]:
    """Return innovations and states of walks, shapes (draw, innovations, 1) and (draw, levels, 1)."""
    assert placed.sparse is not None
    place = placed.sparse[:, 0]
    sign = np.where(scale < 0, -1.0, 1.0)[:, None, None]
    y = np.where(place >= 0, w[:, np.maximum(place, 0)], 0.0).reshape(len(w), path.paths, path.nodes)
    if rho is not None:
        left = np.sqrt(1.0 - rho**2)[:, None, None]
        z = np.concatenate([y[..., :1], (y[..., 1:] - rho[:, None, None] * y[..., :-1]) / left], axis=2)
        return (sign * z).reshape(len(w), -1, 1), (scale[:, None, None] * y).reshape(len(w), -1, 1)
    z = np.diff(y, n=path.order, axis=2)
    state = y - y.mean(axis=2, keepdims=True)
    if path.order == 2:
        t = np.arange(path.nodes) - (path.nodes - 1) / 2
        line = t / np.sqrt((t**2).sum())
        state = state - (state @ line)[..., None] * line
    return (sign * z).reshape(len(w), -1, 1), (scale[:, None, None] * state).reshape(len(w), -1, 1)


def dims_of(field: Field) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[Any, ...]]]:
    """Return the dims of each variable of `expand`, and the coordinates, as in the ``pm.Model``."""
    dims: dict[str, tuple[str, ...]] = {}
    coords: dict[str, tuple[Any, ...]] = {}
    specification = field.problem.specification
    for predictor in specification.predictors:
        if predictor.coef:
            dims[predictor.name("beta")] = (predictor.name("coef"),)
            coords[predictor.name("coef")] = predictor.coef
            for part in coefficient_parts(predictor, specification.priors.predictors[predictor.parameter]):
                dims[part.name] = (part.dim,)
                own = next((each for each in field.own if each.variable == part.name), None)
                if own is not None:
                    dims |= {f"{part.name}_{key}": (part.dim,) for key in ("z", *own.scales.vectors)}
                coords[part.dim] = tuple(predictor.coef[j] for j in part.members)
    for placed in field.placed:
        block, name = placed.block, placed.predictor.name
        levels, effects = block_dims(block, placed.predictor)
        coords |= {levels: block.levels, effects: block.effects}
        rows = levels
        if block.innovations[0] != len(block.levels):
            rows = f"{name(block.name)}_innovation"
            coords[rows] = tuple(range(block.innovations[0]))
        dims[name(f"z_{block.name}")], dims[name(f"effect_{block.name}")] = (rows, effects), (levels, effects)
        for each in block.hyperparameters:
            if each.key == "cor":
                coords[f"{effects}_other"] = each.labels
                dims[name(each.name)] = (effects, f"{effects}_other")
            elif each.labels:
                dims[name(each.name)] = (effects,)
    return dims, coords


def signed(field: Field) -> NDArray[np.bool_]:
    """Return which hyperparameters are scales that were sampled on both sides of 0."""
    return np.asarray(field.hyper.way == SIGNED)
