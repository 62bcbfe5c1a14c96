"""The PyMC model: a specification and its data, written as a ``pm.Model`` with named dims.

This is the definition of the model and the only place where one is assembled. Two forms with the same density: over ``obs``,
the original rows (what users get), and over ``cell``, identical rows once with their frequency (what the engines run).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray
from pytensor.tensor.variable import TensorVariable

from bayesglm.data.patterns import distinct
from bayesglm.design import CodedPredictor, Predictor
from bayesglm.families.links import LINKS
from bayesglm.families.values import Exposure, Values, unit_values
from bayesglm.priors import LKJ, Prior
from bayesglm.specification import PredictorPriors, Problem, Specification
from bayesglm.terms.term import Basis, Block

Array = NDArray[np.float64]
Over = Literal["obs", "cell"]


@dataclass(frozen=True, slots=True, eq=False)
class Likelihood:
    """The units that the likelihood runs over.

    Attributes
    ----------
    dim : str
        ``obs`` (each row, repeated by its weight) or ``cell`` (each distinct row once).
    label : array, shape (unit,)
        Coordinates: the row's position, repeated rows included, or the cell's number.
    pattern : int array, shape (unit,)
        The covariate pattern of each unit.
    response, frequency : array, shape (unit,)
        Response, and how many identical rows the unit stands for.
    exposure, trials : array, shape (unit,), optional
        Exposure (always above 0 here) and trials.
    """

    dim: Over
    label: NDArray[np.int64]
    pattern: NDArray[np.intp]
    response: Array
    frequency: Array
    exposure: Array | None
    trials: Array | None


def likelihood_units(problem: Problem, over: Over) -> Likelihood:
    """Return the units of the likelihood: rows with exposure 0 add nothing and are left out."""
    data = problem.observations
    rows = np.flatnonzero(data.informative)
    frequency = data.weights[rows]
    if over == "obs":
        rows = np.repeat(rows, frequency.astype(np.intp))
        label, frequency = np.arange(len(rows)) if (data.weights != 1).any() else rows, np.ones(len(rows))
    else:
        first, index = _distinct_rows(problem, rows)
        frequency = np.bincount(index, frequency, minlength=len(first))
        rows, label = rows[first], np.arange(len(first))
    return Likelihood(
        over, label.astype(np.int64), problem.patterns.index[rows], data.response[rows], frequency,
        None if data.exposure is None else data.exposure[rows], None if data.trials is None else data.trials[rows],
    )


def cell_of_rows(problem: Problem) -> NDArray[np.intp]:
    """Return the cell of each row of the ``obs`` form, in its order."""
    rows = np.flatnonzero(problem.observations.informative)
    return np.repeat(_distinct_rows(problem, rows)[1], problem.observations.weights[rows].astype(np.intp))


def _distinct_rows(problem: Problem, rows: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the first of each set of identical rows, and the set of each row."""
    data = problem.observations
    keys = [problem.patterns.index[rows], data.response[rows]]
    keys += [each[rows] for each in (data.exposure, data.trials) if each is not None]
    return distinct(keys, len(rows))


def build(problem: Problem, *, over: Over = "obs") -> pm.Model:
    """Write the ``pm.Model`` of a problem.

    Parameters
    ----------
    problem : Problem
        Specification and data.
    over : {"obs", "cell"}
        Whether the response has one entry for each row, or for each distinct row with a frequency.

    Returns
    -------
    pm.Model
        With dims ``obs`` or ``cell``, ``pattern``, ``coef`` and those of the blocks.
    """
    units = likelihood_units(problem, over)
    specification = problem.specification
    with pm.Model(coords={over: units.label, "pattern": np.arange(problem.patterns.table.rows)}) as model:
        index = pm.Data("pattern_index", units.pattern.astype(np.float64), dims=over).astype("int64")
        exposure = None if units.exposure is None else pm.Data("exposure_data", units.exposure, dims=over)
        trials = None if units.trials is None else pm.Data("trials_data", units.trials, dims=over)
        etas = {
            each.parameter: _linear_predictor(each, each.code(problem.patterns.table),
                                              specification.priors.predictors[each.parameter])
            for each in specification.predictors
        }
        values = _values(specification, etas, index, exposure, trials)
        _observe(specification, units, values)
    return model


