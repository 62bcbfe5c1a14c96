"""Specification: everything that defines a model, as one value.

Made by the facade from the user's words, used by the model builder, the engines and the predictions. `Priors` holds what is
believed of each parameter, user's words over defaults that come from the design's scales.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bayesglm.data.patterns import Patterns
from bayesglm.data.table import Observations, Roles
from bayesglm.design import Predictor
from bayesglm.errors import PriorError, suggestion
from bayesglm.families.family import Family, Parameter
from bayesglm.priors import Normal, Prior

Array = NDArray[np.float64]

INTERCEPT_SD = 2.5
# The prior sd of a standardised coefficient, and the most that all of them together may add to the linear predictor: on the
# log scale a wide prior means absurd counts, so the sum is bounded; elsewhere it does no harm.
COEFFICIENT_SD = {"log": 1.0, "logit": 1.5, "softmax": 1.5, "probit": 1.0, "cloglog": 1.0, "identity": 2.5}
COEFFICIENT_TOTAL_SD = {"log": 1.0}
GROUP_TOTAL_SD = {"log": 0.75}


@dataclass(frozen=True, slots=True)
class PredictorPriors:
    """Priors of one linear predictor.

    Attributes
    ----------
    intercept : Prior or None
        None without an intercept.
    uncentred : bool
        Whether the intercept's prior is on the intercept where all predictors are 0 (a user's), or at their means (default).
    coef : tuple of Prior
        One for each common coefficient, on its original scale.
    hyper : mapping
        Name of a block's hyperparameter to its prior.
    """

    intercept: Prior | None
    uncentred: bool
    coef: tuple[Prior, ...]
    hyper: Mapping[str, Prior]


@dataclass(frozen=True, slots=True)
class PriorLine:
    """One line of the prior table."""

    name: str
    prior: Prior
    source: Literal["default", "user"]
    reading: str


@dataclass(frozen=True, slots=True)
class Priors:
    """Priors of every parameter.

    Attributes
    ----------
    predictors : mapping
        Parameter name to the priors of its linear predictor.
    constants : mapping
        Parameter name to the prior of a constant parameter.
    lines : tuple of PriorLine
        The same as a table for readers.
    """

    predictors: Mapping[str, PredictorPriors]
    constants: Mapping[str, Prior]
    lines: tuple[PriorLine, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Specification:
    """A model as data.

    Attributes
    ----------
    family : Family
        The response distribution.
    roles : Roles
        Which column plays which part.
    predictors : tuple of Predictor
        One for each parameter with a formula, the mean's first.
    priors : Priors
        What is believed of each parameter.
    exposure_median : float or None
        Median exposure of the fitted rows, when the dispersion scales with it; None when it is constant.
    response_levels : tuple of str
        Levels of a categorical response; empty for numbers.
    """

    family: Family
    roles: Roles
    predictors: tuple[Predictor, ...]
    priors: Priors
    exposure_median: float | None = None
    response_levels: tuple[str, ...] = ()

    def constant(self) -> tuple[Parameter, ...]:
        """Return the parameters without a formula."""
        predicted = {each.parameter for each in self.predictors}
        return tuple(each for each in self.family.parameters if each.name not in predicted)


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """A specification together with the data to learn from.

    Attributes
    ----------
    specification : Specification
        The model.
    observations : Observations
        The response side, row by row.
    patterns : Patterns
        The distinct covariate rows with an index back.
    """

    specification: Specification
    observations: Observations
    patterns: Patterns


def choose_priors(
    family: Family, predictors: Sequence[Predictor], observations: Observations, given: Mapping[str, Prior],
) -> Priors:
    """Choose a prior for every parameter: what the user gave, else a default from the design's scales.

    Parameters
    ----------
    family : Family
        The family, bound to its levels.
    predictors : sequence of Predictor
        The learnt linear predictors.
    observations : Observations
        The response; its mean places the intercept's default.
    given : mapping
        Priors by name (``x``, ``Intercept``, ``sd_service``, ``concentration``) or class (``common``, ``sd``, ``cor``,
        ``rho``), with the predictor's prefix for other parameters than the mean (``zero_x``, ``zero_common``).

    Raises
    ------
    PriorError
        A name that the model does not have, or a prior of the wrong support.
    """
    chooser = _Chooser(dict(given), [], set())
    per_predictor = {each.parameter: chooser.predictor(each, family, observations) for each in predictors}
    constants = {
        each.name: chooser.choose((each.name,), _constant_default(each, observations), each.meaning)
        for each in family.parameters if each.name not in per_predictor and each.prior is not None
    }
    chooser.check_all_used()
    return Priors(per_predictor, constants, tuple(chooser.lines))


def _constant_default(parameter: Parameter, observations: Observations) -> Prior:
    assert parameter.prior is not None  # a constant parameter's contract, not a user's error
    return parameter.prior.scaled(response_sd(observations)) if parameter.scaled_by_response else parameter.prior


@dataclass(slots=True)
class _Chooser:
    """Looks names up in what the user gave and remembers what was used."""

    given: dict[str, Prior]
    lines: list[PriorLine]
    known: set[str]

    def choose(self, keys: tuple[str, ...], default: Prior, reading: str, default_reading: str = "") -> Prior:
        """Return the prior given under the first key that the user used, else the default."""
        self.known.update(keys)
        found = next((key for key in keys if key in self.given), None)
        prior = default if found is None else self.given[found]
        if found is not None and prior.support != default.support:
            raise PriorError(f"{prior} for {keys[0]}", column=keys[0], value=str(prior),
                             rule=f"{keys[0]} is {_SUPPORT[default.support]}, this prior is for {_SUPPORT[prior.support]}",
                             fix=f"Use a prior like {default}.")
        text = default_reading if found is None and default_reading else reading
        self.lines.append(PriorLine(keys[0], prior, "default" if found is None else "user", text))
        return prior

    def predictor(self, predictor: Predictor, family: Family, observations: Observations) -> PredictorPriors:
        parameter, name = family.parameter(predictor.parameter), predictor.name
        unit = response_sd(observations) if predictor.link == "identity" else 1.0
        intercept = None
        if predictor.intercept:
            intercept = self.choose((name("Intercept"),), intercept_default(parameter, predictor, family, observations, unit),
                                    "intercept where all predictors are 0", "intercept at the predictors' means")
        size = unit * coefficient_sd(predictor)
        coef = tuple(
            self.choose((name(coef), name("common")), Normal(0.0, size / (scale or 1.0)), reading)
            for coef, scale, reading in zip(predictor.coef, predictor.scale, predictor.readings, strict=True)
        )
        blocks = predictor.blocks
        shrink = min(1.0, GROUP_TOTAL_SD.get(predictor.link, 1.0) / np.sqrt(max(1, sum(len(b.effects) for b in blocks
                                                                                       if b.role == "group"))))
        hyper = {
            each.name: self.choose(
                (name(each.name), name(each.prior_class)),
                each.prior.scaled(unit * shrink) if each.prior.support == "positive" else each.prior,
                f"{_HYPER.get(each.prior_class, each.prior_class)} of {block.name}",
            )
            for block in blocks for each in block.hyperparameters
        }
        return PredictorPriors(intercept, name("Intercept") in self.given, coef, hyper)

    def check_all_used(self) -> None:
        """Refuse names the model does not have."""
        for name, prior in self.given.items():
            if name not in self.known:
                raise PriorError(f"{prior} for {name!r}", column=name, value=str(prior),
                                 rule="a prior belongs to a parameter or class of the model", fix=suggestion(name, self.known))


_SUPPORT = {"real": "any number", "positive": "positive", "unit": "between 0 and 1", "correlation": "between -1 and 1",
            "correlation_matrix": "a correlation matrix"}
_HYPER = {"sd": "standard deviation", "cor": "correlation", "rho": "autocorrelation"}


def coefficient_sd(predictor: Predictor) -> float:
    """Return the default prior sd of a standardised coefficient."""
    total = COEFFICIENT_TOTAL_SD.get(predictor.link)
    most = np.inf if total is None else total / np.sqrt(max(1, len(predictor.coef)))
    return float(min(COEFFICIENT_SD[predictor.link], most))


def intercept_default(
    parameter: Parameter, predictor: Predictor, family: Family, observations: Observations, unit: float,
) -> Prior:
    """Return Normal(link(mean response / mean exposure), 2.5) for the mean, the family's own elsewhere."""
    if parameter.intercept_prior is not None:
        shift = float(np.log(response_sd(observations))) if parameter.scaled_by_response else 0.0
        return replace(parameter.intercept_prior, mu=parameter.intercept_prior.mu + shift)
    mean = np.array([mean_response(observations, family, parameter)])
    centre = float(parameter.link(predictor.link).forward(mean)[0])
    return Normal(centre, INTERCEPT_SD * unit)


