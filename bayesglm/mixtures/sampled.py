"""Sampled: draws of a mixture with its labels summed out, by NUTS or ADVI, relabelled.

Components are exchangeable but for the order of their weights, so draws may swap them. Each draw is relabelled by the assignment
of its components to those of coordinate ascent that loses least information on the rows' labels (Stephens 2000): the cost of
calling component j of a draw k is -sum_n r_nk log s_nj, with r the responsibilities of coordinate ascent and s those of the draw.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from bayesglm.engines.density import Density, compile_density
from bayesglm.engines.sampling import Adaptation, Target, sample
from bayesglm.engines.variational import Normal, climb, numbers
from bayesglm.engines.verdict import k_hat_limit, smooth
from bayesglm.errors import EngineError, unknown
from bayesglm.mixtures.ascent import Posterior, Problem
from bayesglm.mixtures.columns import Part, rows_of
from bayesglm.mixtures.component import Array
from bayesglm.mixtures.expectation import assign
from bayesglm.mixtures.model import build, values_at

ASCENT = "coordinate_ascent"
_MATCHED = 300  # rows whose labels decide how a draw is relabelled
_JITTER = 0.1
_TUNE = 400
_FLOOR = -50.0  # log share below which a component does not claim a row at all
_PAIRS = 100
_ITERATIONS = 300


@dataclass(frozen=True, slots=True, eq=False)
class Sampled:
    """Draws of a mixture with a fixed number of components.

    Attributes
    ----------
    tree : DataTree
        Group ``posterior`` with dims chain, draw, component; for NUTS also ``sample_stats``.
    engine : str
        ``"nuts"`` or ``"advi"``.
    relabelled : float
        Share of the draws whose components were in another order than those of coordinate ascent.
    k_hat : float
        For ADVI, the shape of the largest importance ratios: the approximation is not reliable above 0.7. NaN for NUTS.
    reliable : bool
        For ADVI, whether it converged and k-hat is low enough; for NUTS, whether there were no divergences.
    seconds : float
        How long it took.
    """

    tree: xr.DataTree
    engine: str
    relabelled: float
    k_hat: float
    reliable: bool
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """A density whose draws are relabelled as they are expanded.

    Attributes
    ----------
    density : Density
        Of the mixture.
    shares : Density
        The same with log shares of some rows.
    reference : array, shape (row, component)
        Responsibilities of coordinate ascent for these rows.
    """

    density: Density
    shares: Density
    reference: Array

    def expand(self, flat: Array) -> dict[str, Array]:
        """Return relabelled variables of the model, and the order that was taken, as ``component_order``."""
        order = orders(self.shares.expand(flat)["log_share"], self.reference)
        found = {name: values for name, values in self.density.expand(flat).items() if name in self.density.dims}
        named = {name: relabel(values, order) for name, values in found.items() if "component" in self.density.dims[name][:1]}
        return {**named, "component_order": order.astype(np.float64)}


def orders(log_share: Array, reference: Array) -> NDArray[np.intp]:
    """Return for each draw which of its components stands for each reference component, shape (draw, component).

    Parameters
    ----------
    log_share : array, shape (draw, row, component)
        Log of weight times density.
    reference : array, shape (row, component)
        Responsibilities to agree with.

    Examples
    --------
    >>> shares = np.log(np.array([[[0.9, 0.1], [0.2, 0.8]], [[0.1, 0.9], [0.8, 0.2]]]))
    >>> orders(shares, np.array([[1.0, 0.0], [0.0, 1.0]])).tolist()
    [[0, 1], [1, 0]]
    """
    logs = log_share - log_share.max(axis=2, keepdims=True)
    logs = np.maximum(logs - np.log(np.exp(logs).sum(axis=2, keepdims=True)), _FLOOR)
    costs = -np.einsum("nk,snj->skj", reference, logs)
    return np.array([linear_sum_assignment(cost)[1] for cost in costs])


def relabel(values: Array, order: NDArray[np.intp]) -> Array:
    """Return draws, shape (draw, component, ...), with their components in these orders."""
    return np.asarray(values[np.arange(len(values))[:, None], order])


def run(problem: Problem, parts: Sequence[Part], data: Sequence[Array], posterior: Posterior, engine: str, *, seed: int,
        chains: int = 4, draws: int = 500) -> Sampled:
    """Return relabelled draws of the mixture with as many components as a posterior of coordinate ascent, started there.

    Parameters
    ----------
    problem : Problem
        The priors.
    parts : sequence of Part
        What describes the columns.
    data : sequence of array
        What each part sees of the rows.
    posterior : Posterior
        Where to start, and whose labels are taken.
    engine : {"nuts", "advi"}
        How to draw.
    seed : int
        For starts and draws.
    chains, draws : int
        Chains, and draws of each; ADVI returns one chain of as many draws in all.

    Raises
    ------
    EngineError
        A component that cannot be written with continuous variables, or a density that is not finite at the start.
    """
    if engine not in ENGINES:
        raise unknown("engine of a mixture", engine, (ASCENT, *ENGINES))
    begin, count = time.perf_counter(), posterior.size
    model = build(problem, parts, data, count)
    density = compile_density(model)
    rows = np.sort(np.random.default_rng(seed).permutation(len(data[0]))[:_MATCHED])
    some = [each[rows] for each in data]
    reference = assign(posterior.natural, posterior.params, rows_of(parts, some))[0].T
    matched = Matched(density, compile_density(build(problem, parts, some, count, shares=True)), reference)
    start = _unconstrained(model, values_at(problem, parts, posterior))
    if not np.isfinite(density(start)[0]):
        raise EngineError("the density is not finite at the posterior of coordinate ascent", value=density(start)[0],
                          rule="sampling starts there", fix="Leave engine= out.")
    dims = {name: held for name, held in density.dims.items() if held[:1] == ("component",)} | {"component_order": ("component",)}
    return ENGINES[engine](matched, start, dims, seed, chains, draws, begin)


def _nuts(matched: Matched, start: Array, dims: Mapping[str, tuple[str, ...]], seed: int, chains: int, draws: int,
          begin: float) -> Sampled:
    density = matched.density
    starts = start + np.random.default_rng(seed).uniform(-_JITTER, _JITTER, (chains, density.size))
    target = Target(density.size, lambda: density, starts, matched.expand, dims, density.coords)
    adaptation = Adaptation(tune=_TUNE, target_accept=0.9, initial_step=0.1)
    sampled = sample(target, seed=seed, adaptation=adaptation, draws=draws, cores=1)
    tree = sampled.tree(target)
    diverging = "diverging" in tree["sample_stats"] and bool(tree["sample_stats"]["diverging"].any())
    return Sampled(tree, "nuts", _moved(tree), np.nan, not diverging, time.perf_counter() - begin)


def _advi(matched: Matched, start: Array, dims: Mapping[str, tuple[str, ...]], seed: int, chains: int, draws: int,
          begin: float) -> Sampled:
    """Mean-field ADVI with fixed numbers, from coordinate ascent; the draws are those of the approximation, not corrected."""
    density, size = matched.density, matched.density.size

    def batch(points: Array) -> tuple[Array, Array]:
        held = [density(point) for point in points]
        return np.array([value for value, _ in held]), np.array([slope for _, slope in held])

    nothing = np.empty(0, np.int64)
    first = Normal(start, np.full(size, -2.0), nothing, np.empty(0))
    ended = climb(batch, first, numbers(size, 2 * _PAIRS, nothing, seed), iterations=_ITERATIONS)
    eps = np.random.default_rng(seed + 1).standard_normal((chains * draws, size))
    flat = ended.normal.at(eps)
    ratio = batch(flat)[0] - ended.normal.log_density(flat)
    k_hat = smooth(ratio).k_hat
    held = {name: (("chain", "draw", *dims[name]), values[None]) for name, values in matched.expand(flat).items()}
    coords = {"chain": [0], "draw": np.arange(len(flat)), **{dim: list(labels) for dim, labels in density.coords.items()}}
    used = {dim for name in held for dim in held[name][0]}
    tree = xr.DataTree.from_dict({"posterior": xr.Dataset(held, {dim: each for dim, each in coords.items() if dim in used})})
    reliable = ended.converged and k_hat <= k_hat_limit(len(flat))
    return Sampled(tree, "advi", _moved(tree), k_hat, bool(reliable), time.perf_counter() - begin)


def _moved(tree: xr.DataTree) -> float:
    order = tree["posterior"].to_dataset()["component_order"].to_numpy()
    return float((order != np.arange(order.shape[-1])).any(axis=-1).mean())


def _unconstrained(model: object, values: Mapping[str, Array]) -> Array:
    """Return the flat vector of unconstrained coordinates at values of a model's variables."""
    found = []
    for variable in model.free_RVs:  # type: ignore[attr-defined]
        transform = model.rvs_to_transforms[variable]  # type: ignore[attr-defined]
        value = np.asarray(values[variable.name], dtype=np.float64)
        found.append(value if transform is None else transform.forward(value, *variable.owner.inputs).eval())
    return np.concatenate([np.ravel(each) for each in found])


Run = Callable[[Matched, Array, Mapping[str, tuple[str, ...]], int, int, int, float], Sampled]
ENGINES: Mapping[str, Run] = {"nuts": _nuts, "advi": _advi}
