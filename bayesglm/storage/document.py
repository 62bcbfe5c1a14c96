"""Document: a specification as plain values and back; families, priors and terms by name, never as code."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from bayesglm.data.table import Roles
from bayesglm.design import Predictor, terms
from bayesglm.errors import StorageError, suggestion
from bayesglm.families.family import Family
from bayesglm.priors import Prior, from_dict, known_priors
from bayesglm.registry import discover
from bayesglm.specification import PredictorPriors, PriorLine, Priors, Specification

Saved = Mapping[str, Any]


def specification_document(specification: Specification) -> dict[str, Any]:
    """Return a specification as plain values."""
    return {
        "family": family_document(specification.family, specification.response_levels),
        "roles": asdict(specification.roles),
        "predictors": [each.to_dict() for each in specification.predictors],
        "priors": _priors_document(specification.priors),
        "exposure_median": specification.exposure_median,
        "response_levels": specification.response_levels,
    }


def read_specification(saved: Saved, family: Family | None) -> Specification:
    """Return the specification that `specification_document` wrote.

    Parameters
    ----------
    saved : mapping
        The document.
    family : Family, optional
        The family record, in place of the one the package knows by name.

    Raises
    ------
    StorageError
        A family, prior or term that is not known here.
    """
    levels = tuple(saved["response_levels"])
    return Specification(
        family=read_family(saved["family"], levels, family),
        roles=Roles(**{**saved["roles"], "context": tuple(saved["roles"]["context"])}),
        predictors=tuple(_predictor(each) for each in saved["predictors"]),
        priors=_priors(saved["priors"]),
        exposure_median=saved["exposure_median"],
        response_levels=levels,
    )


def family_document(family: Family, levels: tuple[str, ...]) -> dict[str, Any]:
    """Return what finds a family again: its name, options and parameters, and whether the package has this one."""
    found = discover("bayesglm.families", Family).get(family.name)
    registered = found is not None and _facts(_bound(found, dict(family.options), levels)) == _facts(family)
    return {"name": family.name, "options": dict(family.options), "registered": registered,
            "parameters": [each.name for each in family.parameters]}


def read_family(saved: Saved, levels: tuple[str, ...], given: Family | None) -> Family:
    """Return the family of a document: the given record, or the package's."""
    name = saved["name"]
    if given is None and not saved["registered"]:
        raise StorageError(f"the family {name!r} is a record of your own", value=name,
                           rule="a saved fit holds the names of families and never their code",
                           fix="Hand the record in: load(path, family=YOUR_FAMILY).")
    known = discover("bayesglm.families", Family)
    if given is None and name not in known:
        raise StorageError(f"the family {name!r} is not known here", value=name, rule="a saved fit names its family",
                           fix=f"{suggestion(name, known)} Upgrade bayesglm, or hand it in: load(path, family=...).")
    found = _bound(known[name] if given is None else given, saved["options"], levels)
    parameters = [each.name for each in found.parameters]
    if (found.name, parameters) != (name, saved["parameters"]):
        raise StorageError(f"the family {found.name!r} has the parameters {', '.join(parameters)}", value=found.name,
                           rule=f"the fit was made with {name!r} and its parameters {', '.join(saved['parameters'])}",
                           fix="Hand in the family of the fit: load(path, family=...).")
    return found


def _bound(family: Family, options: Saved, levels: tuple[str, ...]) -> Family:
    """Return a family with options and bound to levels, where it takes them."""
    if options and family.configure is not None:
        family = family.with_options(**options)
    return family.for_levels(levels) if levels and family.for_levels is not None else family


def _facts(family: Family) -> list[Any]:
    """Return what tells two records of a family apart: values, and where each function is written."""
    functions = (family.likelihood, family.mean, family.variance, family.draw, family.zero, family.configure,
                 family.for_levels)
    parameters = [(each.name, each.role, each.links, each.exposed, each.scales_with_exposure, each.prefix)
                  for each in family.parameters]
    return [family.name, parameters, family.support.kind, family.support.lower, family.support.upper, family.exposure,
            family.trials, family.proportional, dict(family.options), *map(_written_at, functions)]


def _written_at(function: Callable[..., Any] | None) -> tuple[str, str]:
    while isinstance(function, functools.partial):
        function = function.func
    kind = type(function)
    return getattr(function, "__module__", kind.__module__), getattr(function, "__qualname__", kind.__qualname__)


def _predictor(saved: Saved) -> Predictor:
    for piece in saved["pieces"]:
        if piece["term"] not in terms():
            raise StorageError(f"the term {piece['text']} is of the kind {piece['term']!r}", value=piece["term"],
                               rule="a saved fit names its terms and never holds their code",
                               fix=f"{suggestion(piece['term'], terms())} Upgrade bayesglm, or add the term.")
    return Predictor.from_dict(saved)


def _priors_document(priors: Priors) -> dict[str, Any]:
    return {
        "predictors": {
            name: {"intercept": None if each.intercept is None else each.intercept.to_dict(),
                   "uncentred": each.uncentred, "unit": each.unit, "coef": [prior.to_dict() for prior in each.coef],
                   "hyper": {key: [prior.to_dict() for prior in each_label] for key, each_label in each.hyper.items()}}
            for name, each in priors.predictors.items()
        },
        "constants": {name: prior.to_dict() for name, prior in priors.constants.items()},
        "lines": [{"name": each.name, "prior": each.prior.to_dict(), "source": each.source, "reading": each.reading}
                  for each in priors.lines],
    }


def _priors(saved: Saved) -> Priors:
    return Priors(
        predictors={
            name: PredictorPriors(
                intercept=None if each["intercept"] is None else _prior(each["intercept"]),
                uncentred=each["uncentred"], unit=each["unit"], coef=tuple(map(_prior, each["coef"])),
                hyper={key: tuple(map(_prior, each_label)) for key, each_label in each["hyper"].items()},
            )
            for name, each in saved["predictors"].items()
        },
        constants={name: _prior(prior) for name, prior in saved["constants"].items()},
        lines=tuple(PriorLine(**{**each, "prior": _prior(each["prior"])}) for each in saved["lines"]),
    )


def _prior(saved: Saved) -> Prior:
    if saved["prior"] not in known_priors():
        raise StorageError(f"the prior {saved['prior']!r} is not known here", value=saved["prior"],
                           rule="a saved fit names its priors and never holds their code",
                           fix=f"{suggestion(saved['prior'], known_priors())} Upgrade bayesglm, or import the prior.")
    return from_dict(saved)
