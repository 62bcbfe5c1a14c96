"""The sparse factor, its solves and its derivative against NumPy's dense ones."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from bayesglm.latent.cholesky import Matrix, factor, factor_back, log_determinant, solve_lower, solve_upper
from bayesglm.latent.elimination import Pattern, analyse, eliminate, entry, products

CORE = 3


def arrow() -> tuple[np.ndarray, np.ndarray]:
    """Levels of two effects that are coupled with the core only."""
    return np.eye(7), np.full(7, 2)


def crossed() -> tuple[np.ndarray, np.ndarray]:
    """Six levels of two effects, five of one, some of them read together."""
    together = np.random.default_rng(1).random((6, 5)) < 0.4
    nodes = np.eye(11)
    nodes[:6, 6:] = together
    nodes[6:, :6] = together.T
    return nodes, np.repeat([2, 1], [6, 5])


def band() -> tuple[np.ndarray, np.ndarray]:
    """A walk of order 2 beside a group that reads it."""
    nodes, _ = crossed()
    for apart in (1, 2):
        nodes[6:, 6:] += np.eye(5, k=apart) + np.eye(5, k=-apart)
    return nodes, np.repeat([2, 1], [6, 5])


def nearly_complete() -> tuple[np.ndarray, np.ndarray]:
    """Sixty levels in pairs that are neighbours, nearly all of them read with each of ten others."""
    nodes = np.kron(np.eye(35), np.ones((2, 2)))
    nodes[60:, 60:] = np.eye(10)
    nodes[:60, 60:] = np.random.default_rng(2).random((60, 10)) < 0.9
    nodes[60:, :60] = nodes[:60, 60:].T
    return nodes, np.repeat([1, 2], [60, 10])


class Case:
    """A positive definite matrix on a pattern, as it is and in parts."""

    def __init__(self, nodes: np.ndarray, sizes: np.ndarray, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        order, self.below = eliminate(sp.csc_array(nodes))
        self.sizes = sizes[order].astype(np.int64)
        _, self.pattern = analyse(self.below, self.sizes)
        self.size = int(sizes.sum())
        node = np.repeat(np.arange(len(order)), self.sizes)
        self.given = nodes[np.ix_(order, order)][np.ix_(node, node)] > 0
        noise = rng.normal(size=(self.size + CORE,) * 2)
        p = noise + noise.T
        p[:self.size, :self.size] *= self.given
        self.p = p + (1 - np.linalg.eigvalsh(p)[0]) * np.eye(len(p))

    def parts(self, p: np.ndarray) -> Matrix:
        column = np.repeat(np.arange(self.size), np.diff(self.pattern.start))
        return Matrix(p[self.pattern.row, column], p[:self.size, self.size:].copy(), p[self.size:, self.size:].copy())

    def lower(self) -> Matrix:
        found = self.parts(self.p)
        assert factor(self.pattern, found)
        return found

    def whole(self, lower: Matrix) -> np.ndarray:
        full = np.zeros_like(self.p)
        full[self.pattern.row, np.repeat(np.arange(self.size), np.diff(self.pattern.start))] = lower.sparse
        full[self.size:, :self.size], full[self.size:, self.size:] = lower.cross.T, lower.core
        return full


@pytest.fixture(params=[arrow, crossed, band, nearly_complete], ids=lambda make: make.__name__)
def case(request: pytest.FixtureRequest) -> Case:
    return Case(*request.param())


def test_the_factor_is_that_of_the_dense_matrix(case):
    lower = case.lower()
    np.testing.assert_allclose(case.whole(lower), np.linalg.cholesky(case.p), atol=1e-12)
    assert log_determinant(case.pattern, lower) == pytest.approx(np.linalg.slogdet(case.p)[1] / 2, rel=1e-12)


def test_the_solves_are_those_of_the_dense_factor(case):
    lower, dense = case.lower(), np.linalg.cholesky(case.p)
    given = np.random.default_rng(2).normal(size=len(case.p))
    for solve, matrix in ((solve_lower, dense), (solve_upper, dense.T)):
        x, y = given[:case.size].copy(), given[case.size:].copy()
        solve(case.pattern, lower, x, y)
        np.testing.assert_allclose(np.concatenate([x, y]), np.linalg.solve(matrix, given), rtol=1e-9, atol=1e-12)


def test_the_derivative_is_that_of_the_dense_factor(case):
    """A function that is linear in L, in random directions of P on its pattern."""
    rng = np.random.default_rng(3)
    weight = np.tril(case.whole(case.parts(rng.normal(size=case.p.shape))))
    gradient = Matrix(*(each.copy() for each in case.parts(weight)))
    gradient = gradient._replace(cross=weight[case.size:, :case.size].T.copy())
    factor_back(case.pattern, case.lower(), gradient)
    slopes = np.tril(case.whole(gradient))
    allowed = np.ones_like(case.p, dtype=bool)
    allowed[:case.size, :case.size] = case.given
    for _ in range(5):
        move = np.tril(rng.normal(size=case.p.shape) * allowed)
        both = move + np.tril(move, -1).T
        step = 1e-6
        ahead, behind = (np.sum(weight * np.linalg.cholesky(case.p + sign * step * both)) for sign in (1, -1))
        assert np.sum(slopes * move) == pytest.approx((ahead - behind) / (2 * step), rel=1e-6, abs=1e-7)


def test_a_matrix_that_is_not_positive_definite_is_said_to_be_none(case):
    sparse, cross, core = case.parts(case.p)
    assert not factor(case.pattern, Matrix(sparse - 100 * (case.pattern.row == 0), cross.copy(), core.copy()))
    assert not factor(case.pattern, Matrix(sparse.copy(), cross.copy(), core - 100 * np.eye(CORE)))


def test_what_nearly_all_levels_reach_is_eliminated_as_a_dense_matrix():
    assert [len(Case(*make()).pattern.last) for make in (arrow, nearly_complete)] == [14, 58]


def test_entries_are_found_by_row_and_column(case):
    column = np.repeat(np.arange(case.size), np.diff(case.pattern.start))
    assert entry(case.pattern, case.pattern.row, column).tolist() == list(range(len(column)))


def test_products_are_counted(case):
    below = np.diff(case.pattern.start) - 1
    assert products(case.below, case.sizes) == (below * (below + 1) // 2).sum()
    if len(case.pattern.last) == case.size:
        assert products(case.below, case.sizes) == len(case.pattern.target)


def test_levels_of_one_factor_cost_as_much_as_there_are_levels():
    small, large = (len(Case(np.eye(n), np.full(n, 2)).pattern.target) for n in (10, 40))
    assert large == 4 * small


def test_a_band_stays_a_band():
    nodes = sp.csc_array(np.eye(200) + np.eye(200, k=1) + np.eye(200, k=-1))
    _, below = eliminate(nodes)
    assert max(len(each) for each in below) <= 2


def test_no_sparse_part_is_allowed():
    pattern = Pattern(np.zeros(1, np.int64), *[np.zeros(0, np.int64)] * 4)
    core = np.array([[4.0, 0.0], [2.0, 5.0]])
    assert factor(pattern, Matrix(np.zeros(0), np.zeros((0, 2)), core))
    np.testing.assert_allclose(core, [[2.0, 0.0], [1.0, 2.0]])
