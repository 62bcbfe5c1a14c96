"""Where other packages fail today: one test for each failure, so that it does not come back here."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from textwrap import dedent

import arviz_stats
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

import bayesglm as bg
from bayesglm.errors import MissingValueError, ResponseError
from bayesglm.families.family import Family
from bayesglm.model import build, likelihood_units
from bayesglm.pointwise import log_likelihood, to_dataset
from bayesglm.registry import discover
from tests.posteriors import by_hand, from_priors

FAMILIES = discover("bayesglm.families", Family)


@cache
def table(rows=240, mean=3.0):
    """Return counts in twelve hosts, with and without exposure, under predictors of several shapes and units."""
    rng = np.random.default_rng(3)
    number = np.arange(rows)
    hours = rng.uniform(1.0, 20.0, rows)
    return pd.DataFrame(
        {
            "x": rng.normal(size=rows),
            "volume": 1e4 * rng.gamma(2.0, size=rows),
            "share": rng.uniform(size=rows),
            "rare": (number % 80 == 0).astype(float),
            "deploy": rng.integers(0, 2, rows),
            "zone": np.array(list("abcde"))[number % 5],
            "hour": number % 24,
            "host": rng.integers(0, 12, rows).astype(str),
            "day": number // 24,
            "step": number,
            "hours": hours,
            "count": rng.poisson(mean, rows),
            "exposed": rng.poisson(mean * hours / hours.mean()),
            "positive": rng.poisson(mean, rows) + 1,
            "copies": rng.integers(1, 4, rows),
        }
    )


# --- exposure, zeros and limits in what is predicted


def test_effects_keep_the_exposure():
    """Comparisons of expected counts are those at each row's own exposure, with nothing passed by hand."""
    fit = by_hand(bg.Model("exposed ~ deploy", table(), "poisson", exposure="hours"), draws=50)
    found = fit.contrast({"deploy": 0}, {"deploy": 1}, quantity="expected")
    rates = np.exp(fit.stacked("Intercept")[:, None] + fit.stacked("beta") * [0.0, 1.0])
    np.testing.assert_allclose(found.difference, (rates[:, 1] - rates[:, 0]) * table()["hours"].mean(), rtol=1e-10)


def test_an_offset_of_a_logarithm_survives_prediction_and_contrast():
    fit = by_hand(bg.Model("exposed ~ deploy + offset(log(hours))", table(), "poisson"), draws=50)
    exposed = by_hand(
        bg.Model("exposed ~ deploy", table(), "poisson", exposure="hours"),
        {name: fit.stacked(name) for name in ("Intercept", "beta")},
        draws=50,
    )
    for new in (None, table().iloc[:7]):
        np.testing.assert_allclose(fit.predict(new).draws["expected"], exposed.predict(new).draws["expected"], rtol=1e-12)
    settings = {"deploy": 0}, {"deploy": 1}
    np.testing.assert_allclose(
        fit.contrast(*settings).difference, exposed.contrast(*settings, quantity="expected").difference, rtol=1e-10
    )


@pytest.mark.parametrize(
    ("family", "mean"),
    [
        ("zero_inflated_poisson", 0.5 * 8.4),
        ("hurdle_poisson", 0.5 * 8.4 / (1 - np.exp(-8.4))),
        ("truncated_poisson", 8.4 / (1 - np.exp(-8.4))),
    ],
)
def test_the_expected_count_includes_zeros_and_truncation(family, mean):
    """A structural zero half of the time halves the mean; the count part's own mean is the rate."""
    model = bg.Model("positive ~ 1", table(), family)
    given = {"Intercept": np.log(8.4)} | ({"zero_probability": 0.5} if FAMILIES[family].with_role("zero") else {})
    frame = by_hand(model, given, draws=4000).predict(table().iloc[:1]).to_frame()
    assert frame["rate_mean"].iloc[0] == pytest.approx(8.4)
    assert frame["expected_mean"].iloc[0] == pytest.approx(mean)
    assert frame["predicted_mean"].iloc[0] == pytest.approx(mean, abs=0.2)


@pytest.mark.parametrize("family", ["truncated_poisson", "truncated_negative_binomial"])
def test_predictive_draws_respect_truncation(family):
    fit = by_hand(bg.Model("positive ~ 1", table(), family), {"Intercept": np.log(0.6)}, draws=500)
    assert fit.predict(quantities=["predicted"]).draws["predicted"].min() == 1
    limited = FAMILIES[family].with_options(lower=2, upper=5)
    fit = by_hand(bg.Model("count ~ 1", table().query("2 <= count <= 5"), limited), {"Intercept": 1.0}, draws=500)
    drawn = fit.predict(quantities=["predicted"]).draws["predicted"].to_numpy()
    assert set(np.unique(drawn)) == {2.0, 3.0, 4.0, 5.0}


