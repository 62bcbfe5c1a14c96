"""Factor: one member of a common or group effect, coded into columns.

A number is one column, a category one column a level (all but the reference where the coding is reduced), ``poly`` and ``bs``
are formulaic's bases, called as functions on the column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from bayesglm.data.faults import shown
from bayesglm.data.table import Column, Table
from bayesglm.errors import DesignError, LevelError, suggestion
from bayesglm.formula import Call, Option, Signature, Variable
from bayesglm.terms.scalar import code_scalar, learn_scalar
from bayesglm.terms.term import Array, Columns, State

C = Signature("C", "transform", scalar=False, nests=False, note="a category with a chosen reference",
              options=(Option("reference", ("str", "int", "bool"), default=None),
                       Option("unknown", ("str", "int"), default=None)))
POLY = Signature("poly", "transform", scalar=False, options=(Option("degree", ("int",), minimum=1),),
                 note="orthogonal polynomial")
BS = Signature("bs", "transform", scalar=False, note="cubic B-spline without penalty",
               options=(Option("df", ("int",), default=5, minimum=1), Option("degree", ("int",), default=3, minimum=1)))
SIGNATURES = (C, POLY, BS)


def learn_factor(factor: Variable | Call, table: Table, counts: Array, *, reduced: bool) -> State:
    """Learn how to code a factor.

    Parameters
    ----------
    factor : Variable or Call
        The member of the product.
    table : Table
        The distinct covariate patterns.
    counts : array, shape (pattern,)
        Rows behind each pattern.
    reduced : bool
        Whether a category leaves its reference out.
    """
    if isinstance(factor, Variable):
        column = table[factor.name]
        return _learn_category(column, str(factor), None, None, reduced=reduced) if column.kind == "category" else _learn_number(
            factor, table, counts)
    if factor.function == "C":
        settings = C.settings(factor)
        name = factor.columns[0]
        return _learn_category(table[name].as_category(), name, settings["reference"], settings["unknown"], reduced=reduced)
    if factor.function in ("poly", "bs"):
        return _LEARN_BASIS[factor.function](factor, table, counts)
    return _learn_number(factor, table, counts)


def is_category(factor: Variable | Call, table: Table) -> bool:
    """Say whether a factor is coded by levels: a column of labels, or any column inside C()."""
    return table[factor.name].kind == "category" if isinstance(factor, Variable) else factor.function == "C"


def code_factor(state: State, table: Table) -> Columns:
    """Code a learnt factor on any table."""
    return _CODE[state["kind"]](state, table)


def _learn_number(factor: Variable | Call, table: Table, counts: Array) -> State:
    scalar = learn_scalar(factor, table, counts)
    return {"kind": "number", "scalar": scalar, "reading": _number_reading(scalar, table)}


def _number_reading(scalar: State, table: Table) -> str:
    if scalar["function"] == "scale":
        return f"per +1 sd ({scalar['sd']:.4g}) of {scalar['inner']['label']}"
    if scalar["function"] == "log":
        return f"per factor e of {scalar['inner']['label']}"
    if table[scalar["column"]].kind == "boolean":
        return f"{scalar['label']} true against false"
    return f"per +1 of {scalar['label']}"


def _code_number(state: State, table: Table) -> Columns:
    return Columns((state["scalar"]["label"],), code_scalar(state["scalar"], table)[:, None], (state["reading"],))


def _learn_category(column: Column, label: str, reference: Any, unknown: Any, *, reduced: bool) -> State:
    used = np.bincount(column.values, minlength=len(column.levels)) > 0
    levels = [level for level, seen in zip(column.levels, used, strict=True) if seen]
    if len(levels) < 2:
        raise LevelError("has one level only", column=column.name, value=levels[0] if levels else None,
                         rule="a factor compares at least two levels", fix="Leave the column out of the formula.")
    for option, value in (("reference", reference), ("unknown", unknown)):
        if value is not None and str(value) not in levels:
            raise LevelError(f"no level {str(value)!r} for {option}", column=column.name, value=value,
                             rule=f"{option}= must be a level of the column", fix=suggestion(str(value), levels))
    return {"kind": "category", "column": column.name, "label": label, "levels": levels, "reduced": reduced,
            "reference": levels[0] if reference is None else str(reference),
            "unknown": None if unknown is None else str(unknown)}


def _code_category(state: State, table: Table) -> Columns:
    levels, reference = list(state["levels"]), state["reference"]
    codes = level_codes(state["column"], table, levels, state["unknown"])
    kept = [level for level in levels if not (state["reduced"] and level == reference)]
    position = np.array([kept.index(level) if level in kept else -1 for level in levels])[codes]
    values = np.zeros((table.rows, len(kept)))
    rows = np.flatnonzero(position >= 0)
    values[rows, position[rows]] = 1.0
    against = f"against {reference}" if state["reduced"] else "at this level"
    return Columns(tuple(f"{state['label']}[{level}]" for level in kept), values,
                   tuple(f"{state['column']} {level} {against}" for level in kept))


def level_codes(name: str, table: Table, levels: list[str], unknown: str | None) -> Any:
    """Return the position of each row's level among the learnt ones; a new level is an error unless a bucket was declared."""
    category = table[name].as_category()
    place = {level: i for i, level in enumerate(levels)}
    seen = np.unique(category.values)
    new = [category.levels[code] for code in seen if category.levels[code] not in place]
    if new and unknown is None:
        rows = np.flatnonzero(np.isin(category.labels(), new))
        raise LevelError(f"new level {new[0]!r}", column=name, value=new[0], rows=table.positions(rows[:5]),
                         rule=f"a common factor knows the levels it was fitted with: {', '.join(levels)}",
                         fix=f"Use (1 | {Variable(name)}) for levels that may be new, or C({Variable(name)}, unknown=\"...\").")
    bucket = place.get(unknown, -1) if unknown is not None else -1
    return np.array([place.get(level, bucket) for level in category.levels], dtype=np.intp)[category.values]


