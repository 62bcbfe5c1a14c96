"""Identity: what tells whether two runs draw from the same posterior, as texts that an error can show.

A store keeps it with every run. Numbers that are computed (default priors) are told to ten digits, so that another machine, which
rounds in another way, knows the model again; the data are told by a SHA-256 of what they say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from bayesglm.data.fingerprint import fingerprint
from bayesglm.data.table import Column, Table
from bayesglm.engines.density import Density
from bayesglm.priors import Prior
from bayesglm.specification import Problem

DIGITS = 16  # of a SHA-256, in what is kept and shown


def identity_of(problem: Problem, engine: str) -> dict[str, str]:
    """Return what makes the posterior of a problem, and the engine, whose coordinates the stored draws are in.

    The order of the rows counts.

    Parameters
    ----------
    problem : Problem
        A model with its data.
    engine : str
        Name of the engine.

    Examples
    --------
    >>> import bayesglm as bg
    >>> table = {"errors": [3, 0, 2, 5], "requests": [10.0, 5.0, 10.0, 20.0]}
    >>> found = identity_of(bg.Model("errors ~ 1", table, "poisson", exposure="requests").problem, "nuts")
    >>> found["family"], found["formula of mu"], sorted(found)[-2:]
    ('poisson', 'errors ~ 1, link log', ['prior of Intercept', 'response'])
    """
    specification = problem.specification
    family = specification.family
    options = [f"{name}={value}" for name, value in family.options.items() if value is not None]
    found = {"engine": engine, "family": ", ".join([family.name, *options])}
    found |= {f"formula of {each.parameter}": f"{each.formula}, link {each.link}" for each in specification.predictors}
    found |= {"response": _response(problem), "covariates": _covariates(problem)}
    if specification.exposure_median is not None:
        found["dispersion"] = f"grows with exposure / {specification.exposure_median:.10g}"
    return found | {f"prior of {line.name}": f"{_exact(line.prior)}: {line.reading}" for line in specification.priors.lines}


def density_identity(density: Density) -> dict[str, str]:
    """Return what is known of a user's own model: the names and shapes of its variables, its labels, and its ``pm.Data``."""
    found = {"engine": "sample", "unconstrained variables": _listed({name: str(shape) for name, shape in density.shapes.items()}),
             "variables": _listed({name: str(density.dims.get(name, ())) for name in density.expanded})}
    found |= {f"labels of {dim}": _texts(labels) for dim, labels in density.coords.items()}
    return found | {f"data {name}": f"{np.shape(values)}, SHA-256 {_digest(np.ascontiguousarray(values))}"
                    for name, values in density.data.items()}


def difference(stored: Mapping[str, str], given: Mapping[str, str]) -> str:
    """Return the first thing that two of them say differently, empty if they are the same.

    Examples
    --------
    >>> difference({"family": "poisson"}, {"family": "gaussian"})
    "family: 'poisson' there, 'gaussian' here"
    """
    for name in (*stored, *(each for each in given if each not in stored)):
        there, here = stored.get(name, "nothing"), given.get(name, "nothing")
        if there != here:
            return f"{name}: {there!r} there, {here!r} here"
    return ""


def _exact(prior: Prior) -> str:
    return f"{type(prior).__name__}({', '.join(f'{each.name}={getattr(prior, each.name):.10g}' for each in fields(prior))})"


def _response(problem: Problem) -> str:
    data = problem.observations
    columns = {"response": data.response, "exposure": data.exposure, "trials": data.trials, "weights": data.weights}
    held = {name: Column(name, "numeric", values, data.levels if name == "response" else ())
            for name, values in columns.items() if values is not None}
    rows = len(data.response)
    found = fingerprint(Table(held, rows))[:DIGITS]
    return f"{problem.specification.roles.response}, {rows:,} rows, SHA-256 {found}"


def _covariates(problem: Problem) -> str:
    """Return what tells the covariates of all rows: the distinct ones, and which of them each row has."""
    patterns = problem.patterns
    index = Table({"pattern": Column("pattern", "numeric", patterns.index.astype(np.int64))}, len(patterns.index))
    both = fingerprint(patterns.table) + fingerprint(index)
    return f"{', '.join(sorted(patterns.table.columns)) or 'none'}, SHA-256 {hashlib.sha256(both.encode()).hexdigest()[:DIGITS]}"


def _listed(texts: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {text}" for name, text in texts.items())


def _texts(labels: tuple[object, ...]) -> str:
    return f"{len(labels):,} labels, SHA-256 {hashlib.sha256(repr([str(each) for each in labels]).encode()).hexdigest()[:DIGITS]}"


def _digest(values: NDArray[np.generic]) -> str:
    return hashlib.sha256(str(values.dtype).encode() + values.tobytes()).hexdigest()[:DIGITS]
