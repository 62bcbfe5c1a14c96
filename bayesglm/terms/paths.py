"""Paths: a process over a grid of times, one for each level of ``by``, whose state runs level by level, node by node.

The walks and the autoregression differ in how a step is made (`Jump`) and in what ties a path down; the rest is here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from bayesglm.data.table import Table
from bayesglm.errors import LevelError
from bayesglm.formula import Call, OptionValue, Variable
from bayesglm.terms.curves import code_levels, learn_levels, name_of
from bayesglm.terms.grid import Grid, learn_grid
from bayesglm.terms.term import Array, Basis, State

# jump(rng, state, steps): the state (draws, paths, order) so many steps later.
Jump = Callable[[np.random.Generator, Array, int], Array]
_BETWEEN = " @ "


def learn_paths(node: Call, table: Table, *, by: OptionValue | Variable, least: int) -> State:
    """Learn the levels and the grid of times."""
    column, levels = learn_levels(by, table)
    name = name_of(node)
    return {"name": name, "by": column, "levels": levels,
            "grid": asdict(learn_grid(table[node.columns[0]], least=least, term=name))}


def grid_of(state: State) -> Grid:
    """Return the grid that was learnt."""
    return Grid(**state["grid"])


def path_labels(state: State) -> tuple[str, ...]:
    """Return the labels of all nodes of all paths: the time, behind its level where there are several."""
    grid = grid_of(state)
    times = grid.labels(np.arange(grid.nodes))
    if state["by"] is None:
        return tuple(times)
    return tuple(f"{level}{_BETWEEN}{time}" for level in state["levels"] for time in times)


def code_paths(state: State, table: Table) -> Basis:
    """Code the node of each row; nodes past the end, and those of unseen levels, come after the learnt ones."""
    grid, levels = grid_of(state), list(state["levels"])
    nodes = grid.number(table[grid.column])
    path, unseen = code_levels(state["by"], levels, table)
    index = (path * grid.nodes + nodes).astype(np.intp)
    known = len(levels) * grid.nodes
    new = np.flatnonzero((path >= len(levels)) | (nodes >= grid.nodes))
    if not new.size:
        return Basis(np.ones((table.rows, 1)), index, known)
    pairs, place = np.unique(np.stack([path[new], nodes[new]]), axis=1, return_inverse=True)
    index[new] = known + place.reshape(-1)
    times, names = grid.labels(pairs[1]), [*levels, *unseen]
    if state["by"] is not None:
        times = [f"{names[i]}{_BETWEEN}{time}" for i, time in zip(pairs[0], times, strict=True)]
    return Basis(np.ones((table.rows, 1)), index, known, tuple(times))


def nodes_of(state: State, labels: Sequence[str]) -> tuple[list[str], NDArray[np.intp]]:
    """Return level and node of each label of `code_paths`."""
    grid = grid_of(state)
    if state["by"] is None:
        return [state["levels"][0]] * len(labels), np.array([grid.node(label) for label in labels], np.intp)
    parts = [label.rsplit(_BETWEEN, 1) for label in labels]
    return [level for level, _ in parts], np.array([grid.node(time) for _, time in parts], np.intp)


def continue_paths(
    rng: np.random.Generator, x: Array, labels: Sequence[str], state: State, *, order: int, jump: Jump,
    start: Callable[[np.random.Generator, int, int], Array] | None = None,
) -> Array:
    """Draw the paths at added nodes from their last states, jointly for each draw.

    Parameters
    ----------
    rng : numpy.random.Generator
        The source of randomness.
    x : array, shape (draws, levels * nodes, 1)
        Draws of the fitted paths.
    labels : sequence of str
        The added nodes.
    state : mapping
        What was learnt.
    order : int
        How many of the last values make up the state of a path: the value, then its last differences.
    jump : callable
        ``jump(rng, state, steps)``.
    start : callable, optional
        ``start(rng, draws, paths)``: the state of paths that the fit has not seen, at their first node.

    Returns
    -------
    array, shape (draws, len(labels), 1)
    """
    grid, levels = grid_of(state), list(state["levels"])
    names, nodes = nodes_of(state, labels)
    out = np.empty((len(x), len(labels), 1))
    known = [level for level in levels if level in set(names)]
    if known:
        last = x.reshape(len(x), len(levels), grid.nodes)[:, [levels.index(level) for level in known], -order:]
        ends = np.stack([np.diff(last, i, axis=-1)[..., -1] for i in range(order)], axis=-1)
        _follow(out, rng, ends, grid.nodes - 1, _where(known, names, nodes), jump)
    unseen = [level for level in dict.fromkeys(names) if level not in set(levels)]
    if unseen and start is None:
        raise LevelError(
            f"unseen level {unseen[0]!r}", column=state["by"], value=unseen[0],
            rule=f"{state['name']} has no path for a level without data", fix="Drop the rows with new levels.",
        )
    if unseen and start is not None:
        places = _where(unseen, names, nodes)
        _follow(out, rng, start(rng, len(x), len(unseen)), min(places), places, jump)
    return out


def _where(paths: Sequence[str], names: Sequence[str], nodes: NDArray[np.intp]) -> Mapping[int, list[tuple[int, int]]]:
    """Return, by node in order, which path goes to which place of the result."""
    number = {path: i for i, path in enumerate(paths)}
    places: dict[int, list[tuple[int, int]]] = {}
    for i in np.argsort(nodes, kind="stable"):
        if names[i] in number:
            places.setdefault(int(nodes[i]), []).append((number[names[i]], int(i)))
    return places


def _follow(
    out: Array, rng: np.random.Generator, current: Array, node: int, places: Mapping[int, list[tuple[int, int]]],
    jump: Jump,
) -> None:
    """Walk through the nodes in order and write down the values that are asked for."""
    for there, wanted in places.items():
        if there > node:
            current, node = jump(rng, current, there - node), there
        paths, positions = np.array(wanted).T
        out[:, positions, 0] = current[:, paths, 0]
