"""Field: the transport of standard normal coordinates onto the field, and the field's log prior, in dense blocks on JAX.

The mathematics is that of `bayesglm.latent.transport` and its neighbours; the derivatives are JAX's. With clusters c and the
rest r (see `bayesglm.accelerated.blocks`),

    L_c L_c' = P_c,   E_c = L_c^-1 P_cr,   R R' = P_rr - sum_c E_c' E_c
    a_c = L_c^-1 c_c,   a_r = R^-1 (c_r - sum_c E_c' a_c)
    w_r = R^-T (a_r + z_r),   w_c = L_c^-T (a_c + z_c - E_c w_r),      log |dw / dz| = - sum_c log |L_c| - log |R|

and with ties among the rest, as they all are, reflections of a_r + z_r as in `bayesglm.latent.ties`.
"""

from __future__ import annotations

from functools import reduce
from itertools import accumulate
from operator import add, mul
from typing import TYPE_CHECKING, NamedTuple

from bayesglm.accelerated.blocks import Blocks
from bayesglm.accelerated.hyper import log_density
from bayesglm.latent.nodes import CONSTANT, INTERIOR, STATIONARY
from bayesglm.latent.precision import HALF_LOG_TWO_PI

if TYPE_CHECKING:
    from jax import Array


class Loadings(NamedTuple):
    """Lambda, r = Lambda w.

    Attributes
    ----------
    own : array, shape (K, k, k)
        Over the clusters.
    rows, columns : array, shape (widest, d)
        Over the rest: entries (i, i - a) of each row i and (j + a, j) of each column j, for a = 0, 1, ...
    """

    own: Array
    rows: Array
    columns: Array


class Moved(NamedTuple):
    """The field at one (theta, z).

    Attributes
    ----------
    own : array, shape (K, k)
        w of the clusters.
    rest : array, shape (d,)
        w of the rest.
    by : Loadings
        Lambda.
    prior : array, shape (d, d)
        K over the rest.
    log_jacobian : array, shape ()
        log |dw / dz|.
    """

    own: Array
    rest: Array
    by: Loadings
    prior: Array
    log_jacobian: Array


def completed(theta: Array) -> Array:
    """Return theta with the constants behind it that indices of blocks may name."""
    import jax.numpy as jnp

    return jnp.concatenate([theta, jnp.array([0.0, 0.5, 1.0])])


def loadings(blocks: Blocks, full: Array) -> Loadings:
    """Return Lambda; the thetas are `completed`.

    F = D C of each block has C_ij = p_ij prod_{k < j} sqrt(1 - p_ik^2), with partial correlations p_ij, and 1 in place of p_ii.
    """
    import jax.numpy as jnp

    theta = full[blocks.block_theta]
    sd, partial = theta[:, :, :1], 2.0 * theta[:, :, 1:] - 1.0
    root = jnp.sqrt(1.0 - partial**2)
    left = accumulate([root[:, :, j] for j in range(root.shape[2] - 1)], mul, initial=jnp.ones(root.shape[:2]))
    factors = sd * (partial + jnp.eye(partial.shape[1])) * jnp.stack(list(left), axis=2)
    entries = jnp.concatenate([jnp.zeros(1), factors.ravel(), full[blocks.core_theta], own_scales(blocks, full)])
    return Loadings(entries[blocks.own_factor], entries[blocks.row_factor], entries[blocks.column_factor])


def own_scales(blocks: Blocks, full: Array) -> Array:
    """Return the scales of single coefficients, shape (A,), see `bayesglm.latent.scales`; the thetas are `completed`."""
    import jax.numpy as jnp

    theta = full[blocks.own_theta]
    # A factor that does not occur is log 1.
    other = jnp.log1p(-jnp.where(blocks.own_other == 0.0, 0.0, theta))
    log_a = blocks.own_constant.at[blocks.own_of].add(blocks.own_power * jnp.log(theta) + blocks.own_other * other)
    return jnp.exp(log_a) / jnp.sqrt(1.0 + full[blocks.own_slab] * jnp.exp(2.0 * log_a))