def _observe(specification: Specification, units: Likelihood, values: Values) -> None:
    """Attach the data: an observed variable over rows, or the frequency-weighted log density over cells."""
    model = pm.modelcontext(None)
    distribution = specification.family.likelihood(values)
    name = specification.roles.response
    observed = pm.Data(f"{name}_data", units.response, dims=units.dim)
    if units.dim == "obs":
        model.register_rv(distribution, name, observed=observed, dims=(units.dim,))
        return
    frequency = pm.Data("frequency_data", units.frequency, dims=units.dim)
    pm.Potential("likelihood", (frequency * pm.logp(distribution, observed)).sum())


def _values(
    specification: Specification, etas: Mapping[str, TensorVariable], index: TensorVariable,
    exposure: TensorVariable | None, trials: TensorVariable | None,
) -> Values:
    """Parameters on their natural scale, one for each unit; the inverse link is taken once for each pattern."""
    links = {each.parameter: LINKS[each.link] for each in specification.predictors}
    inverse = {name: links[name].tensor(eta)[index] for name, eta in etas.items()}
    constants = {each.name: specification.priors.constants[each.name].scalar(each.name) for each in specification.constant()}
    multiplier = None
    if exposure is not None:
        median = specification.exposure_median
        relative = None if median is None else exposure / np.float64(median)
        multiplier = Exposure(exposure, pt.log(exposure), relative, None if relative is None else pt.log(relative))
    return unit_values(
        specification.family, links, inverse, {name: eta[index] for name, eta in etas.items()}, constants, multiplier, trials,
    )


def _linear_predictor(predictor: Predictor, coded: CodedPredictor, priors: PredictorPriors) -> TensorVariable:
    """Linear predictor over patterns: offset + Intercept + X beta + sum of blocks."""
    eta = pm.Data(predictor.name("offset"), coded.offset, dims="pattern") if predictor.offsets else np.float64(0.0)
    shift = np.float64(0.0)
    if predictor.coef:
        beta = _coefficients(predictor, priors)
        design = pm.Data(predictor.name("X"), coded.common, dims=("pattern", predictor.name("coef")))
        eta = eta + design @ beta
        shift = pm.Data(predictor.name("centre"), predictor.centre, dims=predictor.name("coef")) @ beta
    if predictor.intercept:
        eta = eta + _intercept(predictor, priors, shift)
    for block, basis in zip(predictor.blocks, coded.bases, strict=True):
        eta = eta + _block(block, basis, predictor, priors.hyper)
    return pt.as_tensor(eta) + pt.zeros(coded.offset.shape)


def _intercept(predictor: Predictor, priors: PredictorPriors, shift: TensorVariable) -> TensorVariable:
    """Intercept at the predictors' means, sampled; ``Intercept`` where they are 0, reported.

    A user's prior stands on the latter: Intercept ~ prior is the same as Intercept_centered - shift ~ prior.
    """
    assert priors.intercept is not None
    name = predictor.name("Intercept")
    if not predictor.coef:
        return priors.intercept.scalar(name)
    centred = f"{name}_centered"
    at_means = priors.intercept.shifted(centred, shift) if priors.uncentred else priors.intercept.scalar(centred)
    return pm.Deterministic(name, at_means - shift)


def _coefficients(predictor: Predictor, priors: PredictorPriors) -> TensorVariable:
    """Coefficients on the scale of standardised columns, sampled; ``beta`` on the original scale, reported.

    Coefficients are gathered by the kind of their prior, one vector variable each.
    """
    model = pm.modelcontext(None)
    dim, name = predictor.name("coef"), predictor.name("beta")
    model.add_coord(dim, list(predictor.coef))
    parts = coefficient_parts(predictor, priors)
    variables: list[TensorVariable] = []
    for part in parts:
        if part.dim != dim:
            model.add_coord(part.dim, [predictor.coef[j] for j in part.members])
        variables.append(type(part.priors[0]).vector(part.name, part.priors, (part.dim,)))
    order = np.argsort(np.concatenate([np.array(part.members) for part in parts]))
    scaled = variables[0] if len(parts) == 1 else pt.concatenate(variables)[order]
    return pm.Deterministic(name, scaled / pm.Data(predictor.name("scale"), column_scale(predictor), dims=dim), dims=dim)


