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
from bayesglm.data.source import Source
from bayesglm.data.table import Observations, Roles
from bayesglm.design import Predictor
from bayesglm.errors import OptionError, PriorError, suggestion
from bayesglm.families.family import Family, Parameter
from bayesglm.priors import Normal, Prior
from bayesglm.terms.term import Block, Hyperparameter

Array = NDArray[np.float64]

INTERCEPT_SD = 2.5
# The prior sd of a coefficient per spread of its column, and the most that all of them together may add to the linear
# predictor's sd, likewise for groups, and for seasons, splines and walks: on the log scale a wide prior means absurd counts,
# so the sums are bounded; elsewhere they do no harm.
COEFFICIENT_SD = {"log": 1.0, "logit": 1.5, "softmax": 1.5, "probit": 1.0, "cloglog": 1.0, "identity": 2.5}
COEFFICIENT_TOTAL_SD = {"log": 0.9}
GROUP_TOTAL_SD = {"log": 0.75}
CURVE_TOTAL_SD = {"log": 0.75}


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
        Name of a block's hyperparameter to its priors: one for each label of a standard deviation, else one.
    unit : float
        What the predictor is measured in: the sd of the response for the identity link, else 1.
    """

    intercept: Prior | None
    uncentred: bool
    coef: tuple[Prior, ...]
    hyper: Mapping[str, tuple[Prior, ...]]
    unit: float


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

    def reported(self) -> dict[str, bool]:
        """Return the variables that users read, each with whether it is the state of a block (effects, a curve), no parameter."""
        found: dict[str, bool] = {}
        for predictor in self.predictors:
            found |= {predictor.name("Intercept"): False} if predictor.intercept else {}
            found |= {predictor.name("beta"): False} if predictor.coef else {}
            for block in predictor.blocks:
                found |= {predictor.name(each.name): False for each in block.hyperparameters}
                found[predictor.name(f"effect_{block.name}")] = True
        return found | {each.name: False for each in self.constant()}

    def cautions(self) -> tuple[str, ...]:
        """Return what to know of the priors of coefficients before draws are read, each once."""
        found = (prior.caution for each in self.priors.predictors.values() for prior in each.coef)
        return tuple(dict.fromkeys(filter(None, found)))


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
    source : Source, optional
        Where all rows are read in pieces; observations and patterns are then a sample of them.
    """

    specification: Specification
    observations: Observations
    patterns: Patterns
    source: Source | None = None


def choose_priors(
    family: Family, predictors: Sequence[Predictor], observations: Observations, patterns: Patterns, given: Mapping[str, Prior],
    exposure_median: float | None = None,
) -> Priors:
    """Choose a prior for every parameter: what the user gave, else a default from the design's scales.

    What the user gave is taken as it is, except for a prior over all coefficients together (horseshoe, R2D2) under an identity
    link: it is about coefficients per sd of their columns, and is multiplied by the response's sd as the defaults are.

    Parameters
    ----------
    family : Family
        The family, bound to its levels.
    predictors : sequence of Predictor
        The learnt linear predictors.
    observations : Observations
        The response; its mean places the intercept's default.
    patterns : Patterns
        The covariates; the offsets' mean is taken out of the intercept's default.
    given : mapping
        Priors by name (``x``, ``Intercept``, ``sd_service``, ``concentration``) or class (``common``, ``sd``, ``cor``,
        ``rho``), with the predictor's prefix for other parameters than the mean (``zero_x``, ``zero_common``).
    exposure_median : float, optional
        The exposure that the prior of a dispersion is for, where the dispersion scales with it.

    Raises
    ------
    PriorError
        A name that the model does not have, or a prior of the wrong support.
    """
    chooser = _Chooser(dict(given), [], set(), exposure_median)
    per_predictor = {each.parameter: chooser.predictor(each, family, observations, patterns) for each in predictors}
    constants = {
        each.name: chooser.choose((each.name,), _constant_default(each, observations),
                                  each.meaning + chooser.at_exposure(each))
        for each in family.parameters if each.name not in per_predictor and each.prior is not None
    }
    chooser.check_all_used()
    return Priors(per_predictor, constants, tuple(chooser.lines))


