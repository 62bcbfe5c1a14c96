"""Structured: what of a problem's draws is kept in float32."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesglm as bg
from bayesglm.engines import structured
from bayesglm.engines.collected import Growing
from bayesglm.engines.structured import large_states, prepare
from bayesglm.latent.layout import field_of


def model(levels: int) -> bg.Model:
    """Two rows for each level of a group with two effects, crossed with a few zones."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"y": rng.poisson(3.0, 2 * levels), "x": rng.normal(size=2 * levels),
                          "service": np.repeat(np.arange(levels), 2), "zone": np.resize(list("abc"), 2 * levels)})
    return bg.Model("y ~ x + (1 + x | service) + (1 | zone)", frame, "poisson")


@pytest.mark.parametrize(("levels", "large"), [(10_000, set()), (10_001, {"z_service", "effect_service"})])
def test_states_of_more_than_20_000_elements_are_large(levels: int, large: set[str]) -> None:
    assert large_states(field_of(model(levels).problem)) == large


def test_large_states_alone_are_kept_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(structured, "SINGLE_FROM", 20)
    prepared = prepare(model(11).problem, seed=1)
    target = prepared.target(np.zeros((1, prepared.transported.size)))
    assert target.single == {"z_service", "effect_service"}
    variables = prepared.expand(np.random.default_rng(0).normal(size=(5, prepared.transported.size)))
    kept = Growing(target.single)
    kept.put(0, {name: values[:, None] for name, values in variables.items()})
    for name, values in kept.between(0, 5).items():
        assert values.dtype == (np.float32 if name in target.single else np.float64), name
        np.testing.assert_allclose(values[:, 0], variables[name], rtol=1e-6)
