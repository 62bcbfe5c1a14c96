"""Every family with every kind of term: the two forms of the model, the structured core and NumPy's likelihood agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import pytest
import xarray as xr

import bayesglm as bg
from bayesglm.engines.density import compile_density
from bayesglm.facade import Fit
from bayesglm.families.family import Family
from bayesglm.latent.layout import field_of
from bayesglm.latent.likelihood import compile_likelihood
from bayesglm.latent.mode import Point, Posterior
from bayesglm.model import build, likelihood_units
from bayesglm.pointwise import log_likelihood
from bayesglm.registry import discover
from tests.latent.points import density_at, point_of

FAMILIES = discover("bayesglm.families", Family)
EVERY_TERM = ("x*a + (1 + x | g) + (1 | h) + season(hour, period=24, harmonics=2) + s(w, knots=6, by=a) + rw(t) "
              "+ rw(day, order=2) + ar(t, by=a) + poly(v, 2) + bs(u, df=4) + offset(log(u))")


def table() -> pd.DataFrame:
    rng, n = np.random.default_rng(0), 60
    return pd.DataFrame({
        "x": rng.normal(size=n), "w": rng.normal(size=n), "v": rng.normal(size=n), "u": rng.uniform(1, 2, n),
        "a": rng.choice(list("pq"), n), "g": rng.choice(list("ABCDEF"), n), "h": rng.choice(list("KLM"), n),
        "hour": rng.integers(0, 24, n), "t": np.arange(n) // 4, "day": pd.date_range("2026-01-01", periods=n, freq="D"),
        "hours_open": rng.uniform(0.5, 3, n), "m": rng.integers(3, 9, n),
        "count": rng.poisson(3, n) + 1, "binary": rng.integers(0, 2, n), "successes": rng.integers(0, 3, n),
        "real": rng.normal(size=n), "positive": rng.gamma(2, size=n), "category": rng.choice(["red", "green", "blue"], n),
    })


def model_of(family: Family, terms: str, **options: object) -> bg.Model:
    left = f"{family.support.kind} | trials(m)" if family.trials else family.support.kind
    others = {each.name: "~ x + (1 | g)" for each in family.parameters if each.role != "mean"}
    exposure = "hours_open" if family.exposure else None
    return bg.Model(f"{left} ~ {terms}", table(), family, exposure=exposure, formulas=others, **options)


# One of each kind in the quick run: these tests compile in Python and take some ten seconds each.
QUICK = {"poisson", "negative_binomial", "student_t", "binomial", "zero_inflated_negative_binomial"}


@pytest.fixture(params=[pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in FAMILIES], scope="module")
def family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES[request.param]


def structured_point(model: bg.Model, pymc: pm.Model, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], float]:
    """Return an unconstrained point of the ``pm.Model`` that the structured core chose, and the core's log density there."""
    field = field_of(model.problem)
    theta_size, wide, size = field.sizes
    t, w, v = 0.3 * rng.standard_normal(theta_size), 0.3 * rng.standard_normal(size), 0.3 * rng.standard_normal(wide)
    at = Point(Posterior(field, compile_likelihood(model.problem)), t, w, v)
    return point_of(at, pymc, at.log_joint)


def posterior_at(model: pm.Model, point: dict[str, np.ndarray]) -> xr.DataTree:
    """One draw: every variable of the model at an unconstrained point."""
    outputs = [each for each in model.unobserved_value_vars if not each.name.endswith("__")]
    values = pytensor.function(model.value_vars, outputs, mode="FAST_COMPILE", on_unused_input="ignore")(
        *(point[each.name] for each in model.value_vars))
    variables = {}
    for each, value in zip(outputs, values, strict=True):
        dims = model.named_vars_to_dims.get(each.name) or tuple(f"{each.name}_{i}" for i in range(np.ndim(value)))
        variables[each.name] = (("chain", "draw", *dims), np.asarray(value)[None, None])
    return xr.DataTree.from_dict({"posterior": xr.Dataset(variables)})


def test_the_forms_of_the_model_and_the_pointwise_likelihood_agree(family: Family) -> None:
    model = model_of(family, EVERY_TERM)
    by_row, by_cell = build(model.problem), build(model.problem, over="cell")
    point, structured = structured_point(model, by_row, np.random.default_rng(1))
    rows, priors = density_at(by_row, by_row.observed_RVs, point), density_at(by_row, by_row.free_RVs, point)
    cells = density_at(by_cell, [*by_cell.free_RVs, *by_cell.potentials], point)
    fit = Fit(specification=model.problem.specification, schema=model.schema, audit=model.audit,
              draws=posterior_at(by_row, point), problem=model.problem, engine="nuts", exact=True, settings={}, seed=0)
    pointwise = log_likelihood(fit)
    assert rows + priors == pytest.approx(cells, rel=1e-8)
    assert structured == pytest.approx(rows + priors, rel=1e-8)
    assert float(pointwise.values[0] @ pointwise.frequency) == pytest.approx(rows, rel=1e-8)


def test_cells_are_fewer_than_repeated_rows() -> None:
    frame = pd.concat([table()] * 3, ignore_index=True)
    model = bg.Model("count ~ x + (1 | g)", frame, "poisson", exposure="hours_open")
    assert len(likelihood_units(model.problem, "cell").response) == 60
    assert len(likelihood_units(model.problem, "obs").response) == 180


def test_no_variable_of_the_model_is_shared_between_accesses() -> None:
    model = bg.Model("count ~ x", table(), "poisson")
    first = model.pymc
    first.add_coord("mine", [1, 2])
    assert "mine" not in model.pymc.coords


def test_wrong_frequency_is_caught() -> None:
    """Negative control: dropping one repetition changes the density that the two forms share."""
    frame = pd.concat([table()] * 2, ignore_index=True)
    model = bg.Model("count ~ x", frame, "poisson")
    fewer = bg.Model("count ~ x", frame.iloc[:-1], "poisson")
    same_priors = replace(model.problem, observations=fewer.problem.observations, patterns=fewer.problem.patterns)
    both = [compile_density(build(each, over="cell")) for each in (model.problem, same_priors)]
    point = np.zeros(both[0].size)
    assert both[0](point)[0] != pytest.approx(both[1](point)[0], rel=1e-8)