def _learn_poly(factor: Call, table: Table, counts: Array) -> State:
    """Weighted three-term recurrence; formulaic's ``poly`` evaluates from this state."""
    degree = int(POLY.settings(factor)["degree"])  # type: ignore[arg-type]
    scalar = learn_scalar(factor.arguments[0], table, counts)
    x = code_scalar(scalar, table)
    if len(np.unique(x)) <= degree:
        raise DesignError(f"{len(np.unique(x))} distinct values", column=factor.columns[0], value=degree,
                          rule=f"poly() of degree {degree} needs more than {degree} distinct values", fix="Use a lower degree.")
    previous, current = np.zeros_like(x), np.ones_like(x)
    alpha: list[float] = []
    norms = [float(counts.sum())]
    for k in range(degree):
        alpha.append(float((counts * x * current**2).sum() / norms[-1]))
        beta = norms[-1] / norms[-2] if k else 0.0
        previous, current = current, (x - alpha[-1]) * current - beta * previous
        norms.append(float((counts * current**2).sum()))
    return {"kind": "poly", "scalar": scalar, "label": str(factor), "degree": degree, "alpha": alpha, "norms": norms,
            "rows": float(counts.sum())}


def _code_poly(state: State, table: Table) -> Columns:
    from formulaic.transforms.poly import poly

    learnt = {"alpha": dict(enumerate(state["alpha"])), "norms2": dict(enumerate(state["norms"]))}
    values = np.asarray(poly(code_scalar(state["scalar"], table), state["degree"], _state=learnt), dtype=np.float64)
    numbers = range(1, state["degree"] + 1)
    scaled = values * np.sqrt(state["rows"])  # unit mean square, so that a coefficient reads per sd
    return Columns(tuple(f"{state['label']}[{k}]" for k in numbers), scaled,
                   tuple(f"per +1 sd of the degree-{k} polynomial of {state['scalar']['label']}" for k in numbers))


def _learn_bs(factor: Call, table: Table, counts: Array) -> State:
    settings = BS.settings(factor)
    df, degree = int(settings["df"]), int(settings["degree"])  # type: ignore[arg-type]
    scalar = learn_scalar(factor.arguments[0], table, counts)
    x = code_scalar(scalar, table)
    inner = df - degree
    if inner < 0 or len(np.unique(x)) <= df:
        raise DesignError(f"df={df} with {len(np.unique(x))} distinct values", column=factor.columns[0], value=df,
                          rule=f"bs() needs df >= degree ({degree}) and more distinct values than df", fix="Use another df.")
    order = np.argsort(x)
    share = np.cumsum(counts[order]) / counts.sum()
    knots = np.interp(np.linspace(0, 1, inner + 2)[1:-1], share, x[order])
    return {"kind": "bs", "scalar": scalar, "label": str(factor), "degree": degree, "knots": knots.tolist(),
            "lower": float(x.min()), "upper": float(x.max())}


def _code_bs(state: State, table: Table) -> Columns:
    from formulaic.transforms.basis_spline import basis_spline

    x = code_scalar(state["scalar"], table)
    outside = np.flatnonzero((x < state["lower"]) | (x > state["upper"]))
    if outside.size:
        raise DesignError("has values outside the fitted range", column=state["scalar"]["label"],
                          value=shown(x[outside[0]]), rows=table.positions(outside),
                          rule=f"bs() is known between {state['lower']:g} and {state['upper']:g}",
                          fix="Use s(), which continues as a straight line.")
    basis = basis_spline(x, knots=state["knots"], degree=state["degree"], lower_bound=state["lower"],
                         upper_bound=state["upper"], _state={})
    values = np.column_stack([np.asarray(column, dtype=np.float64) for column in dict(basis).values()])
    numbers = range(1, values.shape[1] + 1)
    return Columns(tuple(f"{state['label']}[{k}]" for k in numbers), values,
                   tuple(f"per +1 of B-spline {k} of {state['scalar']['label']}" for k in numbers))


_LEARN_BASIS: Mapping[str, Callable[[Call, Table, Array], State]] = MappingProxyType({"poly": _learn_poly, "bs": _learn_bs})
_CODE: Mapping[str, Callable[[State, Table], Columns]] = MappingProxyType(
    {"number": _code_number, "category": _code_category, "poly": _code_poly, "bs": _code_bs})
