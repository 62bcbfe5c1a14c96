"""The public names, what an import costs, and that PyMC and ArviZ work on what the package hands out."""

from __future__ import annotations

import subprocess
import sys

import arviz as az
import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayesglm as bg
from tests.fits_by_hand import made

HEAVY = ("arviz", "arviz_base", "arviz_stats", "arviz_plots", "matplotlib", "nutpie", "jax", "formulaic")


def test_public_names() -> None:
    assert sorted(bg.__all__) == ["BayesGLMError", "Fit", "Mixture", "MixtureFit", "Model", "__version__", "datasets", "engines",
                                  "families", "load", "load_dataset", "plots", "priors", "sample"]


def test_import_leaves_heavy_libraries_alone() -> None:
    code = f"import sys, bayesglm; print([name for name in {HEAVY} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def model() -> bg.Model:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"errors": rng.poisson(4, 30), "x": rng.normal(size=30), "zone": np.resize(list("abc"), 30),
                          "copies": rng.integers(0, 4, 30)})
    return bg.Model("errors ~ x + (1 | zone)", frame, "poisson", weights="copies")


def test_pymc_samples_predicts_and_intervenes_on_the_model(model: bg.Model) -> None:
    with model.pymc as pymc_model:
        tree = pm.sample(20, tune=20, chains=1, cores=1, random_seed=1, progressbar=False, quiet=True, nuts_sampler="pymc")
        tree = pm.sample_posterior_predictive(tree, extend_inferencedata=True, random_seed=1, progressbar=False)
    assert tree.posterior_predictive["errors"].dims == ("chain", "draw", "obs")
    assert set(tree.posterior["effect_zone"].dims) == {"chain", "draw", "zone", "zone_effect"}
    without = pm.do(pymc_model, {"beta": np.zeros(1)})
    prior = pm.sample_prior_predictive(5, model=without, random_seed=1)
    assert float(np.abs(prior.prior["beta"]).max() if "beta" in prior.prior else 0.0) == 0.0


def test_a_fit_is_a_tree_for_arviz_over_the_expanded_rows(model: bg.Model) -> None:
    fit = model.fit(seed=1, draws=60, tune=100, chains=2, progress=False)
    assert fit.draws["observed_data"].sizes["obs"] == fit.audit.represented
    tree = fit.with_log_likelihood().draws
    assert tree["log_likelihood"].sizes["obs"] == fit.audit.represented
    assert {"mean", "sd", "r_hat"} <= set(az.summary(tree, var_names=["Intercept", "beta"]).columns)
    with model.pymc:
        again = pm.sample_posterior_predictive(fit.draws, random_seed=1, progressbar=False)
    assert again.posterior_predictive.sizes["obs"] == fit.audit.represented


def test_text_of_a_summary_names_units_and_ratios(model: bg.Model) -> None:
    fit = made(model, {"Intercept": 1.0, "beta": [0.2], "sd_zone": [0.3], "effect_zone": [[0.1], [0.0], [-0.1]]}, seed=1)
    text = str(bg.Fit(**{name: getattr(fit, name) for name in fit.__dataclass_fields__}).summary())
    assert "x" in text
    assert "log, rate ratio: per +1 of x" in text


def test_prior_predictive_counts_never_wrap_around(model: bg.Model) -> None:
    tree = model.prior_predictive(seed=1, draws=50)
    assert tree["prior_predictive"]["errors"].dims == ("chain", "draw", "obs")
    assert tree["prior_predictive"].sizes == {"chain": 1, "draw": 50, "obs": model.audit.represented}
    again = model.prior_predictive(seed=1, draws=50)
    assert np.array_equal(tree["prior_predictive"]["errors"], again["prior_predictive"]["errors"])
    frame = pd.DataFrame({"errors": [1, 2, 3, 4], "x": [0.0, 1.0, 2.0, 3.0]})
    wide = bg.Model("errors ~ x", frame, "poisson", priors={"common": bg.priors.Normal(0, 100)})
    counts = wide.prior_predictive(seed=1, draws=200)["prior_predictive"]["errors"]
    assert float(counts.min()) >= 0
    assert float(counts.max()) > 2.0**63


def test_formulaic_only_transforms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bases are called as functions; its parser and materialiser, which evaluate Python, never are."""
    import formulaic
    from formulaic.materializers.base import FormulaMaterializer
    from formulaic.parser import DefaultFormulaParser

    def called(*given: object, **options: object) -> None:
        raise AssertionError("formulaic was asked to read a formula")

    entries = ((formulaic, "model_matrix"), (formulaic.Formula, "__init__"), (DefaultFormulaParser, "get_terms"),
               (DefaultFormulaParser, "get_ast"), (FormulaMaterializer, "__init__"), (FormulaMaterializer, "get_model_matrix"))
    for owner, name in entries:
        monkeypatch.setattr(owner, name, called)
    rng = np.random.default_rng(0)
    columns = {name: rng.normal(size=40) for name in ("v", "w", "x", "z")}
    frame = pd.DataFrame({"y": rng.poisson(3, 40), **columns, "a": np.resize(list("rst"), 40)})
    model = bg.Model('y ~ poly(x, 3) + bs(z, df=5) + C(a, reference="s") + scale(w):a + s(v)', frame, "poisson")
    assert "poly(x, degree=3)[2]" in model.problem.specification.predictors[0].coef
    with pytest.raises(AssertionError, match="read a formula"):
        formulaic.model_matrix("y ~ x", frame)
