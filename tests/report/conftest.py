"""Fits made by hand, one for each thing a report must bear: groups, zero parts, curves, categories, hostile names, no data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import xarray as xr

import bayesglm as bg
from bayesglm.checks.check import Check
from bayesglm.fitted import Fitted
from bayesglm.registry import discover
from bayesglm.report.page import render, sections
from bayesglm.report.section import Content, Material, Section

CHAINS, DRAWS, ROWS = 4, 150, 90
SCRIPT, IMAGE = "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>"
LEVELS = (SCRIPT, IMAGE, "x" * 300, "שלום עולם", "🦆 duck", "$\\frac{1}{0}", "{{ 7 * 7 }}", "back`tick", "a\u202eb")
NAMES = ("grouped", "plain", "zero_inflated", "curves", "categories", "hostile", "without_data", "failed", "approximate")


def invented(model: bg.Model, *, seed: int = 0, **changes: Any) -> Fitted:
    """Return a fit with invented draws of every variable that a posterior of the model has."""
    rng, specification = np.random.default_rng(seed), model.problem.specification
    variables: dict[str, tuple[tuple[str, ...], np.ndarray]] = {}
    coords: dict[str, Any] = {"chain": np.arange(CHAINS), "draw": np.arange(DRAWS)}

    def add(name: str, values: Any, dims: Mapping[str, tuple[str, ...]]) -> None:
        variables[name] = (("chain", "draw", *dims), np.asarray(values))
        coords.update({dim: list(labels) for dim, labels in dims.items()})

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(0.0, 0.1, (CHAINS, DRAWS, *shape))

    for predictor in specification.predictors:
        if predictor.intercept:
            add(predictor.name("Intercept"), 0.5 + normal(), {})
        if predictor.coef:
            add(predictor.name("beta"), 0.2 + normal(len(predictor.coef)), {predictor.name("coef"): predictor.coef})
        for block in predictor.blocks:
            dims = {predictor.name(block.level_dim): block.levels, predictor.name(block.effect_dim): block.effects}
            add(predictor.name(f"effect_{block.name}"), normal(len(block.levels), len(block.effects)), dims)
            for each in block.hyperparameters:
                labels, dim = each.labels, predictor.name(block.effect_dim)
                if each.key == "cor":
                    shape = (CHAINS, DRAWS, len(labels), len(labels))
                    add(predictor.name(each.name), np.where(np.eye(len(labels)) > 0, 1.0, rng.uniform(-0.3, 0.3, shape)),
                        {dim: labels, f"{dim}_other": labels})
                else:
                    add(predictor.name(each.name), 0.3 * np.exp(normal(*([len(labels)] if labels else []))),
                        {dim: labels} if labels else {})
    for parameter in specification.constant():
        scale = 0.3 if parameter.role == "zero" else 2.0
        add(parameter.name, scale * np.exp(normal()), {})
    still = np.zeros((CHAINS, DRAWS), bool)
    stats = xr.Dataset({"diverging": (("chain", "draw"), still), "reached_max_treedepth": (("chain", "draw"), still),
                        "energy": (("chain", "draw"), rng.normal(size=still.shape))})
    tree = xr.DataTree.from_dict({"posterior": xr.Dataset(variables, coords), "sample_stats": stats})
    fitted = Fitted(
        specification=specification, schema=model.schema, audit=model.audit, draws=tree, problem=model.problem, engine="nuts",
        exact=True, settings={"draws": DRAWS, "target_accept": 0.85}, seed=seed, seconds={"sample": 1.25},
        versions={"bayesglm": "0.1.0", "pymc": "6.4.0"}, created="2026-03-02T08:30:00+00:00",
    )
    return replace(fitted, **changes)


def table() -> dict[str, Any]:
    rng = np.random.default_rng(1)
    hours = rng.integers(0, 5, ROWS).astype(float)
    return {
        "errors": (rng.poisson(2.0, ROWS) * (hours > 0)).astype(np.int64), "hours": hours, "x": rng.normal(size=ROWS),
        "deploy": np.tile(["no", "yes"], ROWS // 2), "zone": np.array(["a", "b", "c"])[rng.integers(0, 3, ROWS)],
        "failed": rng.integers(0, 2, ROWS), "day": np.arange(ROWS), "when": np.arange("2024-01-01", ROWS, dtype="M8[D]"),
    }


def hostile_table() -> dict[str, Any]:
    rng = np.random.default_rng(2)
    levels = np.array(LEVELS, dtype=object)[np.arange(ROWS) % len(LEVELS)]
    return {IMAGE: rng.poisson(2.0, ROWS), SCRIPT: rng.normal(size=ROWS), "רמה": levels, "y" * 200: rng.normal(size=ROWS)}


@cache
def fit_of(name: str) -> Fitted:
    """Return one of the fits by name."""
    data = table()
    grouped = "errors ~ x + deploy + (1 + x | zone)"
    makers = {
        "grouped": lambda: invented(bg.Model(grouped, data, "negative_binomial", exposure="hours", time="when",
                                             exposure_unit="hours of service", priors={"x": bg.priors.Normal(0, 1)})),
        "plain": lambda: invented(bg.Model("failed ~ x", data, "bernoulli")),
        "zero_inflated": lambda: invented(bg.Model("errors ~ x", data, "zero_inflated_negative_binomial",
                                                   zero="~ deploy + (1 | zone)")),
        "curves": lambda: invented(bg.Model("x ~ season(day, period=7) + rw(day)", data, "gaussian")),
        "categories": lambda: invented(bg.Model("zone ~ x", data, "categorical")),
        "hostile": lambda: invented(bg.Model(f"`{IMAGE}` ~ `{SCRIPT}` + `{'y' * 200}` + (1 | `רמה`)", hostile_table(), "poisson"),
                                    notes=(f"note {SCRIPT}",), engine=SCRIPT, versions={"bayesglm": IMAGE}),
        "without_data": lambda: replace(fit_of("grouped"), problem=None),
        "failed": lambda: apart(fit_of("plain")),
        "approximate": lambda: replace(fit_of("plain"), exact=False, complete=False, engine="laplace",
                                       notes=("one mode of two",)),
    }
    return makers[name]()


def apart(fitted: Fitted) -> Fitted:
    """Return the fit with its second chain somewhere else."""
    posterior = fitted.draws["posterior"].to_dataset()
    posterior = posterior.assign(beta=posterior["beta"] + 5.0 * posterior["chain"])
    stats = fitted.draws["sample_stats"].to_dataset()
    return replace(fitted, draws=xr.DataTree.from_dict({"posterior": posterior, "sample_stats": stats}))


@cache
def material_of(name: str) -> Material:
    """Return the material of a report on one of the fits."""
    fitted = fit_of(name)
    checks = [check for check in discover("bayesglm.checks", Check).values() if check.decisive or name != "approximate"]
    text = SCRIPT + IMAGE if name == "hostile" else ""
    return Material(fitted, tuple(each.run(fitted, 0) for each in checks), seed=0, title=text, question=text)


@cache
def content_of(name: str, section: Section) -> tuple[Content, ...]:
    """Return the content of a section for one of the fits, made once."""
    return tuple(section.content(material_of(name)))


@cache
def page_of(name: str) -> str:
    """Return the page of one of the fits."""
    made = [replace(each, content=lambda material, each=each: content_of(name, each)) for each in sections()]
    return render(material_of(name), made)


@pytest.fixture(name="fit_of", scope="session")
def fit_of_fixture():
    return fit_of


@pytest.fixture(name="material_of", scope="session")
def material_of_fixture():
    return material_of


@pytest.fixture(name="content_of", scope="session")
def content_of_fixture():
    return content_of


@pytest.fixture(name="page_of", scope="session")
def page_of_fixture():
    return page_of


@pytest.fixture(scope="session")
def hostile() -> tuple[str, ...]:
    """Names and levels of the hostile table."""
    return LEVELS


@pytest.fixture(params=NAMES)
def name(request) -> str:
    return request.param


@pytest.fixture
def page(name) -> str:
    return page_of(name)
