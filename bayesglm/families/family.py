"""Family: the contract of a response distribution.

To add a family:

1. Write one file in ``bayesglm/families/`` that ends in ``MEMBER = Family(...)``: its parameters (the predicted mean
   first), the support of its response, the PyMC likelihood, mean, variance, draws and source.
2. Say what makes it fast, where it is so: ``reduction``, the sufficient statistics of rows with the same covariates, with a log
   density of a cell made of the pieces of the likelihood; ``log_concave``, the links under which the log density is concave; and
   ``information``, the expected information where it has a closed form. Derivatives are never written: they come from these
   pieces by automatic differentiation. A family without all three works, and costs what its distinct rows cost.
3. Add it to ``CASES`` of ``tests/latent/cases.py`` and run ``pytest tests/families tests/latent``: the laws run over every
   member, so they run over yours.
4. Use it by name, ``family="your_name"``. A record that lives in your own code works too: ``family=YOUR_FAMILY``.

Nobody asks which family it is. If the package needs to know something of a family, it becomes a field here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pytensor.tensor.variable import TensorVariable

from bayesglm.errors import OptionError, suggestion
from bayesglm.families import polygamma as _compiled  # noqa: F401  registers kernels for the likelihoods' derivatives
from bayesglm.families.links import LINKS, Link
from bayesglm.families.reduction import Reduction, Statistics
from bayesglm.families.values import Values
from bayesglm.priors import Normal, Prior

Array = NDArray[np.float64]
Role = Literal["mean", "zero", "dispersion", "other"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a family: constant with a prior, or predicted by a formula through a link.

    Attributes
    ----------
    name : str
        Name in the model and in every table: ``mu``, ``concentration``, ``zero_probability``.
    role : {"mean", "zero", "dispersion", "other"}
        ``zero=`` and ``dispersion=`` of `bayesglm.Model` find the parameter by this.
    links : tuple of str
        Links it may have, the default first.
    meaning : str
        What it is, in words, with its unit or convention.
    prior : Prior, optional
        Default prior when it is constant, on its natural scale; None for the mean, which always has a formula.
    intercept_prior : Prior, optional
        Default prior of the centred intercept, on the link scale, when it has a formula. None for the mean, whose
        intercept prior comes from the data. It is normal, so that it can be moved into another unit.
    exposed : bool
        Whether exposure multiplies it.
    scales_with_exposure : bool
        Whether ``dispersion_scaling="exposure"`` may apply: the value is multiplied by exposure / median exposure.
    conversions : mapping
        Other conventions of the same quantity, shown beside it: name to function of the value.
    prefix : str
        What its variables start with in the model: ``beta`` of the zero part is ``zero_beta``. Empty for the mean.
    scaled_by_response : bool
        Whether the default prior is in units of the response's standard deviation: its scale is multiplied by it, and
        the intercept of a log link moved by its log. A predictor with the identity link has that unit too, and its
        intercept and coefficients scale likewise.
    """

    name: str
    role: Role
    links: tuple[str, ...]
    meaning: str
    prior: Prior | None = None
    intercept_prior: Normal | None = None
    exposed: bool = False
    scales_with_exposure: bool = False
    conversions: Mapping[str, Callable[[Array], Array]] = field(default_factory=dict)
    prefix: str = ""
    scaled_by_response: bool = False

    def link(self, name: str | None = None) -> Link:
        """Return the link by name, the default without one.

        Raises
        ------
        OptionError
            The parameter may not have that link.
        """
        chosen = self.links[0] if name is None else name
        if chosen not in self.links:
            raise OptionError(f"link {chosen!r} for {self.name}", value=chosen, fix=suggestion(chosen, self.links),
                              rule=f"{self.name} can have the links {', '.join(self.links)}")
        return LINKS[chosen]


@dataclass(frozen=True, slots=True)
class Support:
    """What a response may be, with the test and the advice.

    Attributes
    ----------
    kind : {"count", "binary", "successes", "real", "positive", "category"}
        Decides how the column is read: a category column is coded by its levels, everything else is float64.
    rule : str
        The rule in words: "a poisson response needs counts >= 0".
    faults : callable
        ``faults(values)`` gives (problem, bad, fix) triples in order, ``bad`` a boolean mask over the values; the first
        with any True is raised. ``{}`` in the problem stands for their number.
    discrete : bool
        Whether the response is integer valued.
    lower, upper : float
        Ends of the support; for successes the upper end is the row's trials.
    """

    kind: Literal["count", "binary", "successes", "real", "positive", "category"]
    rule: str
    faults: Callable[[Array], tuple[tuple[str, NDArray[np.bool_], str], ...]]
    discrete: bool = True
    lower: float = 0.0
    upper: float = np.inf


