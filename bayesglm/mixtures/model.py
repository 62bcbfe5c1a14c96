"""Model: a mixture with its labels summed out, as a ``pm.Model``.

    p(x, theta, w) = p(w) prod_k p(theta_k) prod_n sum_k w_k p(x_n | theta_k)

The number of components is fixed. Weights and priors are those of coordinate ascent: components beyond that number have a share
of the weight and no rows. The data are the numbers that components see. A parameter on a grid is continuous here, and at values
of the grid the joint density is that of coordinate ascent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayesglm.errors import EngineError
from bayesglm.mixtures.ascent import Posterior, Problem
from bayesglm.mixtures.columns import Part
from bayesglm.mixtures.component import Array, Symbolic, together


def build(problem: Problem, parts: Sequence[Part], numbers: Sequence[Array], count: int, *, shares: bool = False) -> pm.Model:
    """Return the model of some rows with a number of components.

    Parameters
    ----------
    problem : Problem
        The priors.
    parts : sequence of Part
        What describes the columns.
    numbers : sequence of array
        What each part sees of the rows.
    count : int
        Number of components.
    shares : bool
        Whether to report log w_k p(x_n | theta_k), shape (obs, component), as ``log_share``.

    Raises
    ------
    EngineError
        A component without a ``pm.Model``.
    """
    with pm.Model(coords={"component": np.arange(1, count + 1), "obs": np.arange(len(numbers[0]))}) as model:
        weight = problem.weights.write(problem.concentration, problem.limit, count)
        pm.Deterministic("weight", weight / weight.sum(), dims="component")
        logs, base, reported = pt.log(weight), np.zeros(len(numbers[0])), []
        for place, (part, block, each) in enumerate(zip(parts, problem.blocks, numbers, strict=True)):
            of_part, quantities = _symbolic(part).write(block.prior, each, part.layout, count, f"part{place}_")
            logs = logs + of_part
            base += part.component.base(each)
            reported.append(quantities)
        for quantity in together([part.component.name for part in parts], reported):
            model.add_coords(quantity.labels)
            pm.Deterministic(quantity.name, quantity.values, dims=("component", *quantity.labels))
        if shares:
            pm.Deterministic("log_share", logs, dims=("obs", "component"))
        pm.Potential("rows", pt.logsumexp(logs, axis=1) + pm.Data("base", base))
    return model


def _symbolic(part: Part) -> Symbolic:
    if part.component.symbolic is None:
        raise EngineError(f"component {part.component.name!r}", column=part.layout.names[0], value=part.component.name,
                          rule="it is not written with PyMC variables (symbolic=), which NUTS and ADVI move",
                          fix="Fit by coordinate ascent: leave engine= out.")
    return part.component.symbolic


def values_at(problem: Problem, parts: Sequence[Part], posterior: Posterior) -> Mapping[str, Array]:
    """Return values of the model's variables at what a posterior of coordinate ascent expects."""
    found = dict(problem.weights.start(posterior.weights))
    for place, (part, block, params) in enumerate(zip(parts, problem.blocks, posterior.params, strict=True)):
        found |= {f"part{place}_{name}": value for name, value in _symbolic(part).start(block.prior, params).items()}
    return found
