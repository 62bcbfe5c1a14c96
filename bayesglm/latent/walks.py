"""Walks: what becomes of the constant, and for order 2 the straight line, that the model takes out of a random walk.

Either coefficients take it up, or it is a coordinate of its own that is tied to the path; see `bayesglm.latent.layout`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesglm.design import Predictor
from bayesglm.latent.elimination import starts
from bayesglm.latent.placed import Core, Placed
from bayesglm.model import column_scale
from bayesglm.specification import PredictorPriors, Problem
from bayesglm.terms.term import Basis, Path

Array = NDArray[np.float64]
Index = NDArray[np.int64]


def taken_up(path: Path, predictor: Predictor, priors: PredictorPriors) -> bool:
    """Whether intercept and straight line take up what a walk is known up to: one path, and both have priors of their own."""
    line = path.order == 1 or (path.line in predictor.coef and not priors.coef[predictor.coef.index(path.line)].joint)
    return path.paths == 1 and predictor.intercept and line


def reason_against_levels(problem: Problem) -> str:
    """Return which walk's levels are coordinates of their own, empty if there is none; not all engines know of these."""
    for predictor in problem.specification.predictors:
        priors = problem.specification.priors.predictors[predictor.parameter]
        for block in predictor.blocks:
            if block.path is not None and block.path.order and not taken_up(block.path, predictor, priors):
                return f"{block.name} is a walk of several paths, or has no intercept to take up its level"
    return ""


def level_reads(path: Path, basis: Basis) -> list[tuple[Index, Array]]:
    """Return which path each row reads the level of and, for order 2, the slope, and what it multiplies it by."""
    row, node = np.divmod(basis.index.astype(np.int64), path.nodes)
    return [(row, basis.values * trend[node][:, None]) for trend in (np.ones(path.nodes), unit_line(path))[:path.order]]


def unit_line(path: Path) -> Array:
    """Return the straight line of length 1 over the nodes of a path."""
    t = np.arange(path.nodes, dtype=np.float64) - (path.nodes - 1) / 2
    return np.asarray(t / np.sqrt((t**2).sum()))


def shear(placed: Sequence[Placed], core: Sequence[Core]) -> dict[str, Any]:
    """Return what intercepts and straight lines take up of the walks."""
    entries: list[tuple[Index, Index, Index, Array]] = []
    for each in placed:
        path, predictor = each.block.path, each.predictor
        if path is None or path.order == 0 or each.levels.size:
            continue
        share = np.full(path.nodes, 1.0 / path.nodes)
        if path.order == 2:
            j = predictor.coef.index(path.line)
            line, scale = unit_line(path), column_scale(predictor)[j]
            length = 1.0 / (line[1] - line[0])
            number = _line_entry(core, predictor, j)
            centre = 0.0 if _uncentred(core, predictor) else predictor.centre[j]
            share = share + line * (path.size * centre + path.middle - (path.nodes - 1) / 2) / length
            entries.append(_taken(number, each, line * path.size / length * scale / core[number].sd))
        names = predictor.name("Intercept"), predictor.name("Intercept_centered")
        number = next(i for i, c in enumerate(core) if c.variable in names)
        entries.append(_taken(number, each, share / core[number].sd))
    return {
        "shear_core": np.concatenate([np.zeros(0, np.int64), *(each[0] for each in entries)]),
        "shear_theta": np.concatenate([np.zeros(0, np.int64), *(each[1] for each in entries)]),
        "shear_place": np.concatenate([np.zeros(0, np.int64), *(each[2] for each in entries)]),
        "shear_value": np.concatenate([np.zeros(0), *(each[3] for each in entries)]),
        "shear_stretch": starts(np.array([len(each[3]) for each in entries], np.int64)),
    }


def _taken(core: int, placed: Placed, values: Array) -> tuple[Index, Index, Index, Array]:
    """Return core entry, theta, coordinate and value for every node of a walk that is not anchored."""
    assert placed.sparse is not None
    place = placed.sparse[:, 0]
    live = place >= 0
    count = int(live.sum())
    return np.full(count, core), np.full(count, placed.sd[0]), place[live], values[live]


def _uncentred(core: Sequence[Core], predictor: Predictor) -> bool:
    return any(each.variable == predictor.name("Intercept") for each in core)


def _line_entry(core: Sequence[Core], predictor: Predictor, j: int) -> int:
    """Return which core entry is a coefficient."""
    name = predictor.name("beta_scaled")
    return next(i for i, each in enumerate(core) if each.variable.startswith(name) and each.coefficient == j)