def _constant_default(parameter: Parameter, observations: Observations) -> Prior:
    assert parameter.prior is not None  # a constant parameter's contract, not a user's error
    sd = response_sd(observations, per_exposure=parameter.exposed)
    return parameter.prior.scaled(sd) if parameter.scaled_by_response else parameter.prior


@dataclass(frozen=True, slots=True)
class Joint:
    """What a prior over all coefficients of a predictor is about.

    Attributes
    ----------
    unit : float
        What it is multiplied by.
    scaled : bool
        Whether that is the response's sd, as under an identity link.
    """

    unit: float
    scaled: bool

    @property
    def reading(self) -> str:
        """What it is about, in words."""
        per = "coefficients per sd of their columns"
        return f"{per}, scaled by the response's sd ({self.unit:.4g})" if self.scaled else per


@dataclass(slots=True)
class _Chooser:
    """Looks names up in what the user gave and remembers what was used."""

    given: dict[str, Prior]
    lines: list[PriorLine]
    known: set[str]
    exposure_median: float | None

    def at_exposure(self, parameter: Parameter) -> str:
        """Return what the reading of a parameter that scales with exposure adds."""
        if self.exposure_median is None or not parameter.scales_with_exposure:
            return ""
        return f", at the median exposure ({self.exposure_median:,.10g})"

    def choose(
        self, keys: tuple[str, ...], default: Prior, reading: str, default_reading: str = "", *, joint: Joint | None = None,
    ) -> Prior:
        """Return the prior given under the first key that the user used, else the default; only coefficients take joint ones."""
        self.known.update(keys)
        found = next((key for key in keys if key in self.given), None)
        prior = default if found is None else self.given[found]
        if found is not None and prior.support != default.support:
            raise PriorError(f"{prior} for {found}", column=found, value=str(prior),
                             rule=f"{keys[0]} is {_SUPPORT[default.support]}, this prior is for {_SUPPORT[prior.support]}",
                             fix=f"Use a prior like {default}.")
        if prior.joint and joint is None:
            raise PriorError(f"{prior} for {keys[0]}", column=keys[0], value=str(prior), fix=f"Use a prior like {default}.",
                             rule="this prior ties the common coefficients together and is for them alone")
        text = default_reading if found is None and default_reading else reading
        if prior.joint and joint is not None:
            prior, text = prior.scaled(joint.unit), joint.reading
        self.lines.append(PriorLine(keys[0], prior, "default" if found is None else "user", text))
        return prior

    def predictor(
        self, predictor: Predictor, family: Family, observations: Observations, patterns: Patterns,
    ) -> PredictorPriors:
        parameter, name = family.parameter(predictor.parameter), predictor.name
        unit = response_sd(observations, per_exposure=parameter.exposed) if predictor.link == "identity" else 1.0
        intercept = None
        if predictor.intercept:
            default = intercept_default(parameter, predictor, family, observations, patterns, unit)
            at = self.at_exposure(parameter)
            intercept = self.choose((name("Intercept"),), default, f"intercept where all predictors are 0{at}",
                                    f"intercept at the predictors' means{at}")
        joint = Joint(unit, scaled=predictor.link == "identity")
        size = unit * coefficient_sd(predictor)
        coef = tuple(
            self.choose((name(coef), name("common")), Normal(0.0, size / spread), reading, joint=joint)
            for coef, spread, reading in zip(predictor.coef, predictor.spread, predictor.readings, strict=True)
        )
        shrink = block_sd(predictor)
        hyper = {each.name: self.hyper(each, block, predictor, unit * shrink[block.role == "group"])
                 for block in predictor.blocks for each in block.hyperparameters}
        return PredictorPriors(intercept, name("Intercept") in self.given, coef, hyper, unit)

    def hyper(self, each: Hyperparameter, block: Block, predictor: Predictor, size: float) -> tuple[Prior, ...]:
        """Return the priors of a hyperparameter; a standard deviation has one for each of its effects."""
        own, of = predictor.name(each.name), f"{_HYPER.get(each.prior_class, each.prior_class)} of {block.name}"
        keys = (own, predictor.name(each.prior_class))
        if each.prior.support != "positive":
            return (self.choose(keys, each.prior, of),)
        if not each.labels:
            return (self.choose(keys, each.scaled(size)[0], of),)
        return tuple(self.choose((f"{own}[{label}]", *keys), default, f"{of}, {label}")
                     for label, default in zip(each.labels, each.scaled(size), strict=True))

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
    """Return the default prior sd of a coefficient per spread of its column."""
    return min(COEFFICIENT_SD[predictor.link], _each(COEFFICIENT_TOTAL_SD, predictor, float(predictor.share.sum())))


