"""Models of every family, with formulas on its other parameters, its links, exposure, trials and weights: what tests run over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytensor
from pytensor.compile.mode import Mode

import bayesglm as bg
from bayesglm.families import named
from bayesglm.latent.graph import graph_of
from bayesglm.latent.likelihood import CellLikelihood, compile_likelihood

ROWS = 60
PYTHON = Mode(linker="py", optimizer="fast_compile")  # nothing to compile


@dataclass(frozen=True, slots=True)
class Case:
    """A model: family, response, and the options of `bayesglm.Model`."""

    family: str
    left: str
    options: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)

    def model(self, table: pd.DataFrame) -> bg.Model:
        family = named(self.family).with_options(**self.limits) if self.limits else self.family
        return bg.Model(f"{self.left} ~ x + a", table, family, weights="w", **self.options)


E = {"exposure": "e"}
SCALED = {**E, "dispersion_scaling": "exposure"}
CASES: Mapping[str, Case] = {
    "poisson": Case("poisson", "count", E),
    "poisson, no exposure": Case("poisson", "count"),
    "binomial": Case("binomial", "count | trials(n)"),
    "binomial, probit": Case("binomial", "count | trials(n)", {"links": {"p": "probit"}}),
    "binomial, cloglog": Case("binomial", "count | trials(n)", {"links": {"p": "cloglog"}}),
    "bernoulli": Case("bernoulli", "event"),
    "bernoulli, probit": Case("bernoulli", "event", {"links": {"p": "probit"}}),
    "bernoulli, cloglog": Case("bernoulli", "event", {"links": {"p": "cloglog"}}),
    "beta_binomial": Case("beta_binomial", "count | trials(n)"),
    "beta_binomial, phi ~ x": Case("beta_binomial", "count | trials(n)", {"dispersion": "~ x"}),
    "categorical": Case("categorical", "kind"),
    "gaussian": Case("gaussian", "real", E),
    "gaussian, log": Case("gaussian", "positive", {**E, "links": {"mu": "log"}}),
    "gaussian, sigma ~ x": Case("gaussian", "real", {**E, "dispersion": "~ x"}),
    "student_t": Case("student_t", "real"),
    "student_t, all": Case("student_t", "real", {"dispersion": "~ x", "formulas": {"nu": "~ a"}}),
    "gamma": Case("gamma", "positive", E),
    "gamma, shape ~ x": Case("gamma", "positive", {**E, "dispersion": "~ x"}),
    "gamma, shape by exposure": Case("gamma", "positive", SCALED),
    "negative_binomial": Case("negative_binomial", "count", E),
    "negative_binomial, k ~ x": Case("negative_binomial", "count", {**E, "dispersion": "~ x"}),
    "negative_binomial, k by exposure": Case("negative_binomial", "count", SCALED),
    "negative_binomial, k ~ x by exposure": Case("negative_binomial", "count", {**SCALED, "dispersion": "~ x"}),
    "negative_binomial_nb1": Case("negative_binomial_nb1", "count", E),
    "negative_binomial_nb1, delta ~ x": Case("negative_binomial_nb1", "count", {**E, "dispersion": "~ x"}),
    "zero_inflated_poisson": Case("zero_inflated_poisson", "count", E),
    "zero_inflated_poisson, zero ~ x": Case("zero_inflated_poisson", "count", {**E, "zero": "~ x"}),
    "zero_inflated_negative_binomial": Case("zero_inflated_negative_binomial", "count", {**E, "zero": "~ x"}),
    "zero_inflated_negative_binomial, all": Case(
        "zero_inflated_negative_binomial", "count", {**E, "zero": "~ x", "dispersion": "~ a"}),
    "zero_inflated_binomial": Case("zero_inflated_binomial", "count | trials(n)"),
    "zero_inflated_binomial, zero ~ x": Case(
        "zero_inflated_binomial", "count | trials(n)", {"zero": "~ x", "links": {"p": "probit"}}),
    "hurdle_poisson": Case("hurdle_poisson", "count", E),
    "hurdle_poisson, zero ~ x": Case("hurdle_poisson", "count", {**E, "zero": "~ x"}),
    "hurdle_negative_binomial": Case("hurdle_negative_binomial", "count", {**E, "zero": "~ x"}),
    "truncated_poisson": Case("truncated_poisson", "some", E),
    "truncated_poisson, 0 to 30": Case("truncated_poisson", "count", E, {"lower": 0, "upper": 30}),
    "truncated_poisson, from 2": Case("truncated_poisson", "two", E, {"lower": 2}),
    "truncated_negative_binomial": Case("truncated_negative_binomial", "some", E),
    "truncated_negative_binomial, k ~ x": Case("truncated_negative_binomial", "some", {**E, "dispersion": "~ x"}),
    "truncated_negative_binomial, 0 to 30": Case("truncated_negative_binomial", "count", E, {"lower": 0, "upper": 30}),
}


@cache
def table_of(seed: int = 1, rows: int = ROWS) -> pd.DataFrame:
    """Rows with few covariate patterns, of which some weigh nothing."""
    rng = np.random.default_rng(seed)
    count = rng.poisson(2.0, rows)
    return pd.DataFrame({
        "x": rng.integers(-2, 3, rows) / 2.0, "a": np.resize(["u", "v"], rows), "e": rng.choice([0.5, 1.0, 2.5], rows),
        "n": rng.integers(10, 13, rows), "count": count, "some": count + 1, "two": count + 2,
        "real": rng.normal(size=rows).round(1), "positive": rng.gamma(2.0, 1.0, rows).round(1) + 0.1,
        "event": rng.integers(0, 2, rows), "kind": np.resize(list("pqrs"), rows), "w": rng.integers(0, 4, rows),
    })


@cache
def model_of(name: str) -> bg.Model:
    return CASES[name].model(table_of())


@cache
def likelihood_of(name: str) -> CellLikelihood:
    return compile_likelihood(model_of(name).problem)


def interpreted(likelihood: CellLikelihood, name: str):
    """Return a kernel as Python runs it: the same graph, and nothing to compile."""
    inputs, outputs = graph_of(likelihood.form, name)
    function = pytensor.function(inputs, outputs, mode=PYTHON, on_unused_input="ignore")

    def evaluate(eta, constants, *between):
        return [np.asarray(each) for each in function(eta, constants, *between, *likelihood.data)]

    return evaluate


def point(likelihood: CellLikelihood, seed: int = 0, spread: float = 1.0):
    """Return linear predictors and constants at random, those on the unit interval included."""
    rng = np.random.default_rng(seed)
    family = likelihood.form.family
    eta = spread * rng.normal(size=(len(likelihood.predicted), likelihood.cells.size))
    unit = [family.parameter(each).role == "zero" for each in likelihood.constants]
    constants = np.array([rng.uniform(0.1, 0.9) if inside else rng.gamma(3.0, 1.0) for inside in unit])
    return eta, constants
