"""The likelihood on cells: value and derivatives in the linear predictors and the constant parameters, compiled.

    ll(eta, constants) = sum_cells log_density(p(eta, constants), T) + sum_responses base(y, constants) + number

with p the family's parameters at a cell and T its statistics. All derivatives come from this graph by automatic differentiation.
The data are arguments of the compiled code, so what the disk cache holds serves every table; it runs without Python's lock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from numpy.typing import NDArray
from pytensor.tensor.variable import TensorVariable

from bayesglm.families.family import Family
from bayesglm.families.links import LINKS
from bayesglm.families.reduction import Rows
from bayesglm.families.values import Exposure, Values, unit_values
from bayesglm.latent.cells import Cells, Kind, cells_of, reduction_as
from bayesglm.latent.lockfree import LOCK_FREE
from bayesglm.specification import Problem, Specification

Array = NDArray[np.float64]
Kernel = Callable[..., Any]

# Responses drawn for an expected information that has no closed form.
DRAWS = 32


@dataclass(frozen=True, slots=True)
class Form:
    """What the compiled code of a likelihood depends on: facts, and no data.

    Attributes
    ----------
    family : Family
        The family; two records with the same functions are the same here.
    facts : tuple
        The functions and parameters of the family that the code is made of.
    links : tuple of (str, str)
        Predicted parameters and their links, in the order of the rows of eta.
    data : tuple of str
        Names of the data arguments.
    kind : {"own", "apart", "identical"}
        Which reduction the statistics are of.
    """

    family: Family = field(compare=False)
    facts: tuple[object, ...]
    links: tuple[tuple[str, str], ...]
    data: tuple[str, ...]
    kind: Kind

    @property
    def predicted(self) -> tuple[str, ...]:
        """Parameters with a linear predictor."""
        return tuple(name for name, _ in self.links)

    @property
    def constants(self) -> tuple[str, ...]:
        """The other parameters, in the family's order."""
        return tuple(each.name for each in self.family.parameters if each.name not in self.predicted)


@dataclass(frozen=True, slots=True, eq=False)
class CellLikelihood:
    """The log likelihood of a problem as a function of linear predictors at cells and of constants on their natural scale.

    P is the number of predicted parameters and K that of constants; all numbers are float64.

    Attributes
    ----------
    cells : Cells
        The reduced rows.
    form : Form
        What the code depends on.
    data : tuple of array
        The arguments of the kernels after eta and constants.
    log_concave : bool
        Whether the curvature is positive semi-definite at every eta, whatever the responses; elsewhere, Newton steps and
        transports need the expected information.
    """

    cells: Cells
    form: Form
    data: tuple[Array, ...]
    log_concave: bool

    @property
    def pattern(self) -> NDArray[np.int64]:
        """Covariate pattern of each cell, shape (cell,), ascending."""
        return self.cells.pattern

    @property
    def n_patterns(self) -> int:
        """Number of covariate patterns."""
        return self.cells.patterns

    @property
    def rows(self) -> int:
        """Rows of the likelihood, each as often as its weight says."""
        return self.cells.rows

    @property
    def predicted(self) -> tuple[str, ...]:
        """Names of the predicted parameters: the rows of eta."""
        return self.form.predicted

    @property
    def constants(self) -> tuple[str, ...]:
        """Names of the constant parameters."""
        return self.form.constants

    @property
    def kernel(self) -> Kernel:
        """``kernel(eta, constants, *data)`` gives (value as an array of shape (), d_eta, d_constants).

        It is a numba dispatcher that other compiled functions may call, without Python's lock; its arrays are float64, in C
        order and writable.
        """
        return compiled(self.form, "first")

    def value_and_gradient(self, eta: Array, constants: Array) -> tuple[float, Array, Array]:
        """Return the log likelihood and its gradient.

        Parameters
        ----------
        eta : array, shape (P, cell)
            Linear predictors, gathered to cells, without the log of the exposure.
        constants : array, shape (K,)
            Constant parameters on their natural scale.

        Returns
        -------
        value : float
        d_eta : array, shape (P, cell)
        d_constants : array, shape (K,)
        """
        value, d_eta, d_constants = self._call("first", eta, constants)
        return float(value), d_eta, d_constants

    def second(self, eta: Array, constants: Array) -> tuple[float, Array, Array, Array, Array]:
        """Return value, gradient, curvature and how the gradient in eta moves with the constants.

        Parameters
        ----------
        eta, constants : array
            As for `value_and_gradient`.

        Returns
        -------
        value, d_eta, d_constants
            As from `value_and_gradient`.
        curvature : array, shape (P, P, cell)
            Minus the second derivatives in the linear predictors of each cell.
        cross : array, shape (K, P, cell)
            Derivative of d_eta in each constant.
        """
        value, *rest = self._call("second", eta, constants)
        return float(value), *rest

    def third(self, eta: Array, constants: Array, weight: Array) -> tuple[Array, Array]:
        """Return the gradient of sum(weight * curvature).

        Parameters
        ----------
        eta, constants : array
            As for `value_and_gradient`.
        weight : array, shape (P, P, cell)
            Held constant.

        Returns
        -------
        d_eta : array, shape (P, cell)
        d_constants : array, shape (K,)
        """
        d_eta, d_constants = compiled(self.form, "third")(_plain(eta), _plain(constants), _plain(weight), *self.data)
        return d_eta, d_constants

    def information(self, eta: Array, constants: Array, seed: int = 0) -> Array:
        """Return the expected information of each cell, positive semi-definite, shape (P, P, cell).

        In closed form where the family declares one; elsewhere the mean square of the score over drawn responses, the same for
        the same seed.

        Parameters
        ----------
        eta, constants : array
            As for `value_and_gradient`.
        seed : int
            Of the drawn responses.
        """
        if _declared(self.form) is not None:
            (found,) = self._call("information", eta, constants)
            return np.asarray(found)
        return _mean_square_of_the_score(self, _plain(eta), _plain(constants), seed)

    def _call(self, name: str, eta: Array, constants: Array) -> tuple[Any, ...]:
        found = compiled(self.form, name)(_plain(eta), _plain(constants), *self.data)
        return found if isinstance(found, tuple) else (found,)


