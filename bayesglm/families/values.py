"""Values: the parameters of a family in PyTensor, as its likelihood receives them, with their linear predictors.

Made by `unit_values` from linear predictors and constants, for the model over rows and for the likelihood on cells alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytensor
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from bayesglm.families.links import Link

if TYPE_CHECKING:
    from bayesglm.families.family import Family


@dataclass(frozen=True, slots=True)
class Exposure:
    """What multiplies the parameters of each unit (a row or a cell).

    Attributes
    ----------
    value, log : TensorVariable
        Exposure above 0, and its log.
    relative, log_relative : TensorVariable, optional
        Exposure / median exposure, and its log, where the dispersion scales with exposure.
    """

    value: TensorVariable
    log: TensorVariable
    relative: TensorVariable | None = None
    log_relative: TensorVariable | None = None


@dataclass(frozen=True, slots=True)
class Values:
    """The parameters of a family, in PyTensor, as its likelihood receives them.

    Attributes
    ----------
    value : mapping
        Name to value on the natural scale, exposure already multiplied in.
    eta : mapping
        Name to linear predictor, for the parameters that have a formula.
    link : mapping
        Name to link, for the same parameters.
    trials : TensorVariable, optional
        Number of trials, for families that have them.
    log_factor : mapping
        Name to the log of what multiplies the parameter (exposure); none where nothing does.
    """

    value: Mapping[str, TensorVariable]
    eta: Mapping[str, TensorVariable]
    link: Mapping[str, Link]
    trials: TensorVariable | None = None
    log_factor: Mapping[str, TensorVariable] = field(default_factory=dict)

    def __getitem__(self, name: str) -> TensorVariable:
        return self.value[name]

    def log(self, name: str) -> TensorVariable:
        """Return the log of a parameter, from the linear predictor where its link knows it: nothing under- or overflows."""
        stable = self.link[name].log_value if name in self.eta else None
        if stable is None:
            return pt.log(self.value[name])
        log = stable(self.eta[name])
        return log + self.log_factor[name] if name in self.log_factor else log

    def log_probability(self, name: str) -> TensorVariable:
        """Return log(p), from the linear predictor where there is one: p may round to 0."""
        return self.log(name)

    def log_complement(self, name: str) -> TensorVariable:
        """Return log(1 - p), from the linear predictor where there is one: p may round to 1."""
        stable = self.link[name].log_complement if name in self.eta else None
        return pt.log1p(-self.value[name]) if stable is None else stable(self.eta[name])

    def logit(self, name: str) -> TensorVariable:
        """Return log(p / (1 - p)) without overflow where the link is already the logit."""
        if name in self.eta and self.link[name].name == "logit":
            return self.eta[name]
        return self.log_probability(name) - self.log_complement(name)

    def slope(self, name: str) -> TensorVariable:
        """Return the derivative of a parameter in its linear predictor, one for each unit."""
        return pytensor.grad(self.value[name].sum(), self.eta[name])


def unit_values(
    family: Family, links: Mapping[str, Link], inverse: Mapping[str, TensorVariable], etas: Mapping[str, TensorVariable],
    constants: Mapping[str, TensorVariable], exposure: Exposure | None, trials: TensorVariable | None,
) -> Values:
    """Return the parameters at each unit: exposure multiplies the mean and, if it is relative too, the concentration.

    Parameters
    ----------
    family : Family
        Its parameters say which of them exposure multiplies.
    links : mapping
        Predicted parameter to link.
    inverse, etas : mapping
        Predicted parameter to its value before exposure, and to its linear predictor, at each unit.
    constants : mapping
        The other parameters, on their natural scale.
    exposure, trials : optional
        Of each unit.
    """
    value: dict[str, TensorVariable] = {}
    factors: dict[str, TensorVariable] = {}
    for parameter in family.parameters:
        name = parameter.name
        current = inverse[name] if name in inverse else constants[name]
        logs: list[TensorVariable] = []
        if exposure is not None and parameter.exposed:
            current, logs = current * exposure.value, [*logs, exposure.log]
        if exposure is not None and parameter.scales_with_exposure and exposure.relative is not None:
            current, logs = current * exposure.relative, [*logs, exposure.log_relative]
        value[name] = current
        if logs:
            factors[name] = sum(logs[1:], logs[0])
    return Values(value, etas, links, trials, factors)
