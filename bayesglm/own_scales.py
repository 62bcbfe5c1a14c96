"""Scales of their own: what compiled code needs to know of priors under which each coefficient is normal given its own scale.

A joint prior (`bayesglm.priors.Prior.own_scales`) declares independent parameters theta and the scales as functions of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Products(NamedTuple):
    """Positive numbers as products of powers of parameters: log x_i = constant + sum power log theta + other log(1 - theta).

    Attributes
    ----------
    size : int
        How many numbers.
    constant : float
        Of their logarithms.
    row, theta : int arrays, shape (entry,)
        The number and the parameter of each entry, ordered by the number.
    power, other : arrays, shape (entry,)
        The powers of theta and of 1 - theta.
    """

    size: int
    constant: float
    row: NDArray[np.int64]
    theta: NDArray[np.int64]
    power: NDArray[np.float64]
    other: NDArray[np.float64]

    def values(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the numbers at many parameters, shapes (draw, theta) to (draw, size).

        Examples
        --------
        >>> products([[(0, 2.0, 0.0)], [(0, 1.0, 1.0)]]).values(np.array([[0.5]])).tolist()
        [[0.25, 0.25]]
        """
        logarithms = np.full((len(theta), self.size), self.constant, theta.dtype)
        chosen = theta[:, self.theta]
        entries = np.zeros_like(chosen)
        for power, base in ((self.power, chosen), (self.other, 1.0 - chosen)):
            used = power != 0
            entries[:, used] += power[used] * np.log(base[:, used])
        np.add.at(logarithms.T, self.row, entries.T)
        return np.asarray(np.exp(logarithms))


def products(numbers: list[list[tuple[int, float, float]]], constant: float = 0.0) -> Products:
    """Return products from the (theta, power, other) entries of each number."""
    row = np.repeat(np.arange(len(numbers)), [len(each) for each in numbers])
    flat = np.array([entry for each in numbers for entry in each], np.float64).reshape(-1, 3)
    return Products(len(numbers), constant, row.astype(np.int64), flat[:, 0].astype(np.int64), *flat[:, 1:].T.copy())


@dataclass(frozen=True, slots=True, eq=False)
class OwnScales[Prior]:
    """Scales of coefficients that are normal given them: sd_j = (a_j^-2 + slab)^(-1/2), of independent parameters theta.

    Attributes
    ----------
    priors : tuple of Prior
        Those of theta.
    a : Products
        One for each coefficient.
    slab : int
        Which theta is the precision that bounds all scales, -1 for none.
    scalars, vectors : mapping
        What the model calls the functions of theta that it samples, behind the name of the coefficients: numbers, and one for
        each coefficient.
    """

    priors: tuple[Prior, ...]
    a: Products
    slab: int
    scalars: Mapping[str, Products]
    vectors: Mapping[str, Products]


def shares(size: int, concentration: float, first: int) -> tuple[list[tuple[float, float]], list[list[tuple[int, float, float]]]]:
    """Return a symmetric Dirichlet as independent splits of a tree: (alpha, beta) of each split, and each share's factors.

    A set of k shares is split in halves of k // 2 and the rest; the part that the first half gets is
    Beta(k // 2 concentration, rest concentration), independently of all other splits.
    Source: Ferguson (1974), Annals of Statistics 2, 615.

    Parameters
    ----------
    size : int
        Number of shares.
    concentration : float
        Of each share.
    first : int
        The number of the first split.

    Examples
    --------
    >>> shares(3, 0.5, 0)
    ([(0.5, 1.0), (0.5, 0.5)], [[(0, 1.0, 0.0)], [(0, 0.0, 1.0), (1, 1.0, 0.0)], [(0, 0.0, 1.0), (1, 0.0, 1.0)]])
    """
    splits: list[tuple[float, float]] = []
    factors: list[list[tuple[int, float, float]]] = [[] for _ in range(size)]
    sets = [(0, size)]
    while sets:
        begin, end = sets.pop(0)
        middle = begin + (end - begin) // 2
        if middle == begin:
            continue
        for j in range(begin, end):
            factors[j].append((first + len(splits), float(j < middle), float(j >= middle)))
        splits.append(((middle - begin) * concentration, (end - middle) * concentration))
        sets += [(begin, middle), (middle, end)]
    return splits, factors