def compile_likelihood(problem: Problem) -> CellLikelihood:
    """Return the likelihood of a problem on its cells; what is compiled is compiled at the first call.

    Parameters
    ----------
    problem : Problem
        Specification and data.

    Examples
    --------
    >>> import bayesglm as bg
    >>> table = {"errors": [3, 0, 2, 5], "deploy": [0, 0, 1, 1], "requests": [10.0, 5.0, 10.0, 20.0]}
    >>> model = bg.Model("errors ~ deploy", table, family="poisson", exposure="requests")
    >>> likelihood = compile_likelihood(model.problem)
    >>> likelihood.cells.summary
    '4 rows, 2 cells'
    >>> value, d_eta, d_constants = likelihood.value_and_gradient(np.log([[0.2, 0.7 / 3.0]]), np.zeros(0))
    >>> d_eta.round(9).tolist(), d_constants.tolist()
    ([[0.0, 0.0]], [])
    """
    return likelihood_on(problem.specification, cells_of(problem))


def likelihood_on(specification: Specification, cells: Cells) -> CellLikelihood:
    """Return the likelihood of a model on given cells.

    Parameters
    ----------
    specification : Specification
        The model.
    cells : Cells
        Its rows, reduced in one way or another.
    """
    family = specification.family
    links = tuple((each.parameter, each.link) for each in specification.predictors)
    median = specification.exposure_median
    data = {**_exposures(cells.exposure, median), **_given("trials", cells.trials), **cells.statistics}
    if cells.base_response.size:
        data |= {"base_response": cells.base_response, "base_count": cells.base_count}
    data["number"] = np.array([cells.number])
    form = Form(family, _facts(family), links, tuple(data), cells.kind)
    concave = all(link in family.log_concave.get(name, ()) for name, link in links)
    return CellLikelihood(cells, form, tuple(_plain(each) for each in data.values()), concave)


def _plain(values: Any) -> Array:
    """Return a float64 array that compiled code takes without another version of itself: in C order, writable."""
    return np.require(values, np.float64, ("C", "W", "A"))


def _given(name: str, values: Array | None) -> dict[str, Array]:
    return {} if values is None else {name: values}


def _exposures(exposure: Array | None, median: float | None) -> dict[str, Array]:
    if exposure is None:
        return {}
    plain = {"exposure": exposure, "log_exposure": np.log(exposure)}
    if median is None:
        return plain
    relative = exposure / median
    return {**plain, "relative": relative, "log_relative": np.log(relative)}


