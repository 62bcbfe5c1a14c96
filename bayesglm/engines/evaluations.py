"""Evaluations: a compiled log density at many points, and transitions of it from many points, on threads and without Python.

The loops know a density by its address only (`bayesglm.engines.native`), so they are compiled once for all models.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, call-arg, var-annotated", warn-unreachable=False
# (numba's own functions that build code carry no types, and what it compiles takes its types from its arguments)
from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import int64
from numba.extending import intrinsic
from numpy.typing import NDArray

from bayesglm.engines.native import Native, Table
from bayesglm.latent.kernel import kernel

Array = NDArray[np.float64]


def _calling(typing: Any, address: Any, size: Any, q: Any, gradient: Any, value: Any, table: Any) -> Any:
    """Call the C function at an address with pointers, and return its code."""
    del typing

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        del context, signature
        word, number = ir.IntType(64), ir.DoubleType().as_pointer()
        form = ir.FunctionType(word, [word, number, number, number, word.as_pointer()])
        entry = builder.inttoptr(given[0], form.as_pointer())
        pointers = [builder.inttoptr(each, number) for each in given[2:5]]
        return builder.call(entry, [given[1], *pointers, builder.inttoptr(given[5], word.as_pointer())])

    return int64(address, size, q, gradient, value, table), generate


_call: Callable[..., int] = cast(Any, intrinsic(_calling))


@kernel
def _evaluate(address: int, table: Table, q: Array, gradient: Array) -> float:
    """Fill in the gradient and return the log density, minus infinity where there is none."""
    value = np.zeros(1)
    code = _call(address, q.size, q.ctypes.data, gradient.ctypes.data, value.ctypes.data, table.ctypes.data)
    return value[0] if code == 0 else -np.inf


@kernel
def _evaluate_all(address: int, table: Table, q: Array, values: Array) -> None:
    point, gradient = np.empty(q.shape[1]), np.empty(q.shape[1])
    for i in range(len(q)):
        point[:] = q[i]
        values[i] = _evaluate(address, table, point, gradient)


@kernel
def _slopes(address: int, table: Table, q: Array, values: Array, gradients: Array) -> None:
    point, gradient = np.empty(q.shape[1]), np.empty(q.shape[1])
    for i in range(len(q)):
        point[:] = q[i]
        values[i] = _evaluate(address, table, point, gradient)
        gradients[i] = gradient


@kernel
def _transitions(address: int, table: Table, q: Array, momenta: Array, levels: Array, step: float, steps: int) -> float:
    """Move every row of q by Hamiltonian transitions, one for each row of its momenta; return the mean acceptance."""
    size, total = q.shape[1], 0.0
    at, gradient, slope = np.empty(size), np.empty(size), np.empty(size)
    for i in range(len(q)):
        value = _evaluate(address, table, q[i].copy(), gradient)
        for j in range(momenta.shape[1]):
            at[:], slope[:] = q[i], gradient
            p = momenta[i, j].copy()
            energy = value - 0.5 * np.dot(p, p)
            new = value
            for _ in range(steps):
                p += 0.5 * step * slope
                at += step * p
                new = _evaluate(address, table, at, slope)
                if not np.isfinite(new):
                    break
                p += 0.5 * step * slope
            ahead = new - 0.5 * np.dot(p, p) if np.isfinite(new) else -np.inf
            accept = min(1.0, np.exp(ahead - energy)) if np.isfinite(ahead) else 0.0
            total += accept
            if levels[i, j] < accept:
                q[i], gradient[:], value = at, slope, new
    return float(total / (len(q) * momenta.shape[1]))


def in_threads[Part, Found](work: Callable[[Part], Found], parts: Iterable[Part], cores: int | None = None) -> list[Found]:
    """Return what a function of parts gives, in their order, from several threads at a time."""
    with ThreadPoolExecutor(cores or os.cpu_count()) as pool:
        return list(pool.map(work, parts))


def evaluate(density: Native, q: Array, cores: int | None = None) -> Array:
    """Return the log density at many points.

    Parameters
    ----------
    density : Native
        A compiled log density.
    q : array, shape (draw, size)
        The points.
    cores : int, optional
        Threads; by default as many as there are cores.

    Returns
    -------
    array, shape (draw,)
        Minus infinity where a parameter overflows its range.
    """
    q, values = np.ascontiguousarray(q), np.empty(len(q))
    in_threads(lambda part: _evaluate_all(density.address, density.table, q[part], values[part]), _parts(len(q)), cores)
    return values


def slopes(density: Native, q: Array, cores: int | None = None) -> tuple[Array, Array]:
    """Return the log density and its gradient at many points.

    Parameters
    ----------
    density : Native
        A compiled log density.
    q : array, shape (draw, size)
        The points.
    cores : int, optional
        Threads; by default as many as there are cores.

    Returns
    -------
    values : array, shape (draw,)
        Minus infinity where a parameter overflows its range.
    gradients : array, shape (draw, size)
        Of no meaning there.
    """
    q, values, gradients = np.ascontiguousarray(q), np.empty(len(q)), np.empty(q.shape)
    in_threads(lambda part: _slopes(density.address, density.table, q[part], values[part], gradients[part]), _parts(len(q)),
               cores)
    return values, gradients


def hamiltonian(
    density: Native, q: Array, *, transitions: int, step: float, steps: int, seed: int, cores: int | None = None,
) -> tuple[Array, float]:
    """Return points after Hamiltonian transitions with unit mass, each accepted or not, and the mean acceptance.

    Parameters
    ----------
    density : Native
        A compiled log density.
    q : array, shape (draw, size)
        Where to begin.
    transitions, steps : int
        Transitions of each point, and leapfrog steps in each.
    step : float
        Length of a leapfrog step.
    seed : int
        Of the momenta and acceptances; they do not depend on the number of threads.
    cores : int, optional
        Threads; by default as many as there are cores.
    """
    parts = _parts(len(q))
    seeds = np.random.SeedSequence(seed).spawn(len(parts))

    def move(given: tuple[slice, np.random.SeedSequence]) -> tuple[Array, float]:
        part, own = given
        rng, found = np.random.default_rng(own), q[part].copy()
        shape = (len(found), transitions, q.shape[1])
        accepted = _transitions(density.address, density.table, found, rng.standard_normal(shape), rng.uniform(size=shape[:2]),
                                step, steps)
        return found, accepted * len(found)

    moved = in_threads(move, zip(parts, seeds, strict=True), cores)
    return np.concatenate([each for each, _ in moved]), sum(accepted for _, accepted in moved) / len(q)


_PART = 25


def _parts(size: int) -> list[slice]:
    return [slice(start, min(start + _PART, size)) for start in range(0, size, _PART)]