def mean_response(observations: Observations, family: Family, parameter: Parameter) -> float:
    """Return the mean response per unit of exposure or trial, kept inside the support of the link."""
    y, weights = observations.response, observations.weights
    if family.for_levels is not None:
        return 0.0
    total = float((weights * y).sum())
    if observations.trials is not None or family.support.kind == "binary":
        trials = float((weights * (1.0 if observations.trials is None else observations.trials)).sum())
        return (total + 0.5) / (trials + 1.0)
    base = float((weights * (1.0 if observations.exposure is None else observations.exposure)).sum())
    return total / base if family.support.kind == "real" else max(total, 0.5) / base


def response_sd(observations: Observations) -> float:
    """Return the sd of the response (per unit of exposure), 1 where it has none."""
    rows = observations.informative
    y = observations.response[rows] / (1.0 if observations.exposure is None else observations.exposure[rows])
    weights = observations.weights[rows]
    mean = np.average(y, weights=weights)
    return float(np.sqrt(np.average((y - mean) ** 2, weights=weights))) or 1.0


def starting_values(problem: Problem) -> dict[str, float]:
    """Return where sampling may start: intercepts at the link of the mean response, by the name of their variable."""
    specification = problem.specification
    starts = {}
    for each in specification.predictors:
        default = intercept_default(specification.family.parameter(each.parameter), each, specification.family,
                                    problem.observations, 1.0)
        name = each.name("Intercept_centered" if each.coef else "Intercept")
        if each.intercept and isinstance(default, Normal):
            starts[name] = default.mu
    return starts
