"""Graph: the log likelihood on cells and its derivatives as PyTensor, and the code compiled from them.

    ll(eta, constants) = sum_cells log_density(p(eta, constants), T) + sum_responses base(y, constants) + number

with p the family's parameters at a cell and T its statistics. All derivatives come from this graph by automatic differentiation.
The data are arguments of the compiled code, so what the disk cache holds serves every table; it runs without Python's lock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import pytensor
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from bayesglm.families.family import Family
from bayesglm.families.links import LINKS
from bayesglm.families.values import Exposure, Values, unit_values
from bayesglm.latent.cells import Kind, reduction_as
from bayesglm.latent.lockfree import LOCK_FREE

Kernel = Callable[..., Any]


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
class Graph:
    """The log likelihood as PyTensor, with its inputs."""

    form: Form
    eta: TensorVariable
    constants: TensorVariable
    data: Mapping[str, TensorVariable]
    etas: tuple[TensorVariable, ...]
    scalars: tuple[TensorVariable, ...]
    values: Values
    each: TensorVariable
    rest: TensorVariable

    @property
    def total(self) -> TensorVariable:
        """The log likelihood."""
        return self.each.sum() + self.rest

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
    each = reduction.log_density(values, data)
    rest = data["number"][0]
    if reduction.base is not None and "base_response" in data:
        base = reduction.base(data["base_response"], Values(scalars, {}, {}))
        rest = rest + (data["base_count"] * base).sum()
    return Graph(form, eta, constants, data, tuple(etas.values()), tuple(scalars.values()), values, each, rest)


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


@lru_cache(maxsize=128)
def closed_information(form: Form) -> bool:
    """Return whether the family declares the expected information of every predicted parameter."""
    if form.family.information is None:
        return False
    graph = _graph(form)
    found = form.family.information(graph.values, graph.data)
    return all((name, name) in found for name in form.predicted)


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


def _apart(graph: Graph) -> tuple[list[TensorVariable], list[TensorVariable]]:
    """Return the log density of each cell, and what depends on no cell."""
    return graph.inputs, [graph.each + pt.zeros_like(graph.etas[0]), graph.rest]


def _scored(graph: Graph) -> tuple[list[TensorVariable], list[TensorVariable]]:
    """Return the log density of each cell and its gradient."""
    return graph.inputs, [graph.each + pt.zeros_like(graph.etas[0]), pt.stack(_gradient(graph.total, graph.etas))]


_KERNELS: Mapping[str, Callable[[Graph], tuple[list[TensorVariable], list[TensorVariable]]]] = {
    "first": _first, "second": _second, "third": _third, "information": _information, "values": _values, "apart": _apart,
    "scored": _scored,
}


def graph_of(form: Form, name: str) -> tuple[list[TensorVariable], list[TensorVariable]]:
    """Return inputs (eta, constants, then the data) and outputs of a kernel.

    Kernels are first, second, third, information, values, apart and scored.
    """
    return _KERNELS[name](_graph(form))


@lru_cache(maxsize=128)
def compiled(form: Form, name: str) -> Kernel:
    """Return a kernel of a form, compiled once in a process and read from the disk cache where it was ever compiled."""
    inputs, outputs = graph_of(form, name)
    kernel: Kernel = pytensor.function(inputs, outputs, mode=LOCK_FREE, on_unused_input="ignore").vm.jit_fn
    return kernel
