"""Points: a point of the structured core as one of the ``pm.Model``, and the model's log density there."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.compile.mode import Mode

from bayesglm.latent.mode import Point
from bayesglm.latent.variables import expand, signed

PYTHON = Mode(linker="py", optimizer="fast_compile")


def evaluated(tensor: object) -> np.ndarray:
    return np.asarray(pt.as_tensor(tensor).eval(mode=PYTHON))


def point_of(at: Point, pymc: pm.Model, log_joint: float) -> tuple[dict[str, np.ndarray], float]:
    """Return a point of the structured core as an unconstrained one of the ``pm.Model``, and its log density there.

    The density given is one of the core's own coordinates; it is turned into one of the model's variables, and then, by PyMC's
    own Jacobians, into one of the point.
    """
    field = at.posterior.field
    values = expand(field, at.theta[None], at.w[None], at.v[None])
    density = log_joint - np.log(at.speed).sum() + signed(field).sum() * np.log(2)
    density -= sum(np.log(each.sd) for each in field.core if field.layout.core_theta[field.core.index(each)] < 0)
    rho = at.theta[field.layout.rho_theta]
    density += (field.layout.rho_steps * np.log(1 - rho**2)).sum() / 2
    point = {}
    for variable in pymc.free_RVs:
        transform, value = pymc.rvs_to_transforms[variable], values[variable.name][0]
        if transform is not None:
            value = evaluated(transform.forward(pt.as_tensor(value), *variable.owner.inputs))
            density += evaluated(transform.log_jac_det(pt.as_tensor(value), *variable.owner.inputs)).sum()
        point[pymc.rvs_to_values[variable].name] = value
    return point, float(density)


def density_at(model: pm.Model, variables: list[object], point: dict[str, np.ndarray]) -> float:
    """Log density of some variables, Jacobians included; summed here since Python mode adds at most 32 numbers."""
    terms = model.logp(vars=variables, sum=False)
    found = model.compile_fn(terms, inputs=model.value_vars, mode="FAST_COMPILE", on_unused_input="ignore")(point)
    return sum(float(np.sum(each)) for each in found)
