"""Streamed: a problem whose rows are looked at in pieces, as a density in transported coordinates.

The structure comes from a sample: the optimum of its Laplace marginal, with the transport there. Then each pass over all rows
expands their log likelihood around the field found so far (`bayesglm.latent.expansion`), and with that expansion the field takes
Newton's step; so do the hyperparameters, once the field is near its mode. After about four passes the transport is that of all
rows, at their mode.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from bayesglm.engines.evaluations import slopes
from bayesglm.engines.native import Native, native
from bayesglm.engines.structured import Prepared, prepare
from bayesglm.latent.batch import Batch, batch_of
from bayesglm.latent.cholesky import Matrix, factor, solve_lower
from bayesglm.latent.curvature import times
from bayesglm.latent.density import Transported
from bayesglm.latent.expansion import Anchor, Expansion, batch_arrays, expansion, packed_batch
from bayesglm.latent.hyper import evaluate
from bayesglm.latent.layout import Field, field_of
from bayesglm.latent.loadings import loadings, multiply, transpose
from bayesglm.latent.mode import Posterior
from bayesglm.latent.pieces import count_rows, covering, pieces, random_rows
from bayesglm.latent.precision import log_prior, precision
from bayesglm.latent.transport import Reference
from bayesglm.specification import Problem

Array = NDArray[np.float64]
MOST_PASSES = 30
NEAR = 0.5  # sds of the field's mode, where hyperparameters begin to move
SETTLED = 0.05  # sds of the posterior that Newton's step may still take
CLIMBS = 20
STEP = 0.02  # of differences, in sds
WIDEST = 4.0  # times the sd of the sample's posterior, which is wider than that of all rows
LONGEST = 2.0  # sds of a step


@dataclass(frozen=True, slots=True, eq=False)
class Streamed:
    """A posterior of many rows, known by an expansion of their likelihood and by batches.

    Attributes
    ----------
    prepared : Prepared
        Transport and coordinates; its likelihood is that of the sample alone.
    anchor : Anchor
        Where the likelihood of all rows is expanded.
    total : Expansion
        That of all rows.
    rows : int
        How many there are.
    passes : int
        How often they were read for it.
    distance : float
        Newton's step at the anchor, in sds: how far at most a coordinate still is from the mode.
    """

    prepared: Prepared
    anchor: Anchor
    total: Expansion
    rows: int
    passes: int
    distance: float

    def density(self, problem: Problem) -> Native:
        """Return the log density in transported coordinates as some random rows tell it."""
        transported = self.prepared.transported
        field = transported.posterior.field
        return bound(batch_of(field, problem), field, transported.reference, self.anchor, self.total, self.rows)


def bound(batch: Batch, field: Field, reference: Reference, anchor: Anchor, total: Expansion, rows: int) -> Native:
    """Return the log density of a batch as an address."""
    return native(packed_batch, batch_arrays(batch, field.hyper, reference, anchor, total, rows))


def stream(problem: Problem, *, sample: int, batch: int, seed: int) -> Streamed:
    """Find the mode of all rows and the transport there, reading them in pieces.

    Parameters
    ----------
    problem : Problem
        A model with its data, of which `bayesglm.latent.layout.reason_against` says nothing.
    sample : int
        Rows that the structure comes from.
    batch : int
        Rows in memory at a time.
    seed : int
        Of the sample and of the starts of the search.

    Examples
    --------
    >>> import bayesglm as bg
    >>> table = {"errors": [3, 0, 2, 5], "requests": [10.0, 5.0, 10.0, 20.0]}
    >>> found = stream(bg.Model("errors ~ 1", table, "poisson", exposure="requests").problem, sample=4, batch=2, seed=1)
    >>> found.rows, found.distance < 1e-6
    (4, True)
    """
    some = random_rows(problem, sample, seed)
    prepared = prepare(some, seed=seed)
    begin = time.perf_counter()
    field, rows = prepared.transported.posterior.field, count_rows(problem)
    state = last = _mode(prepared.transported, np.zeros(0), prepared.transported.reference.turn)
    whole = len(some.observations.response) == rows  # then the sample's optimum is the one
    if not whole:
        small, field = field, field_of(covering(problem, batch, seed))
        state = last = replace(state, w=_moved_to(field, small, state.w))
    posterior, known = Posterior(field, prepared.transported.posterior.likelihood), batch_of(field, some)
    highest = -np.inf
    for number in range(1, MOST_PASSES + 1):  # noqa: B007
        anchor = state.anchor(field)
        total = reduce(Expansion.plus, (expansion(batch_of(field, each), anchor) for each in pieces(problem, batch, seed)))
        height, distance = state.height(field, total), state.distance(field, total)
        reference = prepared.transported.reference if whole else state.reference(field, anchor, total)
        if whole:
            break
        if not height >= highest:  # Newton's step was too long
            state = state.halfway(last)
            continue
        tau, turn = np.zeros(len(state.t)), state.turn
        if distance < NEAR:  # then hyperparameters move as well, and heights are no longer of the same field
            tau, turn = peak(bound(known, field, reference, anchor, total, rows), state.turn, prepared.transported.size)
            distance = max(distance, float(np.abs(solve_triangular(turn, state.turn @ tau, lower=True)).max(initial=0.0)))
            if distance < SETTLED:
                reference = reference._replace(turn=turn)
                break
        highest = height if not tau.any() else -np.inf
        last, state = state, _mode(Transported(posterior, reference), tau, turn)
    transported = Transported(posterior, reference)
    seconds = {**prepared.seconds, "mode": prepared.seconds["mode"] + time.perf_counter() - begin}
    return Streamed(Prepared(transported, prepared.modes, prepared.definite, seconds), anchor, total, rows, number, distance)


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """Hyperparameters on the real line, the field, and the Cholesky factor of the hyperparameters' covariance."""

    t: Array
    w: Array
    v: Array
    turn: Array

    def anchor(self, field: Field) -> Anchor:
        """Return the field in the units of the linear predictor, with the constants."""
        theta = evaluate(self.t, field.hyper)[0]
        r, q = multiply(field.layout, loadings(field.layout, theta), self.w, self.v)
        return Anchor(r, q, theta[field.layout.constant_theta])

    def reference(self, field: Field, anchor: Anchor, total: Expansion) -> Reference:
        """Return the transport that an expansion of all rows gives: its centre is Newton's step from the anchor."""
        back = times(field.layout, total.sparse, total.cross, total.core, anchor.r, anchor.q)
        speed = evaluate(self.t, field.hyper)[1][field.layout.constant_theta]
        return Reference(total.sparse, total.cross, total.core, total.d_r + back[0], total.d_q + back[1],
                         total.m_r * speed[:, None], total.m_q * speed[:, None], self.t, self.turn)

    def height(self, field: Field, total: Expansion) -> float:
        """Return the log joint density given the hyperparameters, of which only differences count."""
        theta = evaluate(self.t, field.hyper)[0]
        height = float(total.value[0] + log_prior(field.layout, theta, self.w, self.v)[0])
        return height if np.isfinite(height) else -np.inf

    def halfway(self, other: _State) -> _State:
        """Return the state between this one and another with the same hyperparameters."""
        return _State(self.t, (self.w + other.w) / 2, (self.v + other.v) / 2, self.turn)

    def distance(self, field: Field, total: Expansion) -> float:
        """Return how far the field is from its mode given the hyperparameters: the largest entry of L^-1 gradient, in sds."""
        layout, theta = field.layout, evaluate(self.t, field.hyper)[0]
        by = loadings(layout, theta)
        _, prior_w, prior_v, _ = log_prior(layout, theta, self.w, self.v)
        d_w, d_v = transpose(layout, by, total.d_r, total.d_q)
        lower = precision(layout, theta, by, Matrix(total.sparse, total.cross, total.core))
        if not factor(layout, lower):
            return np.inf
        d_w, d_v = d_w + prior_w, d_v + prior_v
        solve_lower(layout, lower, d_w, d_v)
        return float(np.abs(np.concatenate([d_w, d_v])).max(initial=0.0))


