"""Prior predictive draws: parameters from their priors by PyMC, responses by the family's own draws.

The responses are float64, so that a prior that is far too wide gives huge or infinite counts, never ones that wrapped around.
"""

from __future__ import annotations

import numpy as np
import pymc as pm
import xarray as xr

from bayesglm.data.audit import Audit
from bayesglm.data.schema import Schema
from bayesglm.fitted import Fitted
from bayesglm.model import build, likelihood_units
from bayesglm.predict import check_seed, predict_rows
from bayesglm.rows import rows_of_units
from bayesglm.specification import Problem


def draw_prior_predictive(problem: Problem, schema: Schema, audit: Audit, *, seed: int, draws: int) -> xr.DataTree:
    """Return the groups ``prior``, ``prior_predictive`` and ``observed_data``; see `bayesglm.Model.prior_predictive`."""
    model, name = build(problem), problem.specification.roles.response
    names = [each.name for each in model.unobserved_RVs]
    drawn = pm.sample_prior_predictive(draws=draws, model=model, var_names=names, random_seed=check_seed(seed))
    prior = drawn["prior"].to_dataset()
    believed = Fitted(
        specification=problem.specification, schema=schema, audit=audit, draws=xr.DataTree.from_dict({"posterior": prior}),
        problem=problem, engine="prior", exact=True, settings={}, seed=seed,
    )
    units = likelihood_units(problem, "obs")
    predicted = predict_rows(believed, rows_of_units(believed, problem, units), quantities=("predicted",), seed=seed).draws
    coords = {"obs": units.label}
    responses = xr.Dataset({name: (("chain", "draw", "obs"), np.asarray(predicted["predicted"]))},
                           {"chain": prior["chain"], "draw": prior["draw"], **coords})
    observed = xr.Dataset({name: ("obs", units.response)}, coords)
    return xr.DataTree.from_dict({"prior": prior, "prior_predictive": responses, "observed_data": observed})
