"""Levels: where they are independent of each other given hyperparameters and core, they are integrated out one by one.

With one grouping factor the posterior of (tau, y), the few coordinates that all levels share, is a product over levels c:

    p(tau, y | data) = p(tau) p(v) |dv / dy| prod_c I_c        I_c = integral of p(data_c | w_c, v, theta) N(w_c; 0, I) dw_c

Given (tau, y) the transport proposes w_c = m_c + L_c^-T z_c with z_c standard normal, near the posterior of the level. So each
integral is one over z_c of a smooth function near 1, by Gauss-Hermite nodes:

    I_c = |L_c|^-1 sum_k omega_k exp(rho_c(z_k))        rho_c(z) = log p(data_c | w_c(z), v, theta) - |w_c(z)|^2 / 2 + |z|^2 / 2

Levels of any number add a sum of such terms, each nearly constant in (tau, y), where the weights of a joint draw would multiply
as many random errors. A level is drawn from N(z) exp(rho_c(z)), with rho_c a polynomial through its values at the nodes.

Source: Naylor and Smith (1982), Applied Statistics 31, 214; Pinheiro and Bates (1995), Journal of Computational and Graphical
Statistics 4, 12.
"""

# mypy: disable-error-code="no-untyped-def"
# (what numba compiles takes its types from its arguments)
from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from bayesglm.latent.cholesky import solve_upper
from bayesglm.latent.density import Transported
from bayesglm.latent.hyper import evaluate
from bayesglm.latent.kernel import kernel
from bayesglm.latent.layout import Field, Layout
from bayesglm.latent.loadings import multiply
from bayesglm.latent.precision import HALF_LOG_TWO_PI
from bayesglm.latent.predictors import gather, predictors
from bayesglm.latent.transport import Moved, forward

Array = NDArray[np.float64]
Index = NDArray[np.int64]
WIDEST = 2
NODES = {1: 7, 2: 5}
_DEGREE = 4
REACH = 3.0  # further out a polynomial is read at this distance
CANDIDATES = 16
SPREAD = 1.25  # sd of candidates: where data are few, the posterior of a level has longer tails than the transport


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """Which coordinates of the field belong together.

    Attributes
    ----------
    level : int array, shape (S,)
        Level of each sparse coordinate.
    place : int array, shape (S,)
        Its place within the level.
    pattern : int array, shape (pattern,)
        Level of each covariate pattern, as many as there are levels for none.
    count, widest : int
        Number of levels, and coordinates of the widest.
    """

    level: Index
    place: Index
    pattern: Index
    count: int
    widest: int


def levels_of(field: Field) -> Levels | None:
    """Return the levels of a field; None if there are none, or some depend on each other, or have more than two coordinates."""
    layout = field.layout
    size = len(layout.start) - 1
    apart = (layout.band_row == layout.band_column).all() and layout.block_coupled.all()
    apart &= not (len(layout.shear_core) or len(layout.tie_first) or len(layout.own_place))
    if not (size and apart and field.gaussian):
        return None
    within = [np.arange(begin, begin + layout.block_size[block])
              for begin, block in zip(layout.node_begin, layout.node_block, strict=True)]
    rows = np.concatenate([layout.pair_begin[:, 0], *within])
    columns = np.concatenate([layout.pair_begin[:, 1], *(np.full(len(each), each[0]) for each in within)])
    count, labels = connected_components(sp.coo_array((np.ones(len(rows)), (rows, columns)), shape=(size, size)), directed=False)
    level = np.asarray(labels, np.int64)
    place = _places(level)
    if place.max() >= WIDEST:
        return None
    pattern = np.full(layout.coordinate.shape[1], count)
    for coordinate in layout.coordinate:
        pattern = np.where(coordinate >= 0, level[np.maximum(coordinate, 0)], pattern)
    return Levels(level, place, pattern.astype(np.int64), int(count), int(place.max()) + 1)


