"""Ties: given the hyperparameters, the transport draws from the normal distribution of the field given that the ties hold."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from bayesglm.latent.cholesky import Matrix
from bayesglm.latent.elimination import eliminate
from bayesglm.latent.hyper import evaluate
from bayesglm.latent.loadings import loadings
from bayesglm.latent.precision import log_prior, precision
from bayesglm.latent.ties import tie_matrix, tied
from tests.latent.fields import TIED, posterior_of, somewhere, transported_of


def dense(layout, p: Matrix) -> np.ndarray:
    """Return the whole matrix from its lower entries."""
    size, wide = p.cross.shape
    column = np.repeat(np.arange(size), np.diff(layout.start))
    whole = np.zeros((size + wide,) * 2)
    whole[layout.row, column], whole[size:, :size], whole[size:, size:] = p.sparse, p.cross.T, np.tril(p.core)
    return whole + np.tril(whole, -1).T


@pytest.mark.parametrize("name", TIED)
def test_the_transport_conditions_on_the_ties(name: str) -> None:
    transported = transported_of(name)
    layout, reference = transported.posterior.layout, transported.reference
    theta, wide, free = transported.posterior.field.sizes
    ties, size = tie_matrix(layout), len(layout.start) - 1
    assert size == free + len(ties)
    t = evaluate(reference.t, transported.posterior.field.hyper)[0]
    p = dense(layout, precision(layout, t, loadings(layout, t), Matrix(reference.sparse, reference.cross, reference.core)))
    inverse, along = np.linalg.inv(p), np.concatenate([ties, np.zeros((len(ties), wide))], axis=1)
    gain = inverse @ along.T @ np.linalg.inv(along @ inverse @ along.T)
    kept = np.r_[:free, size:size + wide]
    expected = (inverse - gain @ along @ inverse)[np.ix_(kept, kept)]

    moves = np.concatenate([np.zeros((free + wide, theta)), np.eye(free + wide)], axis=1)
    _, w, v = transported.fields(np.concatenate([np.zeros((1, theta + free + wide)), moves]))
    moved = np.concatenate([w, v], axis=1)
    map_of = (moved[1:] - moved[0]).T
    np.testing.assert_allclose(map_of @ map_of.T, expected, rtol=1e-8, atol=1e-10)
    # Not what the precision says without the ties.
    assert np.abs(inverse[np.ix_(kept, kept)] - expected).max() > 1e-3


@pytest.mark.parametrize("name", TIED)
def test_what_is_tied_has_no_prior(name: str) -> None:
    """The log prior of the field is that of its free coordinates, an innovation for each."""
    posterior = posterior_of(name)
    layout, field = posterior.layout, posterior.field
    t, w, v = somewhere(posterior)
    theta = evaluate(t, field.hyper)[0]
    rest, whole = w.copy(), tied(layout, w)
    innovations = [rest[each.place] for each in field.own]
    for placed in field.placed:
        path, place = placed.block.path, placed.sparse[:, 0]
        if path is None:
            innovations.append(w[placed.sparse].ravel())
            continue
        y = np.where(place >= 0, w[np.maximum(place, 0)], 0.0).reshape(path.paths, path.nodes)
        innovations.append(np.diff(y, n=path.order, axis=1).ravel())
        levels = whole[placed.levels]
        np.testing.assert_allclose(levels[0], -y.mean(axis=1), atol=1e-12)
    z = np.concatenate([*innovations, v])
    value = -0.5 * (z @ z) - 0.5 * len(z) * np.log(2 * np.pi)
    assert log_prior(layout, theta, whole, v)[0] == pytest.approx(value, rel=1e-12)


def test_nodes_that_come_last_keep_their_order() -> None:
    adjacent = sp.csc_array(np.ones((6, 6)))
    last = np.array([False, True, False, False, True, False])
    order, below = eliminate(adjacent, last)
    assert order[-2:].tolist() == [1, 4]
    assert [len(each) for each in below] == [5, 4, 3, 2, 1, 0]
    alone, _ = eliminate(sp.csc_array(np.eye(3)), np.array([True, False, False]))
    assert alone.tolist() == [1, 2, 0]
