"""Term: the contract of a piece of the linear predictor.

To add a term:

1. Write one file in ``bayesglm/terms/`` that ends in ``MEMBER = Term(...)``: the signature users write in a formula, ``learn``
   (columns to a state that JSON can hold), ``code`` (state and any table to columns and bases) and ``blocks`` (state to priors).
2. Run ``pytest tests/terms``: the laws run over every member, so they run over yours.
3. Use it in a formula, ``"y ~ your_term(x)"``.

A term gives two things: columns with common effects (a fixed prior precision each), and blocks

    eta_i += sum_q values[i, q] x[index[i], q],      vec(x) | theta ~ Normal(0, Q(theta)^-1)

whose state x of shape (levels, effects) is written in standardised form, x = Lambda(theta) z with z standard normal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pytensor.tensor.variable import TensorVariable
from scipy.sparse import sparray

from bayesglm.data.table import Table
from bayesglm.formula import Call, GroupTerm, Product, Signature
from bayesglm.priors import Prior

Array = NDArray[np.float64]
State = Mapping[str, Any]
Node = Product | Call | GroupTerm


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Columns with common effects: one coefficient each.

    Attributes
    ----------
    names : tuple of str
        Coefficient names: ``x``, ``period[1975-79]``, ``x:period[1975-79]``.
    values : array, shape (pattern, coef)
        The coded columns.
    readings : tuple of str
        What one unit of the coefficient compares: "per +1 of x", "period 1975-79 against 1960-74".
    """

    names: tuple[str, ...]
    values: Array
    readings: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """How a block's state x enters the linear predictor of each pattern.

    Attributes
    ----------
    values : array, shape (pattern, effect)
        The multipliers; a group intercept's are ones.
    index : int array, shape (pattern,)
        Which level of x each pattern reads; numbers from ``known`` on are levels the fit has not seen.
    known : int
        Number of levels of the fit.
    added : tuple of str
        Labels of the unseen levels, in order.
    """

    values: Array
    index: NDArray[np.intp]
    known: int
    added: tuple[str, ...] = ()

    @property
    def new(self) -> NDArray[np.bool_]:
        """Whether a pattern reads an unseen level."""
        return self.index >= self.known


@dataclass(frozen=True, slots=True)
class Hyperparameter:
    """A scale, correlation or autocorrelation of a block.

    Attributes
    ----------
    key : str
        Its key in the block's theta: ``sd``, ``cor``, ``rho``.
    name : str
        Its name in the model: ``sd_service``.
    prior_class : str
        The class users set a prior for: ``sd``, ``cor``, ``rho``.
    labels : tuple of str
        Labels along its dimension; empty for a scalar.
    prior : Prior
        The default prior, of an effect whose multiplier has the spread 1.
    spreads : tuple of float
        For each label, the spread of its multiplier: the default prior is per this much. Empty where all are 1.
    shares : tuple of float
        For each label, the variance of its multiplier in units of the squared spread. Empty where all are 1.
    """

    key: str
    name: str
    prior_class: str
    labels: tuple[str, ...]
    prior: Prior
    spreads: tuple[float, ...] = ()
    shares: tuple[float, ...] = ()

    def scaled(self, size: float) -> tuple[Prior, ...]:
        """Return the default prior of a scale for each label, one without labels, of a predictor that is measured in ``size``."""
        return tuple(self.prior.scaled(size / spread) for spread in self.spreads or (1.0,) * max(len(self.labels), 1))


Theta = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Path:
    """How the state of a block follows itself over time, so that its precision is a narrow band.

    With y the path in units of its sd, standard normal innovations are z_t = y_t - y_{t-1} (walk of order 1),
    y_t - 2 y_{t-1} + y_{t-2} (order 2), both from y = 0 at the first nodes, or (y_t - rho y_{t-1}) / sqrt(1 - rho^2).

    Attributes
    ----------
    paths, nodes : int
        Number of paths and of nodes of each; the state runs path by path.
    order : int
        1 or 2 for a walk, whose state is x = sd P y with P taking out the mean and, for order 2, the straight line over the
        nodes; 0 for an autoregression, x = sd y.
    line : str
        Name of the common effect that holds the straight line of order 2; empty elsewhere.
    middle, size : float
        That column is (node - middle) / size.
    """

    paths: int
    nodes: int
    order: int
    line: str = ""
    middle: float = 0.0
    size: float = 1.0


@dataclass(frozen=True, slots=True)
class Block:
    """A latent Gaussian state with its prior.

    Attributes
    ----------
    name : str
        Unique within a linear predictor: ``service``, ``rw(day)``.
    levels, effects : tuple of str
        Labels of the two dimensions of x.
    level_dim, effect_dim : str
        Names of these dimensions.
    hyperparameters : tuple of Hyperparameter
        theta.
    innovations : (int, int)
        Shape of the standard normal z.
    state : callable
        ``state(z, theta)``: x = Lambda(theta) z in PyTensor; theta maps a hyperparameter's key to its variable.
    precision : callable
        ``precision(theta)``: Q(theta) of vec(x) (levels major, effects minor) in NumPy, scipy.sparse; singular exactly along
        the constraints of a walk.
    extend : callable
        ``extend(rng, x, theta, added)``: draws of the unseen levels, shape (draws, len(added), effects), given draws of x with
        shape (draws, levels, effects) and of theta with the draws in front.
    role : {"group", "smooth", "walk"}
        "group" blocks are populations that predictions can integrate over.
    covariance : callable, optional
        For groups: ``covariance(theta)`` of the effects of one level, draws in front: (draws, effects, effects).
    path : Path, optional
        For walks: how the state follows itself; the levels of all other blocks are independent given theta.
    """

    name: str
    levels: tuple[str, ...]
    effects: tuple[str, ...]
    level_dim: str
    effect_dim: str
    hyperparameters: tuple[Hyperparameter, ...]
    innovations: tuple[int, int]
    state: Callable[[TensorVariable, Theta], TensorVariable]
    precision: Callable[[Mapping[str, Array]], sparray]
    extend: Callable[[np.random.Generator, Array, Mapping[str, Array], tuple[str, ...]], Array]
    role: Literal["group", "smooth", "walk"]
    covariance: Callable[[Mapping[str, Array]], Array] | None = None
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class Coded:
    """One term coded on a table: columns and one basis for each of its blocks."""

    columns: Columns | None = None
    bases: tuple[Basis, ...] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """What a term may know of the formula it stands in, when it learns.

    Attributes
    ----------
    counts : array, shape (pattern,)
        How many rows each pattern stands for.
    intercept : bool
        Whether the formula has an intercept.
    others : tuple of Product
        All common terms of the formula: they decide full or reduced coding of a factor.
    """

    counts: Array
    intercept: bool = True
    others: tuple[Product, ...] = ()


@dataclass(frozen=True, slots=True)
class Term:
    """A kind of term as a record of facts and functions.

    Attributes
    ----------
    name : str
        The function users write (``season``), or the kind of node (``product``, ``group``).
    signatures : tuple of Signature
        Functions this term adds to the grammar.
    learn : callable
        ``learn(node, table, context)``: the state, which JSON can hold.
    code : callable
        ``code(state, table)``: the term coded on any table with the same columns.
    blocks : callable
        ``blocks(state)``: the priors of its blocks, in the order of the bases.
    source : str
        Where the construction stands.
    """

    name: str
    learn: Callable[[Any, Table, Context], State]
    code: Callable[[State, Table], Coded]
    source: str
    signatures: tuple[Signature, ...] = ()
    blocks: Callable[[State], Sequence[Block]] = field(default=lambda state: ())