def _places(level: Index) -> Index:
    """Return how many earlier coordinates belong to the same level."""
    order = np.argsort(level, kind="stable")
    ranked = level[order]
    first = np.searchsorted(ranked, ranked)
    place = np.empty(len(level), np.int64)
    place[order] = np.arange(len(level)) - first
    return place


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """Nodes and weights for a standard normal, and the way from values at the nodes to a polynomial.

    Attributes
    ----------
    nodes : array, shape (node, widest)
        z_k.
    log_weight : array, shape (node,)
        log omega_k.
    powers : int array, shape (term, widest)
        Exponents of each term of the polynomial, without the constant.
    fit : array, shape (term, node)
        Coefficients from values.
    """

    nodes: Array
    log_weight: Array
    powers: Index
    fit: Array


def rule_of(widest: int, size: int | None = None) -> Rule:
    """Return the product rule for levels of so many coordinates, exact for polynomials of degree 2 size - 1 in each.

    Examples
    --------
    >>> rule = rule_of(2, 3)
    >>> round(float(np.exp(rule.log_weight) @ rule.nodes[:, 0] ** 4), 9)
    3.0
    """
    one, weight = np.polynomial.hermite_e.hermegauss(size or NODES[widest])
    nodes = np.array(list(product(one, repeat=widest)))
    weights = np.prod(list(product(weight / weight.sum(), repeat=widest)), axis=1)
    most = min(_DEGREE, len(one) - 1)
    powers = np.array([each for each in product(range(most + 1), repeat=widest) if 0 < sum(each) <= most])
    terms = np.concatenate([np.ones((len(nodes), 1)), np.prod(nodes[:, None, :] ** powers, axis=2)], axis=1)
    fit = np.linalg.solve(terms.T @ (weights[:, None] * terms), (weights[:, None] * terms).T)
    return Rule(nodes, np.log(weights), powers, fit[1:])


@dataclass(frozen=True, slots=True, eq=False)
class Integrated:
    """The posterior of (tau, y) with the levels integrated out.

    Attributes
    ----------
    transported : Transported
        The posterior in transported coordinates.
    levels : Levels
        Its levels.
    rule : Rule
        How they are integrated.
    """

    transported: Transported
    levels: Levels
    rule: Rule

    def __call__(self, tau: Array, y: Array, candidates: Array, uniform: Array) -> tuple[float, Array]:
        """Return the log density of (tau, y), minus infinity where there is none, and draws z of all levels given them.

        Parameters
        ----------
        tau, y : array
            Hyperparameters and core in transported coordinates.
        candidates : array, shape (candidate, S)
            Normal numbers with mean 0 and sd `SPREAD` that z is picked from.
        uniform : array, shape (level,)
            Uniform numbers that pick.
        """
        found = self.ratios(tau, y, self.rule.nodes[:, self.levels.place])
        if found is None:
            return -np.inf, candidates[0]
        shared, ratio = found
        coefficients = np.ascontiguousarray((self.rule.fit @ ratio[:, :-1]).T)
        z = _pick(coefficients, self.rule.powers, candidates, uniform, self.levels.level, self.levels.place)
        return self._total(shared, ratio), z

    def log_density(self, tau: Array, y: Array) -> float:
        """Return the log density of (tau, y), minus infinity where there is none."""
        found = self.ratios(tau, y, self.rule.nodes[:, self.levels.place])
        return -np.inf if found is None else self._total(*found)

    def _total(self, shared: float, ratio: Array) -> float:
        total = shared + float(_log_sums(ratio[:, :-1], self.rule.log_weight))
        return total if np.isfinite(total) else -np.inf

    def ratios(self, tau: Array, y: Array, z: Array) -> tuple[float, Array] | None:
        """Return what (tau, y) add to the log density besides the levels, and rho_c at z, shape (point, level + 1).

        The last column is of patterns without a level, and is 0. None where the transport is not definite.

        Parameters
        ----------
        tau, y : array
            Hyperparameters and core in transported coordinates.
        z : array, shape (point, S)
            Levels.
        """
        posterior, reference, levels = self.transported.posterior, self.transported.reference, self.levels
        layout, likelihood = posterior.layout, posterior.likelihood
        t = reference.t + reference.turn @ tau
        theta, _, hyperprior, _ = evaluate(t, posterior.field.hyper)
        moved = forward(layout, reference, t, theta, np.zeros(len(levels.level)), y)
        if not moved.definite:
            return None
        constants = theta[layout.constant_theta]
        ratio, rest = np.empty((len(z), levels.count + 1)), 0.0
        for k in range(len(z)):
            w, eta = _at(layout, likelihood.pattern, moved, z[k], y)
            each, rest = likelihood.apart(eta, constants)
            ratio[k] = _sums(each, likelihood.pattern, levels.pattern, levels.level, w, z[k], levels.count)
        without = ratio[0, -1]
        ratio[:, -1] = 0.0
        v = moved.v
        shared = (hyperprior + moved.log_jacobian - 0.5 * v @ v - len(v) * HALF_LOG_TWO_PI + np.log(np.diag(reference.turn)).sum()
                  + without + rest)
        return float(shared), ratio