def times_loadings(by: Loadings, x: Array) -> Array:
    """Return x Lambda over the rest, shape (..., d)."""
    import jax.numpy as jnp

    return reduce(add, (jnp.roll(x, -a, axis=-1) * entry for a, entry in enumerate(by.columns)))


def loaded(by: Loadings, x: Array) -> Array:
    """Return Lambda x over the rest, shape (d,)."""
    import jax.numpy as jnp

    return reduce(add, (jnp.roll(x, a) * entry for a, entry in enumerate(by.rows)))


def forward(blocks: Blocks, t: Array, theta: Array, z: Array) -> Moved:
    """Move standard normal coordinates, sparse part and then core, onto the field."""
    import jax.numpy as jnp

    full = completed(theta)
    by, prior = loadings(blocks, full), prior_precision(blocks, full)
    moved = (t - blocks.t)[blocks.constant_theta]
    own_c = jnp.einsum("cji,cj->ci", by.own, blocks.own_b + jnp.tensordot(moved, blocks.own_d, 1))
    rest_c = times_loadings(by, blocks.rest_b + moved @ blocks.rest_d)
    lower, own_mean, cross, corner = _factor(blocks, by, prior, own_c)
    rest_mean = _solve(corner, rest_c - jnp.einsum("cid,ci->d", cross, own_mean))
    field = jnp.append(z, 0.0)[blocks.field_at]
    rest, lengths = _within_ties(blocks, corner, rest_mean, field[own_c.size:])
    own = _solve(lower, own_mean + field[:own_c.size].reshape(own_c.shape) - cross @ rest, transpose=True)
    diagonals = jnp.concatenate([jnp.diagonal(lower, axis1=1, axis2=2).ravel(), jnp.diagonal(corner)])
    return Moved(own, rest, by, prior, -jnp.sum(jnp.log(diagonals)) - jnp.sum(jnp.log(lengths)))


def _within_ties(blocks: Blocks, corner: Array, mean: Array, z: Array) -> tuple[Array, Array]:
    """Return w of the rest, and the rho of every tie: w = R^-T u, with u = mean + z where nothing is tied.

    See `bayesglm.latent.ties`: H = R^-1 A', its columns turned into axes by reflections, u = Q_1 ... Q_k (Q_k ... Q_1 mean, but z
    on the axes and off them what is free).
    """
    import jax
    import jax.numpy as jnp

    if not len(blocks.tie_axis):
        return _solve(corner, mean + z, transpose=True), jnp.ones(0)

    def reflection(h: Array, at: tuple[Array, Array, Array]) -> tuple[Array, tuple[Array, Array]]:
        axis, before, select = at
        column = (h @ select) * (1.0 - before)
        length = jnp.sqrt(column @ column)
        normal = column + length * axis
        return reflected(normal, h), (normal, length)

    before = jnp.cumsum(blocks.tie_axis, axis=0) - blocks.tie_axis
    columns = _solve(corner, blocks.tie_values.T)
    _, (normals, lengths) = jax.lax.scan(reflection, columns, (blocks.tie_axis, before, jnp.eye(len(blocks.tie_axis))))
    u, _ = jax.lax.scan(lambda x, normal: (reflected(normal, x), None), mean, normals)
    free = 1.0 - jnp.sum(blocks.tie_axis, axis=0)
    u, _ = jax.lax.scan(lambda x, normal: (reflected(normal, x), None), free * u + z, normals, reverse=True)
    w = free * _solve(corner, u, transpose=True)
    return w - (blocks.tie_values @ w) @ blocks.tie_axis, lengths


def reflected(normal: Array, x: Array) -> Array:
    """Return Q x of a vector or of each column, Q = I - 2 v v' / |v|^2."""
    import jax.numpy as jnp

    return x - jnp.multiply.outer(normal, (2.0 / (normal @ normal)) * (normal @ x))


