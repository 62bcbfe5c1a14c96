"""Students: log densities of multivariate Student-t and of mixtures of them over a scale, with NumPy alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .gammas import log_rising  # noqa: TID252 - the folder is copied as it is

Array = NDArray[np.float64]

_PRODUCTS = 200_000  # multiplications at once: BLAS takes larger products to several threads, which wait for each other
_ROWS = 2048  # integrals at once, to bound memory
_REACH = 40.0  # nats below the peak at which the integral over the scale of a row ends
_LAST, _WIDEST, _FINEST = 32, 0.25, 128  # where tables of a Student-t end, their widest cells, and cells a unit at most
_DEGREE, _NEAR = 9, 1e-12  # of their polynomials, and how near they come


def distances(mean: Array, root: Array) -> Callable[[Array], Array]:
    """Return a function to |root_k^-1 (z - mean_k)|^2, shape (row, component).

    Rows are whitened, a 1 in front of them taking the mean away.

    Parameters
    ----------
    mean : array, shape (component, column)
        Centers.
    root : array, shape (component, column, column)
        Cholesky factors.
    """
    size, inverse = mean.shape[1], np.linalg.inv(root)
    shift = np.einsum("kij,kj->ki", inverse, mean)
    turn = np.ascontiguousarray(np.concatenate([-shift[:, None], inverse.swapaxes(1, 2)], axis=1))
    at_once = max(_PRODUCTS // max(size * (size + 1), 1), 1)

    def squares(z: Array) -> Array:
        found = np.empty((len(z), len(mean)))
        for start in range(0, len(z), at_once):
            rows = z[start:start + at_once]
            with_one = np.empty((len(rows), size + 1))
            with_one[:, 0], with_one[:, 1:] = 1.0, rows
            white = with_one @ turn  # (component, row, column)
            np.einsum("kni,kni->nk", white, white, out=found[start:start + at_once])
        return found

    return squares


def joint(arrays: Mapping[str, Array]) -> Callable[[Array], Array]:
    """Return the log density of multivariate Student-t.

    Parameters
    ----------
    arrays : mapping
        ``df`` and ``constant``, shape (component,); ``mean``, shape (component, column); ``root``, Cholesky factors of scales.
    """
    squares, df, constant = distances(arrays["mean"], arrays["root"]), arrays["df"], arrays["constant"]
    power = (df + arrays["mean"].shape[1]) / 2
    return lambda z: np.asarray(constant - power * np.log1p(squares(z) / df))


def _whole(df: Array, size: int, root: Array) -> Array:
    """Return the log density of multivariate Student-t at their centers."""
    log_det = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    return np.asarray(log_rising(df / 2, size / 2) - size / 2 * np.log(df * np.pi) - log_det)


def _root_part(root: Array, held: NDArray[np.bool_]) -> Array:
    """Return Cholesky factors of the scales of some columns, from those of all."""
    upper = np.linalg.qr(root[:, held].swapaxes(1, 2), mode="r")
    signs = np.sign(np.diagonal(upper, axis1=1, axis2=2))
    return np.asarray((upper * signs[:, :, None]).swapaxes(1, 2))


def joint_part(arrays: Mapping[str, Array], held: NDArray[np.bool_]) -> Mapping[str, Array]:
    """Return multivariate Student-t of some columns, as `joint` takes it."""
    root = _root_part(arrays["root"], held)
    return {"df": arrays["df"], "mean": arrays["mean"][:, held], "root": root,
            "constant": _whole(arrays["df"], int(held.sum()), root)}


def scale_mixture_part(arrays: Mapping[str, Array], held: NDArray[np.bool_]) -> Mapping[str, Array]:
    """Return a mixture of Student-t over a scale for some columns, as `scale_mixture` takes it."""
    df, root = arrays["df"], _root_part(arrays["root"], held)
    of_rest = arrays["constant"] - _whole(df, len(held), arrays["root"])
    return {**arrays, "mean": arrays["mean"][:, held], "root": root, "constant": of_rest + _whole(df, int(held.sum()), root)}


def log_sum(logs: Array) -> Array:
    """Return log sum_k exp(logs), shape (row,), for finite logs of shape (row, component).

    Examples
    --------
    >>> log_sum(np.log([[1.0, 3.0]])).round(12).tolist() == [round(float(np.log(4)), 12)]
    True
    """
    top = logs.max(axis=1)
    return np.asarray(top + np.log(np.exp(logs - top[:, None]).sum(axis=1)))


def log_sums(logs: Array, component: Array) -> Array:
    """Return logs of sums of exponentials over neighbours of one component, shape (row, component).

    Parameters
    ----------
    logs : array, shape (row, pair)
        At least one pair of each component with a finite log.
    component : array, shape (pair,)
        The component of each pair, in order.

    Examples
    --------
    >>> np.exp(log_sums(np.log([[1.0, 2.0, 5.0]]), np.array([0.0, 0.0, 1.0]))).round(12).tolist()
    [[3.0, 5.0]]
    """
    first = np.flatnonzero(np.diff(component, prepend=-1))
    if len(first) == len(component):
        return logs
    top = np.maximum.reduceat(logs, first, axis=1)
    away = logs - np.repeat(top, np.diff(first, append=len(component)), axis=1)
    return np.asarray(top + np.log(np.add.reduceat(np.exp(away), first, axis=1)))


def independent(arrays: Mapping[str, Array]) -> Callable[[Array], Array]:
    """Return the log density of independent Student-t columns, of those that are not NaN.

    Parameters
    ----------
    arrays : mapping
        ``df``, ``mean``, ``scale`` and ``constant``, shape (component, column).
    """
    df, mean, scale, constant = arrays["df"], arrays["mean"], arrays["scale"], arrays["constant"]
    whole = constant.sum(axis=1)

    def density(z: Array) -> Array:
        square = ((z[:, None] - mean) / scale) ** 2
        logs = (df + 1) / 2 * np.log1p(square / df)
        held = ~np.isnan(z)
        if held.all():
            return np.asarray(whole - logs.sum(axis=2))
        return np.asarray(held @ constant.T - np.where(held[:, None], logs, 0.0).sum(axis=2))

    return density


@dataclass(frozen=True, slots=True, eq=False)
class Radial:
    """How the predictive of a Student-t with unknown scatter falls off with the squared distance, but for its constant.

    Attributes
    ----------
    size : int
        Number of columns.
    df, kappa : float
        Degrees of freedom of the scatter, and rows behind the center.
    free : float
        Degrees of freedom of the rows' scale.
    """

    size: int
    df: float
    kappa: float
    free: float

    def exact(self, square: Array) -> Array:
        """Return logs at squared distances: a multivariate t given u, which is summed over a grid of log u.

        The integrand falls off as u^((free + size) / 2) below 1 / square and as exp(-u free / 2) above 1. It is analytic where
        the imaginary part of log u is below pi / 2, so equal steps converge as fast as any rule.
        """
        if len(square) > _ROWS:
            return np.concatenate([self.exact(square[start:start + _ROWS]) for start in range(0, len(square), _ROWS)])
        size, df, free, power = self.size, self.df, self.free, (self.free + self.size) / 2
        low, high = -np.log1p(square) - _REACH / power - 1.0, np.log1p(2 * _REACH / free) + 1.0
        count = int(np.ceil((high - low.min()) / min(0.35, 0.6 / np.sqrt(power)))) + 1
        log_u = np.linspace(low, high, count, axis=1)
        widen = np.exp(-log_u) + 1 / self.kappa
        of_x = -size / 2 * np.log(widen) - (df + size) / 2 * np.log1p(square[:, None] / (df * widen))
        return np.asarray(log_sum(of_x + free / 2 * (log_u - np.exp(log_u))) + np.log((high - low) / (count - 1)))

    def table(self) -> Table:
        """Return polynomials in t = log(1 + square / free), on cells that are halved until they are right to 1e-12."""
        nodes = np.cos(np.pi * (np.arange(_DEGREE + 1) + 0.5) / (_DEGREE + 1))
        between, solve = np.array([-0.97, -0.4, 0.3, 0.97]), np.linalg.inv(np.vander(nodes, increasing=True))
        at, powers = np.append(nodes, between), np.vander(between, _DEGREE + 1, increasing=True)
        cell_at = np.zeros(_FINEST * _LAST, np.intp)
        starts, widths, held = np.arange(0.0, _LAST, _WIDEST), _WIDEST, list[tuple[Array, Array, Array]]()
        count = 0
        while len(starts):
            t = starts[:, None] + (at + 1) / 2 * widths
            values = self.exact(np.expm1(t.ravel()) * self.free).reshape(t.shape)
            terms = values[:, :_DEGREE + 1] @ solve.T
            away = np.abs(terms @ powers.T - values[:, _DEGREE + 1:]) / np.maximum(np.abs(values[:, _DEGREE + 1:]), 1)
            done = (away.max(axis=1) < _NEAR) | (widths * _FINEST <= 1)
            held.append((starts[done], np.full(done.sum(), widths), terms[done]))
            for start in starts[done]:
                cell_at[round(start * _FINEST):round((start + widths) * _FINEST)] = count
                count += 1
            left = starts[~done]
            starts, widths = np.concatenate([left, left + widths / 2]), widths / 2
        start, width, terms = (np.concatenate(each) for each in zip(*held, strict=True))
        return Table(cell_at, start, width, np.ascontiguousarray(terms.T))


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A function on [0, 32) by polynomials: which cell a place is in; where cells start, their widths; terms by degree."""

    cell_at: NDArray[np.intp]
    start: Array
    width: Array
    terms: Array

    @classmethod
    def joined(cls, tables: Sequence[Table]) -> Table:
        """Return several tables one behind the other; place t of the j-th is 32 j + t."""
        before = np.cumsum([0, *(len(each.start) for each in tables[:-1])])
        cell_at = np.concatenate([each.cell_at + shift for each, shift in zip(tables, before, strict=True)])
        start = np.concatenate([each.start + j * _LAST for j, each in enumerate(tables)])
        return cls(cell_at, start, np.concatenate([each.width for each in tables]),
                   np.ascontiguousarray(np.concatenate([each.terms for each in tables], axis=1)))

    def at(self, t: Array) -> Array:
        """Return the function at places."""
        cell = self.cell_at.take((t * _FINEST).astype(np.intp))
        inside = (t - self.start.take(cell)) * (2 / self.width.take(cell)) - 1
        found = self.terms[-1].take(cell)
        for term in self.terms[-2::-1]:
            found *= inside
            found += term.take(cell)
        return np.asarray(found)


