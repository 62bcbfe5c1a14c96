"""Pointwise log likelihood: one number for each distinct row and draw, from the family's own PyMC density.

Identical rows share a cell, so a table of millions costs what its cells cost; `PointwiseLikelihood` knows how to expand.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import xarray as xr
from numpy.typing import NDArray
from scipy.special import logsumexp

from bayesglm.families.family import Family
from bayesglm.families.links import LINKS
from bayesglm.families.values import Values
from bayesglm.fitted import Fitted
from bayesglm.model import cell_of_rows, likelihood_units
from bayesglm.rows import chunks, linear_predictor, parameters, rows_of_units, states, thin

if TYPE_CHECKING:
    from arviz_stats.utils import ELPDData

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class PointwiseLikelihood:
    """Log likelihood of each cell.

    Attributes
    ----------
    values : array, shape (sample, cell)
        log p(y_cell | draw).
    frequency : array, shape (cell,)
        How many rows are identical to the cell.
    cell : int array, shape (obs,)
        The cell of each row of the likelihood, repeated rows included.
    """

    values: Array
    frequency: Array
    cell: NDArray[np.intp]


def log_likelihood(fitted: Fitted) -> PointwiseLikelihood:
    """Evaluate the log likelihood of every distinct row at every draw.

    Parameters
    ----------
    fitted : Fitted
        A fit with its data.
    """
    problem = fitted.data()
    units = likelihood_units(problem, "cell")
    cells = rows_of_units(fitted, problem, units)
    which = thin(fitted, None)
    rng = np.random.default_rng(0)  # nothing is drawn: the fit's own rows have no new level
    held = {each.parameter: states(fitted, each, coded, which, "conditional", rng)
            for each, coded in zip(fitted.specification.predictors, cells.coded, strict=True)}
    density = _compile(fitted.specification.family, {p.parameter: p.link for p in fitted.specification.predictors})
    values = np.empty((len(which), len(units.response)))
    for take in chunks(len(units.response), len(which)):
        etas = {each.parameter: linear_predictor(held[each.parameter], coded, cells.patterns.index[take])[0]
                for each, coded in zip(fitted.specification.predictors, cells.coded, strict=True)}
        numbers = parameters(fitted, cells, etas, take, which)
        trials = np.ones((1, len(take))) if units.trials is None else units.trials[None, take]
        full = [np.ascontiguousarray(np.broadcast_to(each, (len(which), len(take)))) for each in numbers.values()]
        values[:, take] = density(units.response[None, take], trials, *full, *etas.values())
    return PointwiseLikelihood(values, units.frequency, cell_of_rows(problem))


def _compile(family: Family, links: dict[str, str]) -> Any:
    """Compile the family's log density on matrices (sample, cell); data are arguments, so the cache serves every table."""
    response, trials = pt.row("response"), pt.row("trials")
    value = {each.name: pt.matrix(each.name) for each in family.parameters}
    eta = {name: pt.matrix(f"eta_{name}") for name in links}
    distribution = family.likelihood(Values(value, eta, {name: LINKS[link] for name, link in links.items()}, trials))
    total = pm.logp(distribution, response + pt.zeros_like(next(iter(value.values()))))
    return pytensor.function([response, trials, *value.values(), *eta.values()], total, on_unused_input="ignore")


def to_dataset(fitted: Fitted, pointwise: PointwiseLikelihood, *, expanded: bool) -> xr.Dataset:
    """Return the log likelihood for ArviZ, dims chain, draw and obs (expanded) or cell.

    Parameters
    ----------
    fitted : Fitted
        The fit.
    pointwise : PointwiseLikelihood
        Its log likelihood.
    expanded : bool
        One entry for each row, or one for each distinct row with its frequency.
    """
    values = pointwise.values[:, pointwise.cell] if expanded else pointwise.values
    dim = "obs" if expanded else "cell"
    label = likelihood_units(fitted.data(), "obs" if expanded else "cell").label
    coords: dict[str, Any] = {"chain": np.arange(fitted.shape[0]), "draw": np.arange(fitted.shape[1]), dim: label}
    if not expanded:
        coords["frequency"] = (dim, pointwise.frequency)
    name = fitted.specification.roles.response
    return xr.Dataset({name: (("chain", "draw", dim), values.reshape(*fitted.shape, -1))}, coords)


def loo(fitted: Fitted) -> ELPDData:
    """Return PSIS-LOO over rows, computed on distinct rows: identical rows have identical leave-one-out densities.

    Parameters
    ----------
    fitted : Fitted
        A fit with its data.

    Returns
    -------
    arviz_stats.utils.ELPDData
        What ``az.loo`` gives on the expanded table, pointwise over the rows of the likelihood.
    """
    import arviz_stats

    pointwise = log_likelihood(fitted)
    tree = xr.DataTree.from_dict({"posterior": fitted.draws["posterior"].to_dataset(),
                                  "log_likelihood": to_dataset(fitted, pointwise, expanded=False).drop_vars("frequency")})
    with warnings.catch_warnings():  # a large Pareto k is told by the value itself: ``warning`` and ``pareto_k``
        warnings.simplefilter("ignore", UserWarning)
        cells = arviz_stats.loo(tree, pointwise=True)
    rows = pointwise.cell
    elpd = np.asarray(cells.elpd_i)[rows]
    lppd = (logsumexp(pointwise.values, axis=0) - np.log(len(pointwise.values)))[rows]
    label = likelihood_units(fitted.data(), "obs").label
    cells.elpd, cells.se, cells.p = float(elpd.sum()), float(np.sqrt(len(elpd) * elpd.var(ddof=1))), float((lppd - elpd).sum())
    cells.n_data_points = len(elpd)
    cells.elpd_i = xr.DataArray(elpd, {"obs": label}, ("obs",))
    cells.pareto_k = xr.DataArray(np.asarray(cells.pareto_k)[rows], {"obs": label}, ("obs",))
    cells.warning = bool((np.asarray(cells.pareto_k) > cells.good_k).any())
    return cells