Numbers = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Family:
    """A response distribution as a record of facts and functions.

    Attributes
    ----------
    name, label : str
        The name users write, and the one for readers.
    parameters : tuple of Parameter
        The predicted mean first.
    support : Support
        What the response may be.
    likelihood : callable
        ``likelihood(values: Values)`` gives the unnamed PyMC distribution of the response.
    mean, variance : callable
        ``mean(numbers, trials)`` of the recorded response, in NumPy: zero part, truncation and trials included; arrays of
        any common shape. Of a category, the indicators' means and variances: a last axis with one entry for each level.
    draw : callable
        ``draw(rng, numbers, trials)``: one response for each entry of the broadcast arrays, as float64 (a category as the
        position of its level).
    exposure : bool
        Whether the family takes an exposure.
    trials : bool
        Whether the family takes trials.
    proportional : bool
        Whether the mean of the recorded response is proportional to the first parameter.
    zero : callable, optional
        ``zero(numbers, trials)``: P(response = 0), for discrete families.
    source : str
        Where the formula stands.
    caution : str
        What to know before trusting it, shown in the report; may be empty.
    options : mapping
        The options this record was made with, for families that have some (truncation limits).
    configure : callable, optional
        ``configure(**options)`` gives the record with those options; None where there are none.
    for_levels : callable, optional
        ``for_levels(levels)`` gives the record for a response with these levels (categorical), the first of them the
        reference; None for all others.
    reduction : Reduction, optional
        The sufficient statistics of rows with the same covariates; None where only identical rows can be joined.
    information : callable, optional
        ``information(values, statistics)``: the expected information of a cell in the linear predictors, PyTensor, by pairs of
        parameter names; a pair that is left out is 0. Where a predicted parameter is not in it, and for the families
        without, it is the mean square of the score over the responses. A family whose cells do not keep exposure or trials
        apart needs it for all its parameters.
    log_concave : mapping
        Parameter to the links under which the log density is concave in its linear predictor, jointly in those of all
        parameters named here, whatever the response: there the observed curvature is positive semi-definite.
    """

    name: str
    label: str
    parameters: tuple[Parameter, ...]
    support: Support
    likelihood: Callable[[Values], TensorVariable]
    mean: Callable[[Numbers, Array | None], Array]
    variance: Callable[[Numbers, Array | None], Array]
    draw: Callable[[np.random.Generator, Numbers, Array | None], Array]
    source: str
    exposure: bool = False
    trials: bool = False
    proportional: bool = False
    zero: Callable[[Numbers, Array | None], Array] | None = None
    caution: str = ""
    options: Mapping[str, float | str | None] = field(default_factory=dict)
    configure: Callable[..., Family] | None = None
    for_levels: Callable[[tuple[str, ...]], Family] | None = None
    reduction: Reduction | None = None
    information: Callable[[Values, Statistics], Mapping[tuple[str, str], TensorVariable]] | None = None
    log_concave: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def parameter(self, name: str) -> Parameter:
        """Return a parameter by name."""
        for each in self.parameters:
            if each.name == name:
                return each
        known = [each.name for each in self.parameters]
        raise OptionError(f"{self.name} has no parameter {name!r}", value=name, fix=suggestion(name, known),
                          rule="a formula or prior must name a parameter of the family")

    def with_role(self, role: Role) -> tuple[Parameter, ...]:
        """Return the parameters that play a role."""
        return tuple(each for each in self.parameters if each.role == role)

    def with_options(self, **options: float | str | None) -> Family:
        """Return this family with other options (truncation limits).

        Raises
        ------
        OptionError
            The family has no options.
        """
        if self.configure is None:
            raise OptionError(f"{self.name} has no options, got {sorted(options)}", value=options,
                              rule="options belong to families that declare some", fix="Leave the options out.")
        return self.configure(**{**self.options, **options})


def with_prior(family: Family, name: str, prior: Prior) -> Family:
    """Return the family with another default prior for one parameter."""
    changed = tuple(replace(each, prior=prior) if each.name == name else each for each in family.parameters)
    return replace(family, parameters=changed)


Mask = NDArray[np.bool_]


def count_support(family: str, *, lower: float = 0.0, upper: float = np.inf) -> Support:
    """Support of a count: integers from lower to upper."""
    limits = f"counts >= {lower:g}" + ("" if np.isinf(upper) else f" and <= {upper:g}")

    def faults(values: Array) -> tuple[tuple[str, Mask, str], ...]:
        fraction = (values >= 0) & (values != np.floor(values))
        proportion = bool(fraction.any() and np.all((values >= 0) & (values <= 1)))
        rate = "A proportion needs successes | trials(n) with family='binomial'." if proportion else (
            "A rate is a count over an exposure: give the count as response and exposure=.")
        return (
            ("{} negative values", values < 0, "Drop the rows or use family='gaussian'."),
            ("{} proportions between 0 and 1" if proportion else "{} values that are no integers", fraction, rate),
            ("{} values below the lower limit", values < lower, "Use the untruncated family or another lower=."),
            ("{} values above the upper limit", values > upper, "Use another upper=."),
        )

    return Support("count", f"a {family} response needs {limits}", faults, discrete=True, lower=lower, upper=upper)