@kernel
def _at(layout: Layout, pattern: Index, moved: Moved, z: Array, y: Array) -> tuple[Array, Array]:
    """Return the field's sparse part and eta over cells at z."""
    w, v = moved.mean[:len(z)] + z, moved.mean[len(z):] + y
    solve_upper(layout, moved.lower, w, v)
    r, p = multiply(layout, moved.by, w, v)
    return w, gather(predictors(layout, r, p), pattern)


@kernel
def _sums(each: Array, pattern: Index, level_of_pattern: Index, level: Index, w: Array, z: Array, count: int) -> Array:
    """Return rho of every level, and last the log likelihood of patterns without one."""
    out = np.zeros(count + 1)
    for i in range(len(each)):
        out[level_of_pattern[pattern[i]]] += each[i]
    for j in range(len(w)):
        out[level[j]] += 0.5 * (z[j] * z[j] - w[j] * w[j])
    return out


@kernel
def _log_sums(ratio: Array, log_weight: Array) -> float:
    """Return the sum over levels of log sum_k omega_k exp(rho_k)."""
    total = 0.0
    for c in range(ratio.shape[1]):
        highest = -np.inf
        for k in range(len(log_weight)):
            highest = max(highest, ratio[k, c] + log_weight[k])
        inside = 0.0
        for k in range(len(log_weight)):
            inside += np.exp(ratio[k, c] + log_weight[k] - highest)
        total += highest + np.log(inside)
    return total


@kernel
def _pick(coefficients: Array, powers: Index, candidates: Array, uniform: Array, level: Index, place: Index) -> Array:
    """Return one of the candidates for each level, picked by N(z) exp(polynomial) over their own density."""
    number, size, (count, terms), wide = len(candidates), len(level), coefficients.shape, powers.shape[1]
    where = np.full((count, wide), -1)
    for j in range(size):
        where[level[j], place[j]] = j
    z, weight, power = np.empty(size), np.empty(number), np.ones((wide, powers.max() + 1))
    for c in range(count):
        for i in range(number):
            total = 0.0
            for a in range(wide):
                x = 0.0 if where[c, a] < 0 else candidates[i, where[c, a]]
                total -= 0.5 * (1.0 - 1.0 / (SPREAD * SPREAD)) * x * x
                x = min(max(x, -REACH), REACH)
                for m in range(1, power.shape[1]):
                    power[a, m] = power[a, m - 1] * x
            for m in range(terms):
                term = coefficients[c, m]
                for a in range(wide):
                    term *= power[a, powers[m, a]]
                total += term
            weight[i] = np.exp(total)
        chosen = _choose(weight, uniform[c])
        for a in range(wide):
            if where[c, a] >= 0:
                z[where[c, a]] = candidates[chosen, where[c, a]]
    return z


@kernel
def _choose(weight: Array, uniform: float) -> int:
    left = uniform * weight.sum()
    for i in range(len(weight)):
        left -= weight[i]
        if left <= 0.0:
            return i
    return len(weight) - 1
