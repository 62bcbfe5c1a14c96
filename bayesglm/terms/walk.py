"""Random walk: a level (order 1) or a slope (order 2) that drifts over time.

    order 1: x_t = x_{t-1} + e_t        order 2: x_t = 2 x_{t-1} - x_{t-2} + e_t        e_t ~ Normal(0, sd^2)

over a regular grid with gaps as latent nodes. What the differences leave free is taken out of the path over the nodes
of the fit: the constant (the intercept's) and, for order 2, the straight line (a common effect). So with D the
differences

    x = P S (sd z),      Q = D' D / sd^2,      Cov(x) = sd^2 (D' D)^+

with S the cumulated sums and P the projection. The default prior of sd lets the typical size of the whole path, not of
one step, be of order 1: the mean variance of an order-1 path over T nodes is sd^2 (T^2 - 1) / (6 T), of an order-2 path
close to sd^2 T^3 / 420.
"""

from __future__ import annotations

import numpy as np
import pytensor.tensor as pt
import scipy.sparse as sp
from pytensor.tensor.variable import TensorVariable

from bayesglm.data.table import Table
from bayesglm.formula import Call, Option, Signature
from bayesglm.priors import HalfNormal
from bayesglm.terms.curves import code_levels, line_columns, line_reading, name_of, refuse_added, scale_of
from bayesglm.terms.grid import Grid
from bayesglm.terms.paths import Jump, code_paths, continue_paths, grid_of, learn_paths, path_labels
from bayesglm.terms.scalar import moments
from bayesglm.terms.term import Array, Block, Coded, Context, Path, State, Term, Theta

WALK = Signature(
    "rw", "structured", nests=False, note="a random walk over time",
    options=(Option("order", ("int",), default=1, choices=(1, 2)), Option("by", ("column",), default=None)),
)


def learn_walk(node: Call, table: Table, context: Context) -> State:
    """Learn the grid and, for order 2, the scale of the straight line."""
    settings = WALK.settings(node)
    order = settings["order"]
    state = learn_paths(node, table, by=settings["by"], least=int(str(order)) + 1)
    grid = grid_of(state)
    mean, sd = moments(grid.number(table[grid.column]).astype(np.float64), context.counts)
    return {**state, "order": order, "line": name_of(node, without=("by",)), "mean": mean, "sd": sd}


def code_walk(state: State, table: Table) -> Coded:
    """Code each row's node and, for order 2, the straight line."""
    path, unseen = code_levels(state["by"], state["levels"], table)
    refuse_added(state["by"], unseen, name=state["name"], levels=state["levels"])
    basis = code_paths(state, table)
    if state["order"] == 1:
        return Coded(bases=(basis,))
    grid = grid_of(state)
    line = (grid.number(table[grid.column]) - state["mean"]) / state["sd"]
    reading = line_reading(grid.column, grid.length(state["sd"]))
    return Coded(line_columns(state["line"], line, path, state["by"], state["levels"], reading), (basis,))


def walk_block(state: State) -> Block:
    """Return the prior of the walks."""
    name, order, grid, paths = str(state["name"]), int(state["order"]), grid_of(state), len(state["levels"])
    return Block(
        name=name, levels=path_labels(state), effects=("value",),
        level_dim=f"{name}_level", effect_dim=f"{name}_effect", role="walk",
        path=Path(paths, grid.nodes, order, state["line"] if order == 2 else "", state["mean"], state["sd"]),
        innovations=(paths * (grid.nodes - order), 1),
        hyperparameters=(scale_of(name, HalfNormal(1 / typical_size(grid.nodes, order))),),
        state=lambda z, theta: walk_state(z, theta, paths, grid, order),
        precision=lambda theta: sp.kron(
            sp.eye_array(paths), structure(grid.nodes, order) / np.asarray(theta["sd"]).item() ** 2, format="csc"),
        extend=lambda rng, x, theta, added: continue_paths(
            rng, x, added, state, order=order, jump=_JUMPS[order](np.asarray(theta["sd"]))),
    )


def typical_size(nodes: int, order: int) -> float:
    """Return the root mean variance of a walk of unit sd over its nodes.

    Examples
    --------
    >>> round(typical_size(24, 1), 4)
    1.9983
    """
    variance = (nodes**2 - 1) / (6 * nodes) if order == 1 else nodes**3 / 420
    return float(np.sqrt(variance))


def structure(nodes: int, order: int) -> sp.csc_array:
    """Return D' D, sparse, with D the differences of the order."""
    weights = {1: (-1.0, 1.0), 2: (1.0, -2.0, 1.0)}[order]
    difference = sp.diags_array(weights, offsets=list(range(order + 1)), shape=(nodes - order, nodes))
    return sp.csc_array(difference.T @ difference)


def walk_state(z: TensorVariable, theta: Theta, paths: int, grid: Grid, order: int) -> TensorVariable:
    """Return x = P S (sd z): cumulated sums from zero, then less their mean and, for order 2, their straight line."""
    path = pt.concatenate([np.zeros((paths, order)), z.reshape((paths, grid.nodes - order))], axis=1)
    for _ in range(order):
        path = pt.cumsum(path, axis=1)
    path = path - path.mean(axis=1, keepdims=True)
    if order == 2:
        line = np.arange(grid.nodes, dtype=np.float64) - (grid.nodes - 1) / 2
        line /= np.sqrt((line**2).sum())
        path = path - (path * line).sum(axis=1, keepdims=True) * line
    return (theta["sd"] * path).reshape((paths * grid.nodes, 1))


def _level_jump(sd: Array) -> Jump:
    """Return x_{t+m} = x_t + Normal(0, m sd^2)."""

    def jump(rng: np.random.Generator, current: Array, steps: int) -> Array:
        step = np.sqrt(steps) * sd[:, None, None] * rng.standard_normal(current.shape)
        return np.asarray(current + step, dtype=np.float64)

    return jump


def _slope_jump(sd: Array) -> Jump:
    """Return level and slope m steps on: the slope gains sum_i e_i, the level m slopes and sum_i (m - i + 1) e_i."""

    def jump(rng: np.random.Generator, current: Array, steps: int) -> Array:
        m = float(steps)
        covariance = np.array([[m * (m + 1) * (2 * m + 1) / 6, m * (m + 1) / 2], [m * (m + 1) / 2, m]])
        # One step moves level and slope by the same innovation, so its covariance has rank one.
        values, vectors = np.linalg.eigh(covariance)
        noise = rng.standard_normal(current.shape) * np.sqrt(np.clip(values, 0.0, None)) @ vectors.T
        moved = np.stack([current[..., 0] + m * current[..., 1], current[..., 1]], axis=-1)
        return np.asarray(moved + sd[:, None, None] * noise, dtype=np.float64)

    return jump


_JUMPS = {1: _level_jump, 2: _slope_jump}

MEMBER = Term(
    name="rw", learn=learn_walk, code=code_walk, blocks=lambda state: (walk_block(state),), signatures=(WALK,),
    source="Rue and Held (2005), Gaussian Markov Random Fields, sections 3.3 and 3.4",
)
