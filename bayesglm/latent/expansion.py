"""Expansion: the log likelihood of all rows to second order around one point, and the log density of a batch that keeps to it.

With a the anchor, x = (r, constants of the family), and for any rows the expansion

    T(x) = l(a) + g (x - a) - (r - a)' H (r - a) / 2 + (constants - a)' M (r - a),

T is a sum over rows: one pass over a table gives that of all rows, in memory that does not grow with them. Then

    l(x) = T(x) + total / batch * (l_batch(x) - T_batch(x)) + error

is exact to second order whatever rows are in the batch, and its error, of third order, has mean 0 over batches. The likelihood of
the batch alone, scaled by total / batch, would be off by sqrt(total / batch) sds of the posterior.

Source: Johnson and Zhang (2013), NeurIPS 26, 315, for the variance taken out of gradients of batches; Quiroz, Kohn, Villani and
Tran (2019), Journal of the American Statistical Association 114, 831, for expansions of log likelihoods of subsamples.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesglm.latent.batch import Batch
from bayesglm.latent.call import address_of, call
from bayesglm.latent.curvature import curvature, times
from bayesglm.latent.density import ahead, behind
from bayesglm.latent.hyper import Hyper
from bayesglm.latent.kernel import inner, kernel
from bayesglm.latent.layout import Layout
from bayesglm.latent.loadings import multiply
from bayesglm.latent.mode import without_negative
from bayesglm.latent.predictors import gather, predictors, predictors_back, scatter
from bayesglm.latent.record import record
from bayesglm.latent.transport import Reference

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@record
class Anchor(NamedTuple):
    """Where a likelihood is expanded.

    Attributes
    ----------
    r, q : array, shapes (S,), (C,)
        The field: sparse part and core.
    constants : array, shape (K,)
        Constant parameters of the family.
    """

    r: Array
    q: Array
    constants: Array


@record
class Expansion(NamedTuple):
    """T, a sum over rows.

    Attributes
    ----------
    value : array, shape (1,)
        l(a).
    d_r, d_q, d_constants : array, shapes (S,), (C,), (K,)
        g.
    sparse, cross, core : array
        H, as the parts of a `bayesglm.latent.cholesky.Matrix`; couplings that the factor leaves out are left out.
    m_r, m_q : array, shapes (K, S), (K, C)
        M.
    """

    value: Array
    d_r: Array
    d_q: Array
    d_constants: Array
    sparse: Array
    cross: Array
    core: Array
    m_r: Array
    m_q: Array

    def plus(self, other: Expansion, times: float = 1.0) -> Expansion:
        """Return the expansion of these rows and, so many times, of others."""
        return Expansion(*(mine + times * theirs for mine, theirs in zip(self, other, strict=True)))


def expansion(batch: Batch, anchor: Anchor) -> Expansion:
    """Return T of some rows; H is positive semi-definite: the expected information where the observed curvature may not be.

    Parameters
    ----------
    batch : Batch
        The rows.
    anchor : Anchor
        Where.
    """
    layout, likelihood = batch.layout, batch.likelihood
    eta = gather(predictors(layout, anchor.r, anchor.q), likelihood.pattern)
    value, d_eta, d_constants, observed, mixed = likelihood.second(eta, anchor.constants)
    weight = without_negative(observed) if likelihood.log_concave else likelihood.information(eta, anchor.constants)
    n, predicted, size = layout.columns.shape[1], len(eta), len(anchor.r)
    over = scatter(np.ascontiguousarray(weight.reshape(predicted**2, -1)), likelihood.pattern, n)
    back = [predictors_back(layout, scatter(each, likelihood.pattern, n), size) for each in (d_eta, *mixed)]
    return Expansion(
        np.array([value]), *back[0], d_constants, *curvature(layout, over.reshape(predicted, predicted, n)),
        np.array([r for r, _ in back[1:]]).reshape(len(mixed), size),
        np.array([q for _, q in back[1:]]).reshape(len(mixed), len(anchor.q)),
    )


def batch_arrays(
    batch: Batch, hyper: Hyper, reference: Reference, anchor: Anchor, total: Expansion, rows: int,
) -> tuple[Any, ...]:
    """Return what `packed_batch` takes after q and gradient.

    Parameters
    ----------
    batch : Batch
        Some rows of the table, each as likely to be among them as any other.
    hyper : Hyper
        The hyperparameters.
    reference : Reference
        Of the transport.
    anchor : Anchor
        Where the likelihood is expanded.
    total : Expansion
        That of all rows.
    rows : int
        How many these are.
    """
    scale = rows / batch.rows
    left = total.plus(expansion(batch, anchor), -scale)
    likelihood = batch.likelihood
    eta = np.zeros((len(likelihood.predicted), len(likelihood.pattern)))
    address = address_of(likelihood.kernel, eta, np.zeros(len(likelihood.constants)), likelihood.data)
    return (batch.layout, hyper, reference, anchor, left, np.array([scale]), likelihood.pattern, address, *likelihood.data)


@kernel
def packed_batch(
    q: Array, gradient: Array, layout: Layout, hyper: Hyper, reference: Reference, anchor: Anchor, left: Expansion,
    stands_for: Array, pattern: Index, address: Index, *data: Array,
) -> float:
    """Return the log density at q as a batch tells it, and fill in its gradient; minus infinity where a parameter overflows.

    Parameters
    ----------
    q, gradient : array
        Coordinates, and what is filled in.
    layout, hyper, reference, anchor, left, stands_for, pattern, address, data
        `batch_arrays`; each row of the batch stands for so many rows.
    """
    before = ahead(q, layout, hyper, reference, pattern)
    failed, (value, d_eta, d_constants) = call(address[0], before.eta, before.constants, data)
    if failed:
        gradient[:] = 0.0
        return -np.inf
    r, core = multiply(layout, before.moved.by, before.moved.w, before.moved.v)
    more, m_r, m_q, m_constants = quadratic(layout, anchor, left, r, core, before.constants)
    d_r, d_q = predictors_back(layout, scatter(d_eta, pattern, layout.columns.shape[1]), len(r))
    scale = stands_for[0]
    total, slope = behind(layout, reference, before, scale * value.item() + more, scale * d_r + m_r, scale * d_q + m_q,
                          scale * d_constants + m_constants)
    gradient[:] = slope
    return total


@kernel
def quadratic(
    layout: Layout, anchor: Anchor, left: Expansion, r: Array, q: Array, constants: Array,
) -> tuple[float, Array, Array, Array]:
    """Return an expansion, such as T - scale T_batch, at a point, with its gradient in r, q and the constants."""
    x, y, c = r - anchor.r, q - anchor.q, constants - anchor.constants
    h_x, h_y = times(layout, left.sparse, left.cross, left.core, x, y)
    value = left.value[0] + inner(left.d_r, x) + inner(left.d_q, y) - 0.5 * (inner(h_x, x) + inner(h_y, y))
    d_r, d_q, d_constants = left.d_r - h_x, left.d_q - h_y, left.d_constants.copy()
    for k in range(len(c)):
        slope = inner(left.m_r[k], x) + inner(left.m_q[k], y)
        value += c[k] * (left.d_constants[k] + slope)
        d_constants[k] += slope
        d_r += c[k] * left.m_r[k]
        d_q += c[k] * left.m_q[k]
    return value, d_r, d_q, d_constants
