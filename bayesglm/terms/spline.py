"""Spline: a smooth curve of a number, a straight line and a penalised part.

Cubic B-splines on equally spaced knots with coefficients b and a penalty on the second differences D b (a P-spline).
With u = D b and D' (D D')^-1 as the way back, the curve is

    f(x) = constant + slope x + Z u,      Z = B D' (D D')^-1,      u ~ Normal(0, sd^2 I)

The constant is the intercept's, the straight line is a common effect, and Z is made orthogonal to both over the fitted
rows and scaled so that sd is the root mean square of the curve about its line. Beyond the fitted range the curve goes
on straight, as its line and the penalised part both do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline

from bayesglm.data.table import Table
from bayesglm.errors import DesignError
from bayesglm.formula import Call, Option, Signature
from bayesglm.terms.curves import (
    code_levels,
    curve_block,
    learn_levels,
    line_columns,
    line_reading,
    name_of,
    refuse_added,
)
from bayesglm.terms.scalar import code_scalar, learn_scalar, moments
from bayesglm.terms.term import Array, Basis, Block, Coded, Context, State, Term

SPLINE = Signature(
    "s", "structured", note="a smooth curve: a straight line and a penalised cubic spline",
    options=(Option("knots", ("int",), default=20, minimum=4), Option("by", ("column",), default=None)),
)
_LEAST_VALUES = 4
_DEGREE = 3


def learn_spline(node: Call, table: Table, context: Context) -> State:
    """Learn the range, the knots, and what makes the penalised part orthogonal to the line and of unit size."""
    settings = SPLINE.settings(node)
    scalar = learn_scalar(node.arguments[0], table, context.counts)
    x = code_scalar(scalar, table)
    _check_values(x, str(node.arguments[0]))
    by, levels = learn_levels(settings["by"], table)
    mean, sd = moments(x, context.counts)
    state = {
        "name": name_of(node), "line": name_of(node, without=("by",)), "scalar": scalar, "knots": settings["knots"],
        "by": by, "levels": levels, "low": float(x.min()), "high": float(x.max()), "mean": mean, "sd": sd,
    }
    raw, line = _raw_basis(state, x), (x - mean) / sd
    level = np.average(raw, axis=0, weights=context.counts)
    slope = np.average(raw * line[:, None], axis=0, weights=context.counts)
    penalised = raw - level - line[:, None] * slope
    size = np.sqrt(np.average((penalised**2).sum(axis=1), weights=context.counts))
    return state | {"level": level.tolist(), "slope": slope.tolist(), "size": float(size)}


def code_spline(state: State, table: Table) -> Coded:
    """Code the straight line and the penalised basis of each row."""
    x = code_scalar(state["scalar"], table)
    index, added = code_levels(state["by"], state["levels"], table)
    refuse_added(state["by"], added, name=state["name"], levels=state["levels"])
    line = (x - state["mean"]) / state["sd"]
    values = _raw_basis(state, x) - np.array(state["level"]) - line[:, None] * np.array(state["slope"])
    basis = Basis(values / state["size"], index, len(state["levels"]))
    reading = line_reading(state["scalar"]["label"], f"{state['sd']:.4g}")
    return Coded(line_columns(state["line"], line, index, state["by"], state["levels"], reading), (basis,))


def spline_block(state: State) -> Block:
    """Return the prior of the penalised coefficients."""
    return curve_block(state["name"], state["levels"], [f"bend{k}" for k in range(1, state["knots"] + 1)])


def _check_values(x: Array, column: str) -> None:
    values = np.unique(x)
    if len(values) < _LEAST_VALUES:
        raise DesignError(
            f"{len(values)} distinct values ({', '.join(f'{value:g}' for value in values)})", column=column,
            value=float(values[0]), rule=f"a cubic spline needs at least {_LEAST_VALUES}",
            fix=f"Use {column} or C({column}) as a common effect.",
        )


def _raw_basis(state: State, x: Array) -> Array:
    """Return B D' (D D')^-1 of shape (row, knots), continued straight beyond the fitted range."""
    knots = int(state["knots"])
    unit = (x - state["low"]) / (state["high"] - state["low"])
    inside = np.clip(unit, 0.0, 1.0)
    places = np.linspace(-_DEGREE, knots - 1 + _DEGREE, knots + 2 * _DEGREE) / (knots - 1)
    back = np.linalg.pinv(np.diff(np.eye(knots + 2), 2, axis=0))
    local = BSpline.design_matrix(inside, places, _DEGREE, extrapolate=True) @ back
    return np.asarray(local + (unit - inside)[:, None] * _end_slopes(unit, back, knots), dtype=np.float64)


def _end_slopes(unit: Array, back: Array, knots: int) -> NDArray[np.float64]:
    """Return the slope of the basis at the end nearer to each row, where a cubic B-spline's is (-1/2, 0, 1/2) / h."""
    first, last = back[2] - back[0], back[-1] - back[-3]
    return np.asarray(np.where(unit[:, None] < 0.5, first, last) * (knots - 1) / 2, dtype=np.float64)


MEMBER = Term(
    name="s", learn=learn_spline, code=code_spline, blocks=lambda state: (spline_block(state),), signatures=(SPLINE,),
    source="Eilers and Marx (1996), Statistical Science 11, 89; "
           "Fahrmeir, Kneib and Lang (2004), Statistica Sinica 14, 731",
)