def _factor(blocks: Blocks, by: Loadings, prior: Array, own_c: Array) -> tuple[Array, Array, Array, Array]:
    """Return L_c, shape (K, k, k), a_c, shape (K, k), E_c, shape (K, k, d), and R, shape (d, d).

    They are not numbers where P is not positive definite.
    """
    import jax.numpy as jnp
    from jax.lax.linalg import cholesky

    lower = cholesky(jnp.eye(by.own.shape[1]) + jnp.einsum("cia,cij,cjb->cab", by.own, blocks.own_h, by.own))
    cross = times_loadings(by, jnp.einsum("cia,cid->cad", by.own, blocks.cross_h))
    both = _solve(lower, jnp.concatenate([own_c[:, :, None], cross], axis=2))
    mean, cross = both[:, :, 0], both[:, :, 1:]
    flat = cross.reshape(-1, cross.shape[2])
    half = times_loadings(by, blocks.rest_h)
    return lower, mean, cross, cholesky(prior + times_loadings(by, half.T) - flat.T @ flat)


def _solve(lower: Array, x: Array, *, transpose: bool = False) -> Array:
    """Return L^-1 x or L^-T x, of vectors or of matrices with as many axes as L."""
    from jax.lax.linalg import triangular_solve

    columns = x if x.ndim == lower.ndim else x[..., None]
    found: Array = triangular_solve(lower, columns, left_side=True, lower=True, transpose_a=transpose)
    return found if x.ndim == lower.ndim else found[..., 0]


def prior_precision(blocks: Blocks, full: Array) -> Array:
    """Return K over the rest, with 1 on the diagonal of the core; the thetas are `completed`."""
    import jax.numpy as jnp

    rho = full[blocks.band_theta]
    share = 1.0 / (1.0 - rho * rho)
    kinds = [blocks.band_kind == kind for kind in (CONSTANT, STATIONARY, INTERIOR)]
    weight = jnp.select(kinds, [jnp.ones_like(share), share, share * rho * rho], -share * rho)
    return jnp.diag(blocks.fixed).at[blocks.band_row, blocks.band_column].add(weight * blocks.band_value)


def whole(moved: Moved) -> Array:
    """Return w, clusters and then the rest."""
    import jax.numpy as jnp

    return jnp.concatenate([moved.own.ravel(), moved.rest])


def log_prior(blocks: Blocks, theta: Array, moved: Moved) -> Array:
    """Return the log density of the field given theta."""
    import jax.numpy as jnp

    w = whole(moved)
    core, along, rho = w[blocks.place_core], blocks.in_sparse * moved.rest, theta[blocks.rho_theta]
    square = jnp.sum(moved.own**2) + along @ moved.prior @ along
    total: Array = -0.5 * (square + jnp.sum(blocks.rho_steps * jnp.log(1.0 - rho * rho)))
    total -= HALF_LOG_TWO_PI * (len(blocks.place_sparse) + len(core))
    # The core as its prior sees it, with what it took up of the walks.
    u = core.at[blocks.shear_core].add(theta[blocks.shear_theta] * blocks.shear_value * w[blocks.shear_place])
    other = u[blocks.other_core]
    value = log_density(blocks.other_location + blocks.other_scale * other, blocks.other_density)
    total += jnp.sum(value + 0.5 * other**2 + HALF_LOG_TWO_PI) - 0.5 * jnp.sum(u**2)
    return total


def predictors(blocks: Blocks, moved: Moved) -> Array:
    """Return eta over patterns, shape (P, n)."""
    import jax.numpy as jnp

    own = jnp.einsum("cij,cj->ci", moved.by.own, moved.own)
    r = jnp.concatenate([own.ravel(), loaded(moved.by, moved.rest), jnp.zeros(1)])
    common = (blocks.column_owner.T * r[blocks.place_column]) @ blocks.columns
    eta: Array = blocks.offset + common + ((blocks.values * r[blocks.read]) @ blocks.value_owner).T
    return eta
