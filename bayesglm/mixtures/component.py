"""Component: the contract of what a component of a mixture says of some columns.

Every member is a conjugate exponential family. For one component with parameters theta,

    log p(x | theta) = c(theta) + t(x) . eta(theta) + b(x),

with features t(x), natural parameters eta and a base b, so that coordinate ascent is two matrix products whatever the
columns hold, and a mixed table is a product of members. Three things stay inside this form:

* Parameters on a grid (a concentration, degrees of freedom) have one feature for each value of the grid; the natural
  parameter is then a posterior probability.
* Parameters that components share are updated for all components at once and repeated for each.
* Rows with variables that nobody observed (a scale of their own, a missing value) have expected features, which differ by
  component: `Latent` takes the place of ``features``. The entropy of those variables is one of them, so that the bound is
  sums of features times natural parameters as everywhere.

To add a component:

1. Write one file in ``bayesglm/mixtures/components/`` that ends in ``MEMBER = Component(...)``.
2. Parameters are arrays by name whose first axis is the component; a prior has one component.
3. Missing values are NaN in the data: the predictive leaves them out. Where columns are independent, write features that are
   0 for them; else give ``missing``.
4. Give ``symbolic`` for NUTS and ADVI, and ``exported`` by a form that `bayesglm.mixtures.scorer` knows; without them those
   uses are refused.
5. Run ``pytest tests/mixtures``: the laws run over every member.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesglm.mixtures.scorer.transforms import Transform

Array = NDArray[np.float64]
Params = Mapping[str, Array]


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """How the numbers of a block relate to the columns of the table.

    Attributes
    ----------
    names : tuple of str
        The columns.
    levels : tuple of str
        Levels of a categorical column, else empty.
    transforms : tuple of Transform
        Of each column, on whose scale it is described.
    center, scale : array, shape (feature,)
        ``transformed value = center + scale * number``.
    missing : bool
        Whether values may be missing.
    exposure : tuple of str
        The column that multiplies the mean of each column, "" for none; empty where the component takes no exposure.
    exposure_unit : array, shape (feature,)
        Mean exposure, in which data hold exposures; 1 without exposure, empty where the component takes none.
    """

    names: tuple[str, ...]
    levels: tuple[str, ...]
    transforms: tuple[Transform, ...]
    center: Array
    scale: Array
    missing: bool = False
    exposure: tuple[str, ...] = ()
    exposure_unit: Array = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """What a posterior adds to the bound; these have most of their work in common.

    Attributes
    ----------
    constant : array, shape (component,)
        E[c].
    natural : array, shape (component, feature)
        E[eta].
    divergence : array, shape (component,)
        Kullback-Leibler divergence of the posterior from the prior; what components share is counted once, in equal parts.
    """

    constant: Array
    natural: Array
    divergence: Array


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """One quantity of the components: its posterior draws, or a PyMC variable.

    Attributes
    ----------
    name : str
        Variable of the posterior.
    labels : mapping
        Dimension to its labels, in the order of the axes after draw and component.
    values : array, shape (draw, component, ...)
        The draws; a PyMC variable has no draw in front.
    """

    name: str
    labels: Mapping[str, tuple[str, ...]]
    values: Any


@dataclass(frozen=True, slots=True)
class Latent:
    """What a component says of rows with variables h that nobody observed, as a record of functions.

    Their posterior q(h) given the row and the component is the best one for the parameters at hand:
    ``max_q E[log p(x, h | theta) - log q(h)]``, the expectation over theta and h.

    Attributes
    ----------
    width : callable
        ``width(size)`` gives the number p of expected features for ``size`` columns.
    expect : callable
        ``expect(params, data)`` gives that maximum without the base, shape (component, row), and a function that turns
        responsibilities (component, row) into sums over rows of responsibilities times the expected features at that
        maximum, shape (component, p). Without parameters (None) q(h) is a start, whose maximum means nothing.
    """

    width: Callable[[int], int]
    expect: Callable[[Params | None, Array], tuple[Array, Callable[[Array], Array]]]


@dataclass(frozen=True, slots=True)
class Symbolic:
    """A component as PyMC variables, as a record of functions.

    Attributes
    ----------
    write : callable
        ``write(prior, data, layout, count, name)`` writes the parameters of ``count`` components inside a model context, names
        begin with ``name``; it returns log densities without the base, shape (row, component), and the quantities that
        ``draw`` draws.
    start : callable
        ``start(prior, params)`` gives the value of each variable, by its name without ``name``, that posterior parameters expect.
    """

    write: Callable[[Params, Array, Layout, int, str], tuple[Any, tuple[Drawn, ...]]]
    start: Callable[[Params, Params], Mapping[str, Array]]


@dataclass(frozen=True, slots=True)
class Component:
    """What a component says of some columns, as a record of functions.

    Data are an array of shape (row, column), NaN where a value is missing; where ``exposed``, the exposures stand behind the
    columns, (row, 2 column), in units of their mean.

    Attributes
    ----------
    name : str
        The name users write.
    label : str
        What it is, in words.
    kinds : tuple of str
        Kinds of columns it takes.
    joint : bool
        Whether all its columns stand in one block; else each column has a block of its own.
    scaled : bool
        Whether its columns are standardised, and may be transformed.
    check : callable
        ``check(name, values)`` raises where a column as a whole cannot be described.
    prior : callable
        ``prior(data, levels)`` gives the prior's parameters from the scale of the data.
    coordinates : callable
        ``coordinates(data, levels)`` gives numbers of shape (row, .) whose distance means something, for the starts.
    features : callable
        ``features(data, levels)`` gives t(x), shape (row, p); of no width where ``latent`` stands for it.
    base : callable
        ``base(data)`` gives b(x), shape (row,).
    update : callable
        ``update(prior, counts, sums)`` gives the posterior for weighted row counts (component,) and sums of
        features (component, p), of all components at once.
    expected : callable
        ``expected(prior, params)`` gives the terms of the bound, `Expected`. With ``latent`` the constant is
        0 and one of the expected features is 1.
    predictive : callable
        ``predictive(params, data)`` gives the log posterior predictive density, shape (row, component).
    simulate : callable
        ``simulate(params, labels, exposure, rng)`` draws one row of data from the posterior predictive of each component
        named in labels; exposure has shape (row, column), or (1, 1) where it is 1 throughout.
    draw : callable
        ``draw(params, layout, size, rng)`` gives posterior draws in the units of the columns, after the transform.
    describe : callable
        ``describe(params, layout)`` gives the columns of the component table, in original units: ``x_mean`` and ``x_sd`` for
        a number, ``x=level`` for the levels of a category, and what else there is to say.
    parameters : callable
        ``parameters(size, levels, components)`` gives how many free parameters ``components`` components have together.
    source : str
        Where the mathematics stands.
    check_values : callable
        ``check_values(name, values)`` raises where single values cannot be described, in the fitted rows and in new ones.
    exposed : bool
        Whether its columns may have an exposure, 1 where none is given.
    shared : bool
        Whether components share parameters, so that one component's part of the bound depends on the others.
    latent : Latent, optional
        Takes the place of ``features`` where every row has variables that nobody observed.
    symbolic : Symbolic, optional
        The component as PyMC variables; None where there is no ``pm.Model`` of it.
    missing : Component, optional
        The component for columns with missing values; None where this one is.
    """

    name: str
    label: str
    kinds: tuple[str, ...]
    joint: bool
    scaled: bool
    check: Callable[[str, Array], None]
    prior: Callable[[Array, int], Params]
    coordinates: Callable[[Array, int], Array]
    features: Callable[[Array, int], Array]
    base: Callable[[Array], Array]
    update: Callable[[Params, Array, Array], Params]
    expected: Callable[[Params, Params], Expected]
    predictive: Callable[[Params, Array], Array]
    simulate: Callable[[Params, NDArray[np.intp], Array, np.random.Generator], Array]
    draw: Callable[[Params, Layout, int, np.random.Generator], tuple[Drawn, ...]]
    describe: Callable[[Params, Layout], Mapping[str, Array]]
    parameters: Callable[[int, int, int], int]
    source: str
    exported: Callable[[Params, Layout], tuple[str, Mapping[str, Array]]] | None = None
    check_values: Callable[[str, Array], None] = lambda name, values: None
    exposed: bool = False
    shared: bool = False
    latent: Latent | None = None
    symbolic: Symbolic | None = None
    missing: Component | None = None


def together(names: Sequence[str], drawn: Sequence[tuple[Drawn, ...]]) -> tuple[Drawn, ...]:
    """Return the quantities of several parts side by side.

    Where parts would have one name for two quantities, or one dimension for different columns, each carries the name of its
    component in front.

    Parameters
    ----------
    names : sequence of str
        Of the parts' components.
    drawn : sequence of tuple of Drawn
        What each part draws.

    Examples
    --------
    >>> a, b = (Drawn("mean", {"feature": (column,)}, 0.0) for column in "xy")
    >>> [each.name for each in together(["gaussian", "student_t"], [(a,), (Drawn("rate", {}, 0.0),)])]
    ['mean', 'rate']
    >>> [(each.name, *each.labels) for each in together(["gaussian", "diagonal_gaussian"], [(a,), (b,)])]
    [('gaussian_mean', 'gaussian_feature'), ('diagonal_gaussian_mean', 'diagonal_gaussian_feature')]
    """
    quantities = Counter(each.name for part in drawn for each in part)
    columns: dict[str, set[tuple[str, ...]]] = {}
    for part in drawn:
        for each in part:
            for dim, labels in each.labels.items():
                columns.setdefault(dim, set()).add(labels)
    found: list[Drawn] = []
    for name, part in zip(names, drawn, strict=True):
        apart = any(quantities[each.name] > 1 or any(len(columns[dim]) > 1 for dim in each.labels) for each in part)
        front = f"{name}_" if apart else ""
        found += [Drawn(f"{front}{each.name}", {f"{front}{dim}": labels for dim, labels in each.labels.items()}, each.values)
                  for each in part]
    return tuple(found)


def filled(data: Array) -> Array:
    """Return data with the mean of the column in place of missing values, for distances.

    Examples
    --------
    >>> filled(np.array([[1.0], [np.nan], [3.0]])).ravel().tolist()
    [1.0, 2.0, 3.0]
    """
    return np.asarray(np.where(np.isnan(data), np.nanmean(data, axis=0), data))


def describe_numbers(mean: Array, variance: Array, layout: Layout) -> Mapping[str, Array]:
    """Return mean and sd of each column in original units.

    Examples
    --------
    >>> from bayesglm.mixtures.scorer.transforms import IDENTITY
    >>> layout = Layout(("x",), (), (IDENTITY,), np.array([10.0]), np.array([2.0]))
    >>> {name: float(value[0]) for name, value in describe_numbers(np.array([[1.0]]), np.array([[4.0]]), layout).items()}
    {'x_mean': 12.0, 'x_sd': 4.0}
    """
    center, spread = layout.center + layout.scale * mean, layout.scale**2 * variance
    shown: dict[str, Array] = {}
    for j, name in enumerate(layout.names):
        m, v = layout.transforms[j].moments(center[:, j], spread[:, j])
        shown |= {f"{name}_mean": m, f"{name}_sd": np.sqrt(v)}
    return shown