def _moved_to(field: Field, other: Field, w: Array) -> Array:
    """Return the sparse part of another field of the same model in the order of this one."""
    moved = np.zeros_like(w)
    for mine, theirs in zip(field.placed, other.placed, strict=True):
        if mine.sparse is not None and theirs.sparse is not None:
            moved[mine.sparse[mine.sparse >= 0]] = w[theirs.sparse[theirs.sparse >= 0]]
    return moved


def _mode(transported: Transported, tau: Array, turn: Array) -> _State:
    """Return the state at some hyperparameters, the field at its mode given them as far as the transport tells."""
    q = np.zeros((1, transported.size))
    q[0, :len(tau)] = tau
    t, w, v = transported.fields(q)
    return _State(t[0], w[0], v[0], turn)


def peak(density: Native, turn: Array, size: int) -> tuple[Array, Array]:
    """Return the hyperparameters' most probable coordinates with the field at its mode, and the new factor of their covariance.

    The transported density at z = y = 0 is their Laplace marginal as far as the transport knows it.

    Parameters
    ----------
    density : Native
        In transported coordinates.
    turn : array, shape (theta, theta)
        The factor that the coordinates are in.
    size : int
        Number of coordinates.
    """
    many = len(turn)
    tau, covariance = np.zeros(many), np.eye(many)
    if not many:
        return tau, turn
    moves = np.concatenate([np.zeros((1, many)), np.eye(many), -np.eye(many)])

    def at(points: Array) -> tuple[Array, Array]:
        q = np.zeros((len(points), size))
        q[:, :many] = points
        values, gradients = slopes(density, q, 1)
        return values, gradients[:, :many]

    scale = np.full(many, STEP)
    for _ in range(CLIMBS):
        values, gradients = at(tau + scale * moves)
        hessian = (gradients[1:many + 1] - gradients[many + 1:]) / (2 * scale[:, None])
        curvature, vectors = np.linalg.eigh(-(hessian + hessian.T) / 2)
        covariance = (vectors / np.maximum(curvature, WIDEST**-2)) @ vectors.T
        step = covariance @ gradients[0]
        distance = float(np.sqrt(max(gradients[0] @ step, 0.0)))
        if distance < SETTLED / 10:
            break
        step *= min(1.0, LONGEST / distance)
        while not at((tau + step)[None])[0][0] > values[0] and np.abs(step).max() > 1e-9:
            step /= 2
        tau, scale = tau + step, STEP * np.sqrt(np.diag(covariance))
    return tau, np.linalg.cholesky(turn @ covariance @ turn.T)
