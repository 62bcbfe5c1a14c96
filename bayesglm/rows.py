"""Rows to predict: tables coded for a fitted model, and the parameters of the family for each of them, draw by draw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bayesglm.data.patterns import Patterns
from bayesglm.design import CodedPredictor, Predictor
from bayesglm.families.links import LINKS
from bayesglm.fitted import Fitted
from bayesglm.model import Likelihood
from bayesglm.specification import Problem
from bayesglm.terms.term import Basis, Block

Array = NDArray[np.float64]
Groups = Literal["conditional", "population", "typical"]
CHUNK_NUMBERS = 2**22  # draws times rows held at once
CHUNK_ROWS = 64  # chunks are whole multiples of this many rows, each of which has random numbers of its own


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows coded for a fitted model.

    Attributes
    ----------
    patterns : Patterns
        Distinct covariate patterns with an index back to the rows.
    coded : tuple of CodedPredictor
        One for each predictor, over patterns.
    exposure : array, shape (obs,) or (sample, obs), optional
        Exposure; with draws in front when it is uncertain.
    trials : array, shape (obs,), optional
        Trials.
    labels : mapping
        Columns that name the rows.
    findings : tuple of str
        What new rows hold that the fit has not seen: values outside its range, levels, another scale of exposure.
    """

    patterns: Patterns
    coded: tuple[CodedPredictor, ...]
    exposure: Array | None
    trials: Array | None
    labels: Mapping[str, NDArray[Any]]
    findings: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Number of rows."""
        return len(self.patterns.index)

    @property
    def new_level(self) -> NDArray[np.bool_]:
        """Whether a row has a group level, or a time, that the fit has not seen."""
        new = np.zeros(self.patterns.table.rows, bool)
        for coded in self.coded:
            for basis in coded.bases:
                new |= basis.new
        return np.asarray(new[self.patterns.index])


def rows_of(fitted: Fitted, problem: Problem) -> Rows:
    """Return the rows of a problem, coded for the fitted model."""
    data = problem.observations
    return code_rows(fitted, problem.patterns, data.exposure, data.trials, data.labels)


def rows_of_units(fitted: Fitted, problem: Problem, units: Likelihood) -> Rows:
    """Return the units of a likelihood, rows or cells, coded for the fitted model."""
    coded = tuple(each.code(problem.patterns.table) for each in fitted.specification.predictors)
    return Rows(replace(problem.patterns, index=units.pattern), coded, units.exposure, units.trials, {})


def code_rows(
    fitted: Fitted, patterns: Patterns, exposure: Array | None, trials: Array | None, labels: Mapping[str, NDArray[Any]],
) -> Rows:
    """Code patterns for a fitted model; rows are labelled by their predictors and what else names them."""
    predictors = {name: column.labels()[patterns.index] for name, column in patterns.table.columns.items()}
    coded = tuple(each.code(patterns.table) for each in fitted.specification.predictors)
    return Rows(patterns, coded, exposure, trials, {**predictors, **labels})


@dataclass(frozen=True, slots=True, eq=False)
class States:
    """Draws of the coefficients and block states of one predictor, thinned and extended to the levels of the rows.

    Attributes
    ----------
    intercept : array, shape (sample,)
        Zeros without an intercept.
    beta : array, shape (sample, coef)
        Common coefficients.
    blocks : tuple of array or None, each of shape (sample, level, effect)
        None for a group that is integrated over or set to 0.
    covariances : tuple of array or None, each of shape (sample, effect, effect)
        Of the groups that are integrated over.
    """

    intercept: Array
    beta: Array
    blocks: tuple[Array | None, ...]
    covariances: tuple[Array | None, ...]


def thin(fitted: Fitted, samples: int | None) -> NDArray[np.intp]:
    """Return which draws to use: all, or ``samples`` of them evenly spread."""
    total = int(np.prod(fitted.shape))
    if samples is None or samples >= total:
        return np.arange(total)
    return np.linspace(0, total - 1, samples).round().astype(np.intp)


def states(
    fitted: Fitted, predictor: Predictor, coded: CodedPredictor, which: NDArray[np.intp], groups: Groups,
    rng: np.random.Generator, *, fresh: bool = False,
) -> States:
    """Collect the draws of a predictor's states.

    Parameters
    ----------
    fitted : Fitted
        The posterior.
    predictor, coded : Predictor, CodedPredictor
        The linear predictor and its coding of the rows.
    which : int array
        Draws to use.
    groups : {"conditional", "population", "typical"}
        Known group effects, integrated over their distribution, or set to 0.
    rng : numpy.random.Generator
        For levels that the fit has not seen; each block draws from a child of it.
    fresh : bool
        With "population": draw new effects for every level instead of integrating, for predictive draws.
    """
    zero = np.zeros(len(which))
    intercept = fitted.stacked(predictor.name("Intercept"))[which] if predictor.intercept else zero
    beta = fitted.stacked(predictor.name("beta"))[which] if predictor.coef else np.zeros((len(which), 0))
    blocks, covariances = [], []
    for block, basis, own in zip(predictor.blocks, coded.bases, rng.spawn(len(predictor.blocks)), strict=True):
        theta = {each.key: fitted.stacked(predictor.name(each.name))[which] for each in block.hyperparameters}
        is_group = block.role == "group"
        if is_group and groups == "typical":
            x, covariance = None, None
        elif is_group and groups == "population" and not fresh:
            assert block.covariance is not None  # the contract of a group block
            x, covariance = None, block.covariance(theta)
        else:
            x = _extended(fitted, predictor, block, basis, theta, which, own, redraw=is_group and groups == "population")
            covariance = None
        blocks.append(x)
        covariances.append(covariance)
    return States(intercept, beta, tuple(blocks), tuple(covariances))


def _extended(
    fitted: Fitted, predictor: Predictor, block: Block, basis: Basis, theta: Mapping[str, Array], which: NDArray[np.intp],
    rng: np.random.Generator, *, redraw: bool,
) -> Array:
    x = fitted.stacked(predictor.name(f"effect_{block.name}"))[which]
    if redraw:
        return block.extend(rng, x, theta, (*block.levels, *basis.added))
    if not basis.added:
        return x
    return np.concatenate([x, block.extend(rng, x, theta, basis.added)], axis=1)


def linear_predictor(state: States, coded: CodedPredictor, take: NDArray[np.intp]) -> tuple[Array, Array]:
    """Return eta and the variance that integrated groups add to it, both of shape (sample, pattern), at some patterns."""
    eta = state.intercept[:, None] + coded.offset[take] + state.beta @ coded.common[take].T
    variance = np.zeros_like(eta)
    for x, covariance, basis in zip(state.blocks, state.covariances, coded.bases, strict=True):
        values = basis.values[take]
        if x is not None:
            eta += np.einsum("nq,snq->sn", values, x[:, basis.index[take], :])
        elif covariance is not None:
            variance += np.einsum("nq,sqr,nr->sn", values, covariance, values, optimize=True)
    return eta, variance


def parameters(
    fitted: Fitted, rows: Rows, etas: Mapping[str, Array], take: NDArray[np.intp], which: NDArray[np.intp], *,
    exposed: bool = True,
) -> dict[str, Array]:
    """Return every parameter of the family on its natural scale, shape (sample, obs) or (sample, 1) for constants.

    Parameters
    ----------
    fitted, rows : Fitted, Rows
        The posterior and the coded rows.
    etas : mapping
        Parameter to its linear predictor at the rows ``take``.
    take : int array
        Rows.
    which : int array
        Draws.
    exposed : bool
        Whether exposure is multiplied in.
    """
    specification = fitted.specification
    links = {each.parameter: LINKS[each.link] for each in specification.predictors}
    exposure = None if rows.exposure is None else rows.exposure[..., take]
    if exposure is not None:  # a row without exposure records nothing; `predict` says 0 for it, whatever stands here
        exposure = np.where(exposure > 0, exposure, 1.0)
    values = {}
    for parameter in specification.family.parameters:
        name = parameter.name
        value = links[name].inverse(etas[name]) if name in etas else fitted.stacked(name)[which][:, None]
        if exposed and parameter.exposed and exposure is not None:
            value = value * exposure
        if parameter.scales_with_exposure and specification.exposure_median is not None and exposure is not None:
            value = value * exposure / specification.exposure_median
        values[name] = value
    return values


def chunks(size: int, samples: int) -> Iterator[NDArray[np.intp]]:
    """Yield row numbers in pieces of whole multiples of ``CHUNK_ROWS`` rows.

    Examples
    --------
    >>> [len(piece) for piece in chunks(300, 2**15)]
    [128, 128, 44]
    """
    step = CHUNK_ROWS * max(1, CHUNK_NUMBERS // max(samples, 1) // CHUNK_ROWS)
    for begin in range(0, size, step):
        yield np.arange(begin, min(begin + step, size))