# --- the sign of the zero part


@pytest.mark.parametrize(
    "family", ["zero_inflated_poisson", "hurdle_poisson", "zero_inflated_negative_binomial", "zero_inflated_binomial"]
)
def test_what_raises_zeros_has_a_positive_coefficient(family):
    """By the draws of responses, and by the density: zeros where the covariate is 1 are likelier under a positive coefficient."""
    left = "count | trials(20)" if FAMILIES[family].trials else "count"
    data = table().query("count > 0").assign(deploy=np.arange((table()["count"] > 0).sum()) % 2)
    data = data.assign(count=np.where((data["deploy"] == 1) & (np.arange(len(data)) % 3 > 0), 0, data["count"]))
    model = bg.Model(f"{left} ~ 1", data, family, zero="~ deploy")
    likelihoods = {}
    for sign in (-1.0, 1.0):
        fit = by_hand(model, {"Intercept": 1.0, "zero_Intercept": -2.0, "zero_beta": 3.0 * sign}, chains=1, draws=200)
        zeros = (fit.predict(quantities=["predicted"]).draws["predicted"] == 0).mean(("chain", "draw")).to_numpy()
        on, off = (zeros[data["deploy"].to_numpy() == value].mean() for value in (1, 0))
        assert (on > off) == (sign > 0)
        pointwise = log_likelihood(fit)
        likelihoods[sign] = pointwise.values[0] @ pointwise.frequency
    assert likelihoods[1.0] > likelihoods[-1.0] + 10.0


def test_the_zero_probability_is_that_of_a_zero():
    drawn = by_hand(
        bg.Model("count ~ 1", table(), "zero_inflated_poisson"), {"Intercept": 4.0, "zero_probability": 0.9}, draws=500
    )
    assert float((drawn.predict(quantities=["predicted"]).draws["predicted"] == 0).mean()) == pytest.approx(0.9, abs=0.01)


# --- leave-one-out


def weighted_and_expanded(family):
    response = "positive" if family.startswith("truncated") else "count"
    data = table().iloc[:40]
    weighted = bg.Model(f"{response} ~ x", data, family, weights="copies")
    expanded = bg.Model(f"{response} ~ x", data.loc[data.index.repeat(data["copies"])], family)
    rng = np.random.default_rng(0)
    given = {"Intercept": rng.normal(1.1, 0.05, 800), "beta": rng.normal(0.0, 0.05, (800, 1))}
    return [by_hand(model, given, chains=4, draws=200) for model in (weighted, expanded)]


@pytest.mark.parametrize("family", ["poisson", "truncated_poisson", "hurdle_poisson"])
def test_loo_of_weighted_rows_is_that_of_expanded_rows(family):
    """ArviZ on every row of the expanded table is the obvious version."""
    weighted, expanded = weighted_and_expanded(family)
    tree = xr.DataTree.from_dict(
        {
            "posterior": expanded.draws["posterior"].to_dataset(),
            "log_likelihood": to_dataset(expanded, log_likelihood(expanded), expanded=True),
        }
    )
    obvious = arviz_stats.loo(tree, pointwise=True)
    for fit in (weighted, expanded):
        found = fit.loo()
        assert found.n_data_points == table()["copies"][:40].sum()
        assert found.elpd == pytest.approx(obvious.elpd, rel=1e-9)
        assert found.se == pytest.approx(obvious.se, rel=1e-9)
        assert found.p == pytest.approx(obvious.p, rel=1e-6)


def test_the_density_of_a_truncated_row_is_that_of_what_was_kept():
    fit = by_hand(bg.Model("positive ~ 1", table(), "truncated_poisson"), {"Intercept": 0.2}, chains=1, draws=2)
    y = likelihood_units(fit.problem, "cell").response
    mu = np.exp(0.2)
    expected = stats.poisson.logpmf(y, mu) - np.log1p(-np.exp(-mu))
    np.testing.assert_allclose(log_likelihood(fit).values[0], expected, rtol=1e-10)


# --- bad data


def test_a_missing_value_in_new_data_is_no_zero():
    fit = by_hand(bg.Model("count ~ x + zone", table(), "poisson"), draws=10)
    for name, value in (("x", np.nan), ("zone", None)):
        new = table().iloc[:3].assign(**{name: [table()[name][0], value, table()[name][2]]})
        with pytest.raises(MissingValueError, match="row 1"):
            fit.predict(new)


