"""Plots: drawn from a fit made by hand, the same text twice, axes that name the data."""

from __future__ import annotations

import numpy as np
import pytest

import bayesglm as bg
from bayesglm import plots
from bayesglm.errors import OptionError, UnknownNameError
from bayesglm.fitted import Fitted
from tests.fits_by_hand import made


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    """Counts of six hosts over an exposure."""
    rng = np.random.default_rng(1)
    host, x, hours = rng.integers(0, 6, 300), rng.normal(size=300), rng.uniform(1, 4, 300)
    effect = np.array([-0.6, 0.2, 0.5, -0.1, 0.4, -0.4])
    table = {"errors": rng.poisson(hours * np.exp(1.0 + 0.3 * x + effect[host])), "x": x, "hours": hours,
             "host": np.array([f"h{i}" for i in range(6)])[host]}
    model = bg.Model("errors ~ x + (1 | host)", table, family="poisson", exposure="hours")
    return made(model, {"Intercept": 1.0, "beta": [0.3], "sd_host": [0.4], "effect_host": effect[:, None]})


@pytest.fixture(scope="module")
def binary() -> Fitted:
    rng = np.random.default_rng(1)
    x = rng.normal(size=200)
    y = (rng.uniform(size=200) < 1 / (1 + np.exp(-x))).astype(float)
    return made(bg.Model("failed ~ x", {"failed": y, "x": x}, family="bernoulli"), {"Intercept": 0.0, "beta": [1.0]})


COUNT_PLOTS = {
    "rootogram": plots.rootogram, "pit": plots.pit, "forest": plots.forest, "trace": plots.trace,
    "hosts": lambda fitted: plots.forest(fitted, group="host"),
}


@pytest.mark.parametrize("name", COUNT_PLOTS)
def test_a_plot_is_the_same_text_twice_and_closed(name, fitted):
    import matplotlib.pyplot as plt

    first, second = (plots.svg(COUNT_PLOTS[name](fitted)) for _ in range(2))
    assert first == second
    assert first.startswith("<svg")
    assert first.rstrip().endswith("</svg>")
    assert plt.get_fignums() == []


def axes_of(plot):
    import matplotlib.pyplot as plt

    figure = plot.viz["figure"].item()
    plt.close(figure)
    return figure.axes


@pytest.mark.parametrize("draw", [plots.rootogram, plots.pit])
def test_axes_name_the_response(draw, fitted):
    axes = axes_of(draw(fitted))[0]
    assert "errors" in axes.get_xlabel()
    assert axes.get_ylabel()


def test_the_tree_is_what_was_observed_and_drawn(fitted):
    tree = plots.posterior_predictive_tree(fitted, seed=3, samples=50)
    assert dict(tree["posterior_predictive"].sizes) == {"chain": 1, "draw": 50, "obs": 300}
    assert np.array_equal(tree["observed_data"]["errors"], fitted.data().observations.response)
    assert tree["observed_data"]["errors"].dtype.kind == "i"
    again = plots.posterior_predictive_tree(fitted, seed=3, samples=50)
    assert tree["posterior_predictive"]["errors"].equals(again["posterior_predictive"]["errors"])
    other = plots.posterior_predictive_tree(fitted, seed=4, samples=50)
    assert not tree["posterior_predictive"]["errors"].equals(other["posterior_predictive"]["errors"])


def test_large_counts_are_put_together_in_steps():
    y = np.random.default_rng(1).poisson(3000, 200)
    fitted = made(bg.Model("y ~ 1", {"y": y}, family="poisson"), {"Intercept": np.log(3000)}, sd=0.001)
    label = axes_of(plots.rootogram(fitted))[0].get_xlabel()
    step = int(label.rsplit(" ", 1)[1])
    assert step > 1
    assert np.ptp(y) / step <= plots.MOST_BARS


def test_group_effects_stand_in_their_order(fitted):
    shown = [text.get_text() for text in axes_of(plots.forest(fitted, group="host"))[0].texts]
    assert [label for label in shown if label.startswith("h")] == ["h0", "h5", "h3", "h1", "h4", "h2"]


def test_calibration_is_for_yes_or_no(binary, fitted):
    axes = axes_of(plots.calibration(binary))[0]
    assert "failed" in axes.get_xlabel()
    with pytest.raises(OptionError, match="yes or no"):
        plots.calibration(fitted)
    for draw in (plots.pit, plots.rootogram):
        with pytest.raises(OptionError, match="calibration"):
            draw(binary)


def test_unknown_names_list_the_known(fitted):
    with pytest.raises(UnknownNameError, match="host"):
        plots.forest(fitted, group="hosts")
    with pytest.raises(UnknownNameError, match="Intercept"):
        plots.trace(fitted, names=["intercept"])


def test_a_forest_needs_coefficients():
    model = bg.Model("y ~ 1", {"y": np.arange(30)}, family="poisson")
    with pytest.raises(OptionError, match="group="):
        plots.forest(made(model, {"Intercept": 1.0}))