def _facts(family: Family) -> tuple[object, ...]:
    parameters = tuple((each.name, each.exposed, each.scales_with_exposure) for each in family.parameters)
    return (family.likelihood, family.reduction, family.information, parameters)


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """The log likelihood as PyTensor, with its inputs."""

    form: Form
    eta: TensorVariable
    constants: TensorVariable
    data: Mapping[str, TensorVariable]
    etas: tuple[TensorVariable, ...]
    scalars: tuple[TensorVariable, ...]
    values: Values
    total: TensorVariable

    @property
    def inputs(self) -> list[TensorVariable]:
        """eta, constants, then the data."""
        return [self.eta, self.constants, *self.data.values()]


def _graph(form: Form) -> Graph:
    family, predicted, constant = form.family, form.predicted, form.constants
    eta = pt.tensor("eta", shape=(len(predicted), None), dtype="float64")
    constants = pt.tensor("constants", shape=(len(constant),), dtype="float64")
    data = {name: pt.tensor(name, shape=(1,) if name == "number" else (None,), dtype="float64") for name in form.data}
    etas = {name: eta[i] for i, name in enumerate(predicted)}
    scalars = {name: constants[i] for i, name in enumerate(constant)}
    links = {name: LINKS[link] for name, link in form.links}
    exposure = None
    if "exposure" in data:
        exposure = Exposure(data["exposure"], data["log_exposure"], data.get("relative"), data.get("log_relative"))
    inverse = {name: links[name].tensor(each) for name, each in etas.items()}
    values = unit_values(family, links, inverse, etas, scalars, exposure, data.get("trials"))
    reduction = reduction_as(family, form.kind)
    total = reduction.log_density(values, data).sum() + data["number"][0]
    if reduction.base is not None and "base_response" in data:
        base = reduction.base(data["base_response"], Values(scalars, {}, {}))
        total = total + (data["base_count"] * base).sum()
    return Graph(form, eta, constants, data, tuple(etas.values()), tuple(scalars.values()), values, total)


def _gradient(total: TensorVariable, of: tuple[TensorVariable, ...]) -> list[TensorVariable]:
    return pytensor.grad(total, list(of), disconnected_inputs="ignore") if of else []


def _stack(parts: list[TensorVariable], like: TensorVariable) -> TensorVariable:
    """Stack along a new first axis; no part at all gives none of what there would have been."""
    return pt.stack(parts) if parts else pt.zeros((0, *like.shape))


def _first(graph: Graph) -> tuple[list[TensorVariable], list[TensorVariable]]:
    d_eta, d_constants = _gradient(graph.total, graph.etas), _gradient(graph.total, graph.scalars)
    return graph.inputs, [graph.total, pt.stack(d_eta), _stack(d_constants, graph.total)]


def _curvature(graph: Graph) -> list[list[TensorVariable]]:
    """Minus the second derivatives: those of one cell depend on no other, so that the gradient of a sum has them all."""
    gradients = _gradient(graph.total, graph.etas)
    size = len(gradients)
    rows: list[list[TensorVariable]] = [[graph.etas[0]] * size for _ in range(size)]
    for i, gradient in enumerate(gradients):
        for j, second in enumerate(_gradient(gradient.sum(), graph.etas[i:]), start=i):
            rows[i][j] = rows[j][i] = -second
    return rows


def _second(graph: Graph) -> tuple[list[TensorVariable], list[TensorVariable]]:
    inputs, first = _first(graph)
    curvature = pt.stack([pt.stack(row) for row in _curvature(graph)])
    # d/du of d/dk of sum(u * d_eta) is the derivative in k of each element of d_eta; u falls out.
    u = pt.ones_like(graph.etas[0])
    cross: list[list[TensorVariable]] = [[] for _ in graph.scalars]
    for gradient in _gradient(graph.total, graph.etas):
        for k, moved in enumerate(_gradient((u * gradient).sum(), graph.scalars)):
            (each,) = _gradient(moved, (u,))
            cross[k].append(each)
    crossed = _stack([pt.stack(row) for row in cross], graph.eta)
    return inputs, [*first, curvature, crossed]