@pytest.mark.parametrize("family", [name for name, each in FAMILIES.items() if each.support.kind in ("count", "successes")])
def test_fractional_counts_are_refused(family):
    left = "count | trials(1000)" if FAMILIES[family].trials else "count"
    data = table().assign(count=table()["positive"] + 0.5)
    with pytest.raises(ResponseError, match=r"no integers.*row 0"):
        bg.Model(f"{left} ~ x", data, family)


# --- memory

MEASURE = dedent("""
    import tracemalloc
    import numpy as np, pandas as pd
    import bayesglm as bg
    rows, groups = 100_000, 5_000
    rng = np.random.default_rng(0)
    data = pd.DataFrame({{"y": rng.poisson(2.0, rows), "x": rng.normal(size=rows), "z": rng.integers(0, 2, rows),
                          "g": np.char.add("service ", rng.integers(0, groups, rows).astype(str))}})
    bg.Model("y ~ x + (1 | g)", data.iloc[:500], "poisson")
    tracemalloc.start()
    model = bg.Model("{formula}", data, "{family}")
    print(tracemalloc.get_traced_memory()[1] / 2**20, len(model.problem.specification.predictors[0].blocks[0].levels))
""")


@pytest.mark.parametrize(
    ("formula", "family"),
    [
        ("y ~ x + (1 | g)", "poisson"),
        ("y ~ x + z + (1 + x | g)", "negative_binomial"),
        ("y ~ z + (1 + z | g) + (0 + x | g)", "poisson"),
    ],
)
def test_groups_are_never_built_dense(formula, family):
    """Dense indicators of 5,000 groups in 100,000 rows would take 4 GB, pairs of rows 80 GB."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE.format(formula=formula, family=family)], capture_output=True, text=True, check=True
    )
    peak, levels = map(float, done.stdout.split())
    assert levels == 5_000
    assert peak < 200


def test_the_posterior_holds_nothing_for_each_row():
    """What every row would get (mu, eta) is computed when it is asked for, and is no variable of the model."""
    data = table().assign(x=np.arange(240.0))
    model = bg.Model(
        "exposed ~ x + (1 + x | host) + rw(day)",
        data,
        "zero_inflated_negative_binomial",
        exposure="hours",
        zero="~ x + (1 | host)",
        dispersion="~ x",
    )
    for over in ("obs", "cell"):
        built = build(model.problem, over=over)
        kept = [each.name for each in (*built.free_RVs, *built.deterministics)]
        by_row = [name for name in kept if {"obs", "cell", "pattern"} & set(built.named_vars_to_dims.get(name) or ())]
        assert by_row == []
        assert max(int(np.prod(built[name].shape.eval())) for name in kept) < 240


# --- default priors

DESIGNS = {
    "intercept": "1",
    "three": "x + volume + share",
    "rare": "x + rare",
    "many levels": "zone*deploy + C(hour)",
    "group": "(1 | host)",
    "slope": "x + (1 + x | host)",
    "slope in large units": "volume + (1 + volume | host)",
    "groups": "(1 + deploy | host) + (1 | zone) + (1 | day)",
    "season": "season(hour, period=24)",
    "spline": "s(volume)",
    "walk": "rw(step)",
    "straight walk": "rw(step, order=2)",
    "autoregression": "ar(step)",
    "all": "x + volume + zone*deploy + (1 + x | host) + season(hour, period=24) + s(share) + rw(day)",
}
COUNTS = ("poisson", "negative_binomial", "negative_binomial_nb1", "zero_inflated_poisson", "hurdle_poisson")


def share_of_absurd(right, *, family="poisson", mean=50_000.0, exposure=None, **options):
    """Return the share of counts drawn from the priors that exceed a thousand times the largest one observed."""
    response = "exposed" if exposure else "count"
    model = bg.Model(f"{response} ~ {right}", table(mean=mean), family, exposure=exposure, **options)
    drawn = from_priors(model, draws=3000, seed=1).predict(quantities=["predicted"], seed=1)
    return float(drawn.exceeds(1000.0 * table(mean=mean)[response].max()).mean())


@pytest.mark.parametrize("mean", [0.05, 50_000.0])
@pytest.mark.parametrize("design", DESIGNS)
def test_default_priors_believe_no_absurd_counts(design, mean):
    assert share_of_absurd(DESIGNS[design], mean=mean) < 0.01


@pytest.mark.parametrize("exposure", [None, "hours"])
@pytest.mark.parametrize("family", COUNTS)
def test_default_priors_of_every_count_family_believe_no_absurd_counts(family, exposure):
    for design in ("intercept", "slope"):
        assert share_of_absurd(DESIGNS[design], family=family, exposure=exposure) < 0.01


def test_a_formula_for_the_dispersion_believes_no_absurd_counts():
    assert share_of_absurd("x", family="negative_binomial", exposure="hours", dispersion="~ x + (1 | host)") < 0.01


def test_wide_priors_are_seen_to_believe_absurd_counts():
    """Negative control: Normal(0, 10) on the coefficients, as for a response that is no logarithm."""
    wide = {"common": bg.priors.Normal(0.0, 10.0), "sd": bg.priors.HalfNormal(10.0)}
    assert share_of_absurd("share + x + (1 | host)", priors=wide) > 0.05


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_default_priors_do_not_depend_on_units(unit):
    """The prior of x in other units is that of x: per unit, with the intercept where it was."""
    models = [
        bg.Model("exposed ~ x + (1 + x | host)", data, "negative_binomial", exposure="hours")
        for data in (table(), table().assign(x=unit * table()["x"]))
    ]
    one, other = (each.problem.specification.priors.predictors["mu"] for each in models)
    assert other.coef[0].sigma == pytest.approx(one.coef[0].sigma / unit)
    assert [each.sigma for each in other.hyper["sd_host"]] == pytest.approx(
        [one.hyper["sd_host"][0].sigma, one.hyper["sd_host"][1].sigma / unit]
    )
    assert other.intercept == one.intercept


def test_a_rare_level_is_no_wide_prior():
    """One row in eighty: the prior of its coefficient is per level and not per sd of its column."""
    rare, common = (
        bg.Model(f"count ~ {name}", table(), "poisson").problem.specification.priors.predictors["mu"].coef[0]
        for name in ("rare", "deploy")
    )
    assert rare.sigma == common.sigma == 1.0


def test_a_slope_far_from_zero_asks_for_its_scale():
    data = table().assign(year=2000.0 + table()["day"])
    with pytest.raises(bg.BayesGLMError, match=r"`year`: has the mean.*scale\(year\)"):
        bg.Model("count ~ year + (1 + year | host)", data, "poisson")
    assert share_of_absurd("scale(step) + (1 + scale(step) | host)") < 0.01
    bg.Model("count ~ year + (1 | host)", data, "poisson")


# --- seeds, storage, links


def test_seeds_are_honoured_for_new_groups():
    fit = by_hand(bg.Model("exposed ~ x + (1 + x | host)", table(), "negative_binomial", exposure="hours"))
    new = table().iloc[:6].assign(host=["new", "new", "new", "0", "other", "other"], x=0.5)
    one, same, other = (fit.predict(new, seed=seed).draws for seed in (1, 1, 2))
    assert one.equals(same)
    unseen = [0, 1, 2, 4, 5]
    assert not np.any(one["rate"].to_numpy()[..., unseen] == other["rate"].to_numpy()[..., unseen])
    np.testing.assert_array_equal(one["rate"].to_numpy()[..., 3], other["rate"].to_numpy()[..., 3])
    shared = one["rate"].to_numpy()
    np.testing.assert_array_equal(shared[..., 0], shared[..., 2])
    assert not np.any(shared[..., 0] == shared[..., 4])


def test_a_saved_fit_predicts_the_same_without_its_data(tmp_path):
    fit = by_hand(
        bg.Model("exposed ~ scale(x)*zone + s(volume) + (1 + x | host)", table(), "negative_binomial", exposure="hours")
    )
    again = bg.load(fit.save(tmp_path / "fit.bayesglm"))
    assert again.problem is None
    new = table().iloc[:9].assign(host=["new", "0", "1"] * 3)
    for groups in ("conditional", "population", "typical"):
        assert again.predict(new, groups=groups, seed=4).draws.equals(fit.predict(new, groups=groups, seed=4).draws)


def test_the_default_link_of_a_gamma_is_the_logarithm():
    model = bg.Model("hours ~ x", table(), "gamma")
    assert model.problem.specification.predictors[0].link == "log"
    assert FAMILIES["gamma"].parameters[0].links[0] == "log"


def test_correlated_slopes_are_there():
    block = bg.Model("count ~ x + (1 + x | host)", table(), "poisson").problem.specification.predictors[0].blocks[0]
    assert "cor" in {each.key for each in block.hyperparameters}
    apart = bg.Model("count ~ x + (1 + x || host)", table(), "poisson").problem.specification.predictors[0].blocks[0]
    assert "cor" not in {each.key for each in apart.hyperparameters}