def scale_mixture(arrays: Mapping[str, Array], *, exact: bool = False) -> Callable[[Array], Array]:
    """Return the log density of Student-t components whose degrees of freedom stand on a grid.

    Parameters
    ----------
    arrays : mapping
        For each pair of a component and a value of the grid, components in order: ``component``, ``df``, ``kappa``, ``free`` and
        ``constant``, shape (pair,); ``mean``, shape (pair, column); ``root``, Cholesky factors of scales.
    exact : bool
        Whether integrals are taken for each row, in place of making a table that is right to 1e-12 and many times as fast.
    """
    mean, free, constant = arrays["mean"], arrays["free"], arrays["constant"]
    squares, size = distances(mean, arrays["root"]), mean.shape[1]
    radials = [Radial(size, *map(float, each)) for each in zip(arrays["df"], arrays["kappa"], free, strict=True)]
    table = None if exact else Table.joined([each.table() for each in radials])
    shift = float(_LAST) * np.arange(len(radials))

    def falling(square: Array) -> Array:
        if table is None:
            return np.stack([each.exact(square[:, pair]) for pair, each in enumerate(radials)], axis=1)
        t = np.log1p(square / free)
        beyond = t >= _LAST
        logs = table.at(np.where(beyond, 0.0, t) + shift)
        for pair in np.flatnonzero(beyond.any(axis=0)):
            logs[beyond[:, pair], pair] = radials[pair].exact(square[beyond[:, pair], pair])
        return logs

    return lambda z: log_sums(falling(squares(z)) + constant, arrays["component"])