@dataclass(frozen=True, slots=True)
class CoefficientPart:
    """Coefficients whose priors are of one kind: one vector variable of the model.

    Attributes
    ----------
    name, dim : str
        Name of the variable, on the scale of standardised columns, and its dim.
    members : tuple of int
        Which coefficients of the predictor.
    priors : tuple of Prior
        Their priors on that scale.
    """

    name: str
    dim: str
    members: tuple[int, ...]
    priors: tuple[Prior, ...]


def column_scale(predictor: Predictor) -> Array:
    """Return the sd by which each common column is divided, 1 for a column without spread."""
    return np.where(predictor.scale > 0, predictor.scale, 1.0)


def coefficient_parts(predictor: Predictor, priors: PredictorPriors) -> tuple[CoefficientPart, ...]:
    """Gather a predictor's coefficients by the kind of their prior."""
    scale, by_kind = column_scale(predictor), dict[object, list[int]]()
    for j, prior in enumerate(priors.coef):
        by_kind.setdefault(prior if prior.joint else type(prior), []).append(j)
    parts = []
    for number, members in enumerate(by_kind.values()):
        suffix = "" if len(by_kind) == 1 else f"_{number}"
        chosen = tuple(priors.coef[j] if priors.coef[j].joint else priors.coef[j].scaled(float(scale[j])) for j in members)
        parts.append(CoefficientPart(predictor.name("beta") + f"_scaled{suffix}", predictor.name("coef") + suffix,
                                     tuple(members), chosen))
    return tuple(parts)


def _block(block: Block, basis: Basis, predictor: Predictor, priors: Mapping[str, tuple[Prior, ...]]) -> TensorVariable:
    """One block's part of eta: sum_q values[i, q] x[index[i], q] with x = Lambda(theta) z."""
    model, name = pm.modelcontext(None), predictor.name(block.name)
    levels, effects = block_dims(block, predictor)
    model.add_coord(levels, list(block.levels))
    model.add_coord(effects, list(block.effects))
    theta = _theta(block, predictor, priors)
    rows = levels if block.innovations[0] == len(block.levels) else f"{name}_innovation"
    if rows != levels:
        model.add_coord(rows, np.arange(block.innovations[0]))
    z = pm.Normal(predictor.name(f"z_{block.name}"), dims=(rows, effects))
    x = pm.Deterministic(predictor.name(f"effect_{block.name}"), block.state(z, theta), dims=(levels, effects))
    values = pm.Data(f"{name}_values", basis.values, dims=("pattern", effects))
    if len(block.levels) == 1:
        return values @ x[0]
    index = pm.Data(f"{name}_index", basis.index.astype(np.float64), dims="pattern").astype("int64")
    return (values * x[index]).sum(axis=1)


def block_dims(block: Block, predictor: Predictor) -> tuple[str, str]:
    """Return the dims of a block's state; the levels of a group are shared between predictors."""
    return block.level_dim if block.role == "group" else predictor.name(block.level_dim), predictor.name(block.effect_dim)


def _theta(block: Block, predictor: Predictor, priors: Mapping[str, tuple[Prior, ...]]) -> dict[str, TensorVariable]:
    """Write a block's hyperparameters; with a correlation, also the Cholesky factor of the covariance."""
    model, theta = pm.modelcontext(None), {}
    _, effects = block_dims(block, predictor)
    by_key = {each.key: each for each in block.hyperparameters}
    cor = by_key.pop("cor", None)
    for key, each in by_key.items():
        chosen, name = priors[each.name], predictor.name(each.name)
        theta[key] = type(chosen[0]).vector(name, chosen, (effects,)) if each.labels else chosen[0].scalar(name)
    if cor is not None:
        (prior,) = priors[cor.name]
        assert isinstance(prior, LKJ)
        factor = prior.factor(predictor.name(f"partial_{block.name}"), len(cor.labels))
        model.add_coord(f"{effects}_other", list(cor.labels))
        theta["cor"] = pm.Deterministic(predictor.name(cor.name), factor @ factor.T, dims=(effects, f"{effects}_other"))
        theta["cholesky"] = theta["sd"][:, None] * factor
    return theta