def _third(graph: Graph) -> tuple[list[TensorVariable], list[TensorVariable]]:
    size = len(graph.etas)
    weight = pt.tensor("weight", shape=(size, size, None), dtype="float64")
    total = sum((weight[i, j] * each).sum() for i, row in enumerate(_curvature(graph)) for j, each in enumerate(row))
    total = pt.as_tensor(total)
    inputs = [graph.eta, graph.constants, weight, *graph.data.values()]
    return inputs, [pt.stack(_gradient(total, graph.etas)), _stack(_gradient(total, graph.scalars), graph.total)]


def _declared(form: Form) -> Callable[..., Any] | None:
    """Return the closed form of the information, if it covers every predicted parameter."""
    if form.family.information is None:
        return None
    graph = _graph(form)
    found = form.family.information(graph.values, graph.data)
    return form.family.information if all((name, name) in found for name in form.predicted) else None


def _information(graph: Graph) -> tuple[list[TensorVariable], list[TensorVariable]]:
    information = graph.form.family.information
    assert information is not None
    found, names, zero = information(graph.values, graph.data), graph.form.predicted, pt.zeros_like(graph.etas[0])
    rows = [[found.get((a, b), found.get((b, a), zero)) + zero for b in names] for a in names]
    return graph.inputs, [pt.stack([pt.stack(row) for row in rows])]


def _values(graph: Graph) -> tuple[list[TensorVariable], list[TensorVariable]]:
    """Parameters on their natural scale at each cell."""
    each = pt.zeros_like(graph.etas[0])
    return graph.inputs, [pt.stack([graph.values[one.name] + each for one in graph.form.family.parameters])]


_KERNELS: Mapping[str, Callable[[Graph], tuple[list[TensorVariable], list[TensorVariable]]]] = {
    "first": _first, "second": _second, "third": _third, "information": _information, "values": _values,
}


def graph_of(form: Form, name: str) -> tuple[list[TensorVariable], list[TensorVariable]]:
    """Return inputs (eta, constants, then the data) and outputs of a kernel: first, second, third, information or values."""
    return _KERNELS[name](_graph(form))


@lru_cache(maxsize=128)
def compiled(form: Form, name: str) -> Kernel:
    """Return a kernel of a form, compiled once in a process and read from the disk cache where it was ever compiled."""
    inputs, outputs = graph_of(form, name)
    kernel: Kernel = pytensor.function(inputs, outputs, mode=LOCK_FREE, on_unused_input="ignore").vm.jit_fn
    return kernel


def redrawn(likelihood: CellLikelihood, eta: Array, constants: Array, rng: np.random.Generator) -> CellLikelihood:
    """Return the likelihood of new data, one drawn row for each cell.

    Parameters
    ----------
    likelihood : CellLikelihood
        Its cells have to keep exposure and trials apart, so that their rows have one distribution.
    eta, constants : array
        Where the responses are drawn.
    rng : Generator
        Random numbers.
    """
    form, cells, family = likelihood.form, likelihood.cells, likelihood.form.family
    (values,) = likelihood._call("values", eta, constants)
    numbers = dict(zip((each.name for each in family.parameters), values, strict=True))
    kind: Kind = cells.kind if family.reduction is None or family.reduction.base is None else "apart"
    each_row, ones = np.arange(cells.size), np.ones(cells.size)
    rows = Rows(family.draw(rng, numbers, cells.trials), ones, cells.exposure, cells.trials, each_row, each_row)
    statistics = dict(reduction_as(family, kind).statistics(rows))
    given = dict(zip(form.data, likelihood.data, strict=True))
    data = {**{name: given[name] for name in _SIZES if name in given}, **statistics, "number": np.zeros(1)}
    one_each = replace(cells, statistics=statistics, base_response=np.zeros(0), base_count=np.zeros(0), number=0.0,
                       frequency=ones, rows=cells.size, kind=kind)
    return CellLikelihood(one_each, replace(form, data=tuple(data), kind=kind), tuple(map(_plain, data.values())),
                          likelihood.log_concave)


def _mean_square_of_the_score(likelihood: CellLikelihood, eta: Array, constants: Array, seed: int) -> Array:
    """Return n times the mean of score score' over responses drawn for one row of each cell."""
    total, rng = np.zeros((len(eta), *eta.shape)), np.random.default_rng(seed)
    for _ in range(DRAWS):
        _, score, _ = redrawn(likelihood, eta, constants, rng).value_and_gradient(eta, constants)
        total += score[:, None] * score[None, :]
    return total * (likelihood.cells.frequency / DRAWS)


_SIZES = ("exposure", "log_exposure", "relative", "log_relative", "trials")