def block_sd(predictor: Predictor) -> dict[bool, float]:
    """Return the scale of the default priors of standard deviations: of groups (True), and of curves and walks (False)."""
    shares = {True: 0.0, False: 0.0}
    for block in predictor.blocks:
        for each in block.hyperparameters:
            if each.prior.support == "positive":
                shares[block.role == "group"] += sum(each.shares) if each.shares else float(max(1, len(each.labels)))
    return {True: min(1.0, _each(GROUP_TOTAL_SD, predictor, shares[True])),
            False: min(1.0, _each(CURVE_TOTAL_SD, predictor, shares[False]))}


def _each(totals: Mapping[str, float], predictor: Predictor, shares: float) -> float:
    """Divide a total sd, which is unlimited for most links, among effects that have these shares of it."""
    return float(totals.get(predictor.link, np.inf) / np.sqrt(shares)) if shares > 0 else np.inf


def intercept_default(
    parameter: Parameter, predictor: Predictor, family: Family, observations: Observations, patterns: Patterns, unit: float,
) -> Prior:
    """Return Normal(link(mean response / mean exposure) - mean offset, 2.5) for the mean, the family's own elsewhere."""
    offset = mean_offset(predictor, patterns)
    if parameter.intercept_prior is not None:
        sd = response_sd(observations, per_exposure=parameter.exposed) if parameter.scaled_by_response else 1.0
        return replace(parameter.intercept_prior, mu=parameter.intercept_prior.mu + float(np.log(sd)) - offset)
    mean = np.array([mean_response(observations, family)])
    if predictor.link == "log" and mean[0] <= 0:
        raise OptionError(f"the link log for a mean response of {mean[0]:.4g}", value=predictor.link,
                          rule="a log link needs a positive mean", fix="Use the identity link.")
    centre = float(parameter.link(predictor.link).forward(mean)[0])
    return Normal(centre - offset, INTERCEPT_SD * unit)


def mean_offset(predictor: Predictor, patterns: Patterns) -> float:
    """Return what the offsets add to the linear predictor: log of the mean of their exp for a log link, else their mean."""
    if not predictor.offsets:
        return 0.0
    values = predictor.offset(patterns.table)
    if predictor.link != "log":
        return float(np.average(values, weights=patterns.counts))
    most = float(values.max())
    return most + float(np.log(np.average(np.exp(values - most), weights=patterns.counts)))


def mean_response(observations: Observations, family: Family) -> float:
    """Return the mean response per unit of exposure or trial, kept inside the support of the link."""
    y, weights = observations.response, observations.weights
    if family.for_levels is not None:
        return 0.0
    total = float((weights * y).sum())
    if observations.trials is not None or family.support.kind == "binary":
        trials = float((weights * (1.0 if observations.trials is None else observations.trials)).sum())
        return (total + 0.5) / (trials + 1.0)
    base = float((weights * (1.0 if observations.exposure is None else observations.exposure)).sum())
    return total / base if not family.support.discrete else max(total, 0.5) / base


def response_sd(observations: Observations, *, per_exposure: bool) -> float:
    """Return the sd of the response, or of the response per unit of exposure; 1 where it has none."""
    rows = observations.informative
    y = observations.response[rows]
    if per_exposure and observations.exposure is not None:
        y = y / observations.exposure[rows]
    weights = observations.weights[rows]
    mean = np.average(y, weights=weights)
    return float(np.sqrt(np.average((y - mean) ** 2, weights=weights))) or 1.0
