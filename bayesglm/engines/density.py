"""Density: a ``pm.Model`` compiled once into value and gradient on the unconstrained space, and back into its parameters.

PyTensor caches the compiled code on disk and the data are arguments of it, so other data of the same structure bind in no time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from numpy.typing import NDArray
from pymc.logprob.utils import ParameterValueError
from pymc.pytensorf import join_nonshared_inputs
from pytensor.graph.replace import vectorize_graph
from pytensor.tensor.type import TensorType

from bayesglm.engines.native import Native, native_pair

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Density:
    """Log density of a model, with everything needed to sample it.

    Attributes
    ----------
    size : int
        Number of unconstrained coordinates.
    shapes : mapping
        Name of each unconstrained variable to its shape, in the order of the flat vector.
    kernel : callable
        ``kernel(q, *data)`` gives (log density, gradient).
    data : mapping
        Name to array of the arguments after ``q``, in order.
    expand_kernel : callable
        ``expand_kernel(*stacked values)`` gives all variables of the model for a stack of draws.
    expanded : tuple of str
        Names of these variables.
    dims : mapping
        Variable of the model to its dims.
    coords : mapping
        Dim to labels.
    """

    size: int
    shapes: Mapping[str, tuple[int, ...]]
    kernel: Callable[..., tuple[Any, Any]]
    data: Mapping[str, NDArray[Any]]
    expand_kernel: Callable[..., list[Array]]
    expanded: tuple[str, ...]
    dims: Mapping[str, tuple[str, ...]]
    coords: Mapping[str, tuple[Any, ...]]

    def __call__(self, q: Array) -> tuple[float, Array]:
        """Return log density and gradient at a flat vector; minus infinity and zeros where a parameter overflows its range."""
        try:
            value, gradient = self.kernel(np.ascontiguousarray(q), *self.data.values())
        except ParameterValueError:  # PyMC's own check; a sampler takes it as the end of a trajectory, not of the run
            return -np.inf, np.zeros(self.size)
        return np.asarray(value).item(), np.asarray(gradient)

    def native(self) -> Native:
        """Return the density as a sampler calls it without Python."""
        return native_pair(self.kernel, [np.asarray(each) for each in self.data.values()])

    def bind(self, data: Mapping[str, NDArray[Any]]) -> Density:
        """Return the density of the same model with other data, by the names of its ``pm.Data``."""
        return replace(self, data={**self.data, **{name: value for name, value in data.items() if name in self.data}})

    def split(self, flat: Array) -> list[Array]:
        """Cut flat vectors, shape (draws, size), into the unconstrained variables."""
        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes.values()])[:-1]
        parts = np.split(flat, ends, axis=1)
        return [part.reshape(len(flat), *shape) for part, shape in zip(parts, self.shapes.values(), strict=True)]

    def expand(self, flat: Array) -> dict[str, Array]:
        """Return every variable of the model at flat vectors of shape (draws, size)."""
        return dict(zip(self.expanded, self.expand_kernel(*self.split(flat)), strict=True))


def compile_density(model: pm.Model) -> Density:
    """Compile the log density of a model and the way back to its parameters.

    Parameters
    ----------
    model : pm.Model
        Continuous free variables only.
    """
    shapes = unconstrained_shapes(model)
    zeros = {name: np.zeros(shape) for name, shape in shapes.items()}
    (total,), flat = join_nonshared_inputs(zeros, [model.logp()], model.value_vars)
    function = pytensor.function([flat], [total, pytensor.grad(total, flat)])
    data = {shared.name or f"shared_{i}": shared.get_value() for i, shared in enumerate(function.get_shared())}
    expand_kernel, expanded = _compile_expand(model)
    return Density(
        size=sum(int(np.prod(shape)) for shape in shapes.values()), shapes=shapes, kernel=function.vm.jit_fn, data=data,
        expand_kernel=expand_kernel, expanded=expanded,
        dims={name: tuple(model.named_vars_to_dims.get(name, ())) for name in expanded},
        coords={name: tuple(values) for name, values in model.coords.items() if values is not None},
    )


def unconstrained_shapes(model: pm.Model) -> dict[str, tuple[int, ...]]:
    """Shapes of the unconstrained variables, from the dims rather than from an initial point, which would compile a scan."""
    points = {}
    for variable in model.free_RVs:
        value = model.rvs_to_values[variable]
        transform = model.rvs_to_transforms[variable]
        static = _static_shape(model, variable)
        points[value.name] = static if transform is None else _transformed_shape(transform, variable, static)
    return points


def _static_shape(model: pm.Model, variable: Any) -> tuple[int, ...]:
    if all(size is not None for size in variable.type.shape):
        return tuple(int(size) for size in variable.type.shape)
    dims = model.named_vars_to_dims[variable.name]
    return tuple(len(model.coords[dim]) for dim in dims)


def _transformed_shape(transform: Any, variable: Any, static: tuple[int, ...]) -> tuple[int, ...]:
    value = transform.forward(pt.zeros(static), *variable.owner.inputs)
    lengths = [size if size is not None else -1 for size in value.type.shape]
    return tuple(lengths) if -1 not in lengths else tuple(int(n) for n in value.shape.eval())


def _compile_expand(model: pm.Model) -> tuple[Callable[..., list[Array]], tuple[str, ...]]:
    values = model.value_vars
    outputs = [each for each in model.unobserved_value_vars if not each.name.endswith("__")]
    stacked = [TensorType(value.dtype, (None, *value.type.shape))(name=value.name) for value in values]
    graph = vectorize_graph(outputs, dict(zip(values, stacked, strict=True)))
    function = pytensor.function(stacked, graph, on_unused_input="ignore")
    return function, tuple(each.name for each in outputs)
