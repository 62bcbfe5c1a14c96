"""The likelihood on cells: value and derivatives in the linear predictors and the constant parameters.

Made by `compile_likelihood` from a problem: its cells, and the code that its form needs. The engines read the likelihood here and
nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesglm.families.family import Family
from bayesglm.families.reduction import Rows
from bayesglm.latent.cells import Cells, Kind, cells_of, reduction_as
from bayesglm.latent.graph import Form, Kernel, closed_information, compiled
from bayesglm.specification import Problem, Specification

Array = NDArray[np.float64]

# Expected information without a closed form: of counts, summed over so many blocks, from so many sds below the mean to so many
# above; else of so many drawn responses.
BLOCKS, BELOW, ABOVE = 32, 6.0, 10.0
DRAWS = 32


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

        In closed form where the family declares one; elsewhere the mean square of the score, summed over the counts that a row
        may have, or over drawn responses, the same for the same seed.

        Parameters
        ----------
        eta, constants : array
            As for `value_and_gradient`.
        seed : int
            Of the drawn responses, where some are drawn.
        """
        if closed_information(self.form):
            (found,) = self._call("information", eta, constants)
            return np.asarray(found)
        if self.form.family.support.discrete:
            return _summed_information(self, _plain(eta), _plain(constants))
        return _drawn_information(self, _plain(eta), _plain(constants), seed)

    def apart(self, eta: Array, constants: Array) -> tuple[Array, float]:
        """Return the log likelihood of each cell, shape (cell,), and the part that depends on constants alone.

        Parameters
        ----------
        eta, constants : array
            As for `value_and_gradient`.
        """
        each, rest = self._call("apart", eta, constants)
        return each, float(rest)

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
    >>> (abs(d_eta) < 1e-9).tolist(), d_constants.tolist()
    ([[True, True]], [])
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


def _drawn_information(likelihood: CellLikelihood, eta: Array, constants: Array, seed: int) -> Array:
    """Return n times the mean of score score' over responses drawn for one row of each cell."""
    total, rng = np.zeros((len(eta), *eta.shape)), np.random.default_rng(seed)
    for _ in range(DRAWS):
        _, score, _ = redrawn(likelihood, eta, constants, rng).value_and_gradient(eta, constants)
        total += score[:, None] * score[None, :]
    return total * (likelihood.cells.frequency / DRAWS)


def _summed_information(likelihood: CellLikelihood, eta: Array, constants: Array) -> Array:
    """Return n times the mean of score score' over all counts that a row of each cell may have.

    Where they are many, over blocks of neighbouring counts, each as its middle one says: a few percent of a cell's information,
    and a few in a thousand of a total.
    """
    form, cells = likelihood.form, likelihood.cells
    (values,) = likelihood._call("values", eta, constants)
    numbers = dict(zip((each.name for each in form.family.parameters), values, strict=True))
    given = dict(zip(form.data, likelihood.data, strict=True))
    sizes = {name: given[name] for name in _SIZES if name in given}
    kernel = compiled(replace(form, data=(*sizes, "n", "y", "number"), kind="identical"), "scored")
    ones, nothing = np.ones(cells.size), np.zeros(1)

    def of(y: Array) -> tuple[Array, Array]:
        log_mass, score = kernel(eta, constants, *sizes.values(), ones, y, nothing)
        return np.exp(log_mass), score[:, None] * score[None, :]

    zero, starts = _blocks(form.family, numbers, cells.trials)
    square, mass = np.zeros((len(eta), *eta.shape)), np.zeros(cells.size)
    for start, end in pairwise(starts):
        probability, each = of(np.floor(0.5 * (start + np.maximum(end - 1.0, start))))
        weight = probability * (end - start)
        square += np.where(weight > 0.0, weight * each, 0.0)
        mass += weight
    square *= (1.0 - zero) / np.maximum(mass, np.finfo(np.float64).tiny)
    if np.any(zero > 0.0):
        square += zero * of(np.zeros(cells.size))[1]
    return square * cells.frequency


def _blocks(family: Family, numbers: dict[str, Array], trials: Array | None) -> tuple[Array, Array]:
    """Return P(0), and the first counts of blocks that hold nearly all the others, shape (block + 1, cell).

    The blocks are single counts where so many suffice, and from the lower end on wider and wider ones elsewhere.
    """
    support = family.support
    zero = np.zeros(1) if family.zero is None or support.lower > 0.0 else family.zero(numbers, trials)
    some = np.maximum(1.0 - zero, 1e-12)
    mean, variance = (each(numbers, trials) for each in (family.mean, family.variance))
    # Mean and sd of the counts above 0.
    sd = np.sqrt(np.maximum((variance + mean**2) / some - (mean / some) ** 2, 0.0))
    mean, least = mean / some, max(support.lower, 1.0)
    most = np.full(mean.shape, support.upper) if trials is None else trials
    low = np.minimum(np.maximum(np.floor(mean - BELOW * sd), least), most)
    width = np.minimum(np.ceil(mean + ABOVE * sd) + ABOVE, most) + 1.0 - low
    j = np.arange(BLOCKS + 1.0)[:, None]
    return zero, low + np.maximum(np.floor(width * (j / BLOCKS) ** 2), np.minimum(j, width))


_SIZES = ("exposure", "log_exposure", "relative", "log_relative", "trials")
