"""Storage: a fit comes back bit by bit, nothing else comes back, and what was withheld is nowhere in the file."""

from __future__ import annotations

import builtins
import hashlib
import io
import json
import pickle
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import fields, replace
from functools import cache, partial
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import bayesglm as bg
from bayesglm import storage
from bayesglm.data.audit import NamedRows
from bayesglm.data.table import Finding
from bayesglm.engines.verdict import Drift, Moved, Verdict
from bayesglm.errors import OptionError, StorageError
from bayesglm.families.family import Family
from bayesglm.fitted import Fitted
from bayesglm.model import block_dims
from bayesglm.newdata import read_new_rows
from bayesglm.predict import predict_rows
from bayesglm.priors import known_priors
from bayesglm.registry import discover
from bayesglm.rows import rows_of
from bayesglm.storage.archive import MANIFEST, read_archive, write_archive
from bayesglm.storage.arrays import Variable, digest, pack, unpack
from bayesglm.storage.plain import dumps, loads
from bayesglm.versions import installed_versions

CHAINS, DRAWS = 2, 7
SECRET = "host-Zq7-пароль"
SECRET_COUNT = 48_613.0
SECRET_EXPOSURE = 917_354.0
ROWS = 64
HOSTILE = ("a/b", "c..", "δ☃ 🎲", "<script>", "it's \"quoted\"", "")


def frame(seed=5):
    """A table with a column for everything a formula can do, hostile level names, and planted secrets."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(ROWS // 4), 4)
    host = np.array([f"host-{i}" for i in range(ROWS)], dtype=object)
    host[11] = SECRET
    errors = rng.poisson(9.0, ROWS).astype(float)
    requests = rng.integers(100, 900, ROWS).astype(float)
    errors[11], requests[11] = SECRET_COUNT, SECRET_EXPOSURE
    return pd.DataFrame({
        "errors": errors, "requests": requests, "deploy": rng.integers(0, 2, ROWS), "load": rng.gamma(2.0, 3.0, ROWS),
        "hour": np.arange(ROWS) * 7 % 24, "day": day,
        "zone": np.array(["eu", "us", "ap", "sa"], dtype=object)[np.arange(ROWS) % 4],
        "service": np.array(HOSTILE, dtype=object)[np.arange(ROWS) % len(HOSTILE)], "host": host,
        "ticket": [f"T{i:04d}" for i in range(ROWS)], "at": pd.Timestamp("2026-03-01") + pd.to_timedelta(day, "D"),
        "outcome": np.array(["ok", "slow", "failed"], dtype=object)[np.arange(ROWS) % 3],
    })


def posterior(specification, seed=0):
    """Random numbers in the place of draws, under the names that the model gives them."""
    rng = np.random.default_rng(seed)
    data, coords = {}, {"chain": np.arange(CHAINS), "draw": np.arange(DRAWS)}

    def add(name, labels=None, positive=False):
        coords.update({dim: list(values) for dim, values in (labels or {}).items()})
        values = rng.normal(0.0, 0.3, (CHAINS, DRAWS, *(len(each) for each in (labels or {}).values())))
        data[name] = (("chain", "draw", *(labels or {})), np.abs(values) + 0.1 if positive else values)

    for each in specification.predictors:
        if each.intercept:
            add(each.name("Intercept"))
        if each.coef:
            add(each.name("beta"), {each.name("coef"): each.coef})
        for block in each.blocks:
            levels, effects = block_dims(block, each)
            for one in block.hyperparameters:
                if one.key == "cor":
                    other = f"{effects}_other"
                    coords.update({effects: list(one.labels), other: list(one.labels)})
                    size = len(one.labels)
                    matrix = np.full((CHAINS, DRAWS, size, size), 0.2)
                    matrix[..., np.arange(size), np.arange(size)] = 1.0
                    data[each.name(one.name)] = (("chain", "draw", effects, other), matrix)
                else:
                    add(each.name(one.name), {effects: one.labels} if one.labels else None, positive=one.key != "rho")
            add(each.name(f"effect_{block.name}"), {levels: block.levels, effects: block.effects})
    for each in specification.constant():
        add(each.name, positive=True)
        if each.name.endswith("probability"):
            data[each.name] = (data[each.name][0], data[each.name][1] / 3)
    return xr.Dataset(data, coords)


def fitted_of(model, **changed):
    """A fit of the model by hand."""
    stats = xr.Dataset({"diverging": (("chain", "draw"), np.zeros((CHAINS, DRAWS), bool))})
    draws = xr.DataTree.from_dict({"posterior": posterior(model.problem.specification), "sample_stats": stats})
    made = {
        "specification": model.problem.specification, "schema": model.schema, "audit": model.audit,
        "draws": bg.facade.with_data(draws, model.problem), "problem": model.problem, "engine": "nuts", "exact": True,
        "settings": {"draws": DRAWS, "cores": None, "target_accept": 0.85}, "seed": 2**63 + 1, "seconds": {"sample": 0.1 + 0.2},
        "notes": ("said by the engine",), "versions": installed_versions(), "created": "2026-03-04T05:06:07+00:00",
    }
    return Fitted(**{**made, **changed})


MODELS = {
    "common": ("errors ~ deploy * zone + load", "poisson", {"exposure": "requests"}),
    "groups": ("errors ~ deploy + (1 + deploy | service) + (1 | zone:service)", "negative_binomial",
               {"exposure": "requests", "dispersion_scaling": "exposure", "context": ["host"], "id": "ticket", "time": "at"}),
    "walks": ("errors ~ rw(day) + rw(at, order=2, by=zone)", "poisson", {}),
    "autoregression": ("errors ~ ar(at, by=zone)", "negative_binomial_nb1", {}),
    "season": ("errors ~ season(hour, period=24, by=zone) + s(load)", "poisson", {}),
    "spline": ("errors ~ s(log(load), knots=6, by=zone) + scale(load) + offset(log(load))", "poisson", {}),
    "zero": ("errors ~ deploy", "zero_inflated_negative_binomial", {"zero": "~ deploy + (1 | service)"}),
    "categorical": ("outcome ~ deploy + (1 | service)", "categorical", {}),
    "gaussian": ("load ~ deploy", "gaussian", {}),
}


@cache
def fit_of(name):
    formula, family, options = MODELS[name]
    return fitted_of(bg.Model(formula, frame(), family=family, **options))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "incidents.bglm"


def predicted(fitted, new, seed=3):
    rows = read_new_rows(fitted, new, exposure=None, unit=None, needs_exposure=True, samples=None)
    return predict_rows(fitted, rows, seed=seed).draws


def new_rows():
    """Rows with levels and times that the fit has not seen."""
    return frame(seed=8).iloc[:8].assign(
        service=["a/b", "new/one", "neu ☃", "", "a/b", "c..", "<script>", "new/one"],
        at=pd.Timestamp("2026-03-14") + pd.to_timedelta(np.arange(8), "D"), day=np.arange(8) + 12,
    )


def same(left, right):
    """Whether two trees or data sets are equal to the bit, dtypes and coordinates included."""
    left = left if isinstance(left, xr.DataTree) else xr.DataTree(left)
    right = right if isinstance(right, xr.DataTree) else xr.DataTree(right)
    assert left.identical(right)
    for mine, other in zip(left.subtree, right.subtree, strict=True):
        for name, each in mine.to_dataset().variables.items():
            assert each.dtype == other.to_dataset()[name].dtype
            if each.dtype.kind == "f":
                assert each.to_numpy().tobytes() == other.to_dataset()[name].to_numpy().tobytes()


def same_fit(left, right, without=("draws", "problem", "schema", "audit", "notes", "specification")):
    for each in fields(Fitted):
        if each.name not in without:
            assert getattr(left, each.name) == getattr(right, each.name), each.name
    one, two = left.specification, right.specification
    assert (one.roles, one.priors, one.exposure_median, one.response_levels) == (
        two.roles, two.priors, two.exposure_median, two.response_levels)
    assert [dumps(each.to_dict()) for each in one.predictors] == [dumps(each.to_dict()) for each in two.predictors]
    assert one.family.parameters == two.family.parameters or [each.name for each in one.family.parameters] == [
        each.name for each in two.family.parameters]
    assert dict(one.family.options) == dict(two.family.options)


@pytest.mark.parametrize("name", MODELS)
def test_a_fit_comes_back(name, path):
    fitted = fit_of(name)
    storage.save(fitted, path)
    back = storage.load(path)
    same_fit(back, fitted)
    assert back.notes == fitted.notes
    assert back.problem is None
    assert set(back.draws.children) == {"posterior", "sample_stats"}
    same(back.draws["posterior"].to_dataset(), fitted.draws["posterior"].to_dataset())
    same(back.draws["sample_stats"].to_dataset(), fitted.draws["sample_stats"].to_dataset())


@pytest.mark.parametrize("name", MODELS)
def test_predictions_come_back(name, path):
    fitted = fit_of(name)
    storage.save(fitted, path)
    same(predicted(storage.load(path), new_rows()), predicted(fitted, new_rows()))


@pytest.mark.parametrize("name", MODELS)
def test_the_data_come_back_when_asked(name, path):
    fitted = fit_of(name)
    storage.save(fitted, path, data=True)
    back = storage.load(path)
    same(back.draws, fitted.draws)
    assert (back.schema, back.audit) == (fitted.schema, fitted.audit)
    mine, other = back.data(), fitted.data()
    assert mine.specification is back.specification
    for one, two in ((mine.observations, other.observations), (mine.patterns, other.patterns)):
        for each in fields(one):
            same_values(getattr(one, each.name), getattr(two, each.name))
    same(predict_rows(back, rows_of(back, mine), seed=1).draws, predict_rows(fitted, rows_of(fitted, other), seed=1).draws)


def same_values(one, two):
    if isinstance(two, np.ndarray):
        assert one.dtype == two.dtype
        np.testing.assert_array_equal(one, two)
    elif isinstance(two, dict):
        assert list(one) == list(two)
        for key in two:
            same_values(one[key], two[key])
    elif hasattr(two, "columns"):
        assert (one.rows, one.findings, dict(one.imputed)) == (two.rows, two.findings, dict(two.imputed))
        for name, column in two.columns.items():
            same_values(one[name].values, column.values)
            assert (one[name].name, one[name].kind, one[name].levels) == (name, column.kind, column.levels)
            assert one[name].integer == column.integer
    else:
        assert one == two


def test_a_fit_without_data_cannot_be_saved_with_them(path):
    storage.save(fit_of("common"), path)
    back = storage.load(path)
    with pytest.raises(OptionError, match="without its data"):
        storage.save(back, path, data=True)


def test_the_facade_saves_and_loads(path):
    fitted = fit_of("common")
    fit = bg.Fit(**{each.name: getattr(fitted, each.name) for each in fields(fitted)})
    assert fit.save(path, data=True) == path
    back = bg.load(path)
    assert isinstance(back, bg.Fit)
    same(back.predict(seed=2).draws, fit.predict(seed=2).draws)
    assert back.summary().frame.equals(fit.summary().frame)
    assert str(back.check(seed=4)) == str(fit.check(seed=4))


SCRIPT = """
import json, pathlib, sys, numpy as np, pandas as pd, bayesglm as bg
new = pd.DataFrame(json.loads(pathlib.Path(sys.argv[2]).read_text()))
np.save(sys.argv[3], bg.load(sys.argv[1]).predict(new, seed=3).draws["predicted"].to_numpy())
"""


def test_a_fresh_process_predicts_the_same_for_new_levels(path, tmp_path):
    fitted = fit_of("groups")
    storage.save(fitted, path)
    new = new_rows()[["deploy", "service", "zone", "requests"]]
    (tmp_path / "new.json").write_text(json.dumps(new.to_dict("list")))
    home = Path(bg.__file__).parents[1]
    subprocess.run([sys.executable, "-W", "error", "-c", SCRIPT, path, tmp_path / "new.json", tmp_path / "out.npy"], check=True,
                   cwd=home)
    there = np.load(tmp_path / "out.npy", allow_pickle=False)
    assert there.tobytes() == predicted(fitted, new)["predicted"].to_numpy().tobytes()


# What is withheld -----------------------------------------------------------------------------------------------------------


def encodings(secret):
    """How a text or number may stand in a file: as text, in JSON, in NumPy's and HDF5's bytes."""
    if isinstance(secret, str):
        return [secret.encode(), json.dumps(secret)[1:-1].encode(), secret.encode("utf-16-le"), secret.encode("utf-32-le")]
    whole = str(int(secret)).encode()
    return [whole, np.float64(secret).tobytes(), np.int64(secret).tobytes(), np.float32(secret).tobytes()]


def found_in(content, secrets):
    return [secret for secret in secrets if any(each in content for each in encodings(secret))]


def revealing():
    """A fit that speaks of its rows wherever it can."""
    fitted = fit_of("groups")
    zero = NamedRows(2, (3, 20), ("T0003", SECRET))
    constant = Finding("constant_response", "errors", (), 3, f"every response is {SECRET_COUNT:g}")
    text = Finding("numeric_text", "ticket", (), 3, "numbers written as text")
    likelihood = xr.Dataset({"errors": (("chain", "draw", "obs"), np.full((CHAINS, DRAWS, 1), SECRET_COUNT))})
    draws = fitted.draws.copy()
    draws["log_likelihood"] = likelihood
    return replace(fitted, draws=draws, audit=replace(fitted.audit, zero_exposure=zero, findings=(constant, text)))


def test_nothing_of_the_rows_is_in_the_file(path):
    fitted = revealing()
    storage.save(fitted, path)
    assert found_in(path.read_bytes(), (SECRET, SECRET_COUNT, SECRET_EXPOSURE, "T0003", "host-7")) == []
    back = storage.load(path)
    assert back.audit.zero_exposure == NamedRows(2, (3, 20), ("row 3", "row 20"))
    assert [each.kind for each in back.audit.findings] == ["numeric_text"]


def test_the_search_finds_what_is_there(path):
    storage.save(revealing(), path, data=True)
    secrets = (SECRET, SECRET_COUNT, SECRET_EXPOSURE, "T0003", "host-7")
    assert found_in(path.read_bytes(), secrets) == list(secrets)


def test_what_predictions_need_stays(path):
    storage.save(fit_of("groups"), path)
    schema = storage.load(path).schema
    assert set(schema.columns["service"].levels) == set(HOSTILE)
    assert (schema.columns["deploy"].lower, schema.columns["deploy"].upper) == (0.0, 1.0)
    assert schema.columns["at"].lower == "2026-03-01T00:00:00.000000"
    assert schema.columns["host"].levels == ()
    assert schema.columns["errors"].upper is None
    assert schema.exposure == fit_of("groups").schema.exposure


def test_labels_whose_levels_are_withheld_are_no_news(path):
    from bayesglm.data.door import read_table

    storage.save(fit_of("groups"), path)
    table, _ = read_table(new_rows(), ["service", "host"], storage.load(path).schema)
    assert {each.column for each in table.findings} == {"service"}


def test_saving_twice_withholds_the_same(path):
    storage.save(fit_of("groups"), path)
    first = storage.read_manifest(path)
    storage.save(storage.load(path), path)
    assert storage.read_manifest(path)["content"] == first["content"]


# Names, families, priors ----------------------------------------------------------------------------------------------------


def test_hostile_column_names_come_back(path):
    new_names = {"errors": "err ors ☃", "zone": "zo ne: ü", "deploy": "/de`ploy", "host": "../ho\tst"}
    data = frame().rename(columns=new_names)
    model = bg.Model("`err ors ☃` ~ `/de``ploy` + (1 | `zo ne: ü`)", data, family="poisson", context=["../ho\tst"])
    fitted = fitted_of(model)
    storage.save(fitted, path, data=True)
    back = storage.load(path)
    same(back.draws, fitted.draws)
    assert list(back.data().observations.labels) == ["../ho\tst"]
    new = new_rows().rename(columns=new_names)
    same(predicted(back, new), predicted(fitted, new))


@pytest.mark.parametrize("values", [
    np.array(["", "a", "naïve 🎲"], dtype=object), np.array(["x", "yy"]), np.array(["a\0b", "\ud800"], dtype=object),
    np.array(["s", "long"], dtype=np.dtypes.StringDType()), np.array([True, False]), np.array([], dtype="<U3"),
    np.array([], dtype=np.float64), np.array([np.nan, -0.0, np.inf, 5e-324]), np.arange(3, dtype=np.uint64) + 2**63,
    np.array(["2026-01-01", "NaT"], dtype="datetime64[us]"), np.array([1, -1], dtype="timedelta64[s]"), np.array(3.5),
    np.array("scalar", dtype=object), np.arange(6, dtype=">f4").reshape(2, 3).T, np.arange(8, dtype=np.int8)[::2],
])
def test_every_kind_of_array_comes_back(values):
    dims = tuple(f"dim/{i}" for i in range(values.ndim))
    variable = Variable("gr/oup", "na me", dims, values, coord=False, attrs={"unit": "s"})
    (back,) = unpack(*pack([variable]))
    assert (back.group, back.name, back.dims, back.attrs) == ("gr/oup", "na me", dims, {"unit": "s"})
    assert back.values.shape == values.shape
    if values.dtype.kind in "OUT":
        assert back.values.dtype == values.dtype
        assert back.values.tolist() == values.tolist()
    else:
        assert back.values.dtype == values.dtype.newbyteorder("<")
        assert back.values.tobytes() == values.astype(values.dtype.newbyteorder("<")).tobytes()
    assert digest([back]) == digest([variable])


@pytest.mark.parametrize("values", [np.array([1 + 2j]), np.array(["a", 1], dtype=object), np.array([None], dtype=object)])
def test_other_arrays_are_refused(values):
    with pytest.raises(StorageError, match="texts"):
        pack([Variable("g", "v", ("d",), values)])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=5), min_size=1, max_size=4, unique=True))
def test_any_name_comes_back(names):
    variables = [Variable(name, other, (other, name + other), np.array([[float(i)]])) for i, name in enumerate(names)
                 for other in names if other != name + other]
    back = unpack(*pack(variables))
    assert [(each.group, each.name, each.dims) for each in back] == [(each.group, each.name, each.dims) for each in variables]
    assert digest(back) == digest(variables)


def test_other_readers_find_the_draws(path, tmp_path):
    fitted = fit_of("common")
    storage.save(fitted, path)
    (tmp_path / "draws.nc").write_bytes(read_archive(path)["draws.nc"])
    with xr.open_datatree(tmp_path / "draws.nc", engine="h5netcdf") as there:
        xr.testing.assert_equal(there["posterior"].to_dataset()["beta"], fitted.draws["posterior"].to_dataset()["beta"])
        assert there["sample_stats"].to_dataset()["diverging"].dtype == bool


@pytest.mark.parametrize("kind", sorted(known_priors()))
def test_every_prior_comes_back(kind, path):
    made = known_priors()[kind]
    prior = made(**{each.name: -0.1 - 0.2 if each.name in ("mu", "lower") else 0.1 + 0.2 for each in fields(made)})
    fitted = fit_of("groups")
    priors = fitted.specification.priors
    (name, of), *_ = priors.predictors.items()
    lines = tuple(replace(line, prior=prior, source="user") for line in priors.lines)
    given_priors = replace(
        priors, predictors={name: replace(of, intercept=prior, uncentred=True, coef=(prior,), hyper={"sd_service": (prior,)})},
        constants={"concentration": prior}, lines=lines,
    )
    storage.save(replace(fitted, specification=replace(fitted.specification, priors=given_priors)), path)
    assert storage.load(path).specification.priors == given_priors


@pytest.mark.parametrize("name", sorted(discover("bayesglm.families", Family)))
def test_every_family_comes_back(name):
    family = discover("bayesglm.families", Family)[name]
    levels = ("lo", "hi/☃", "mid") if family.for_levels is not None else ()
    bound = family.for_levels(levels) if levels else family
    saved = json.loads(dumps(storage.document.family_document(bound, levels)))
    assert saved["registered"]
    back = storage.document.read_family(saved, levels, None)
    assert [each.name for each in back.parameters] == [each.name for each in bound.parameters]


@pytest.mark.parametrize("options", [{"lower": 2, "upper": None}, {"lower": 2, "upper": 9_000}])
def test_options_of_a_family_come_back(options, path):
    family = discover("bayesglm.families", Family)["truncated_poisson"].with_options(**options)
    fitted = fitted_of(bg.Model("errors ~ deploy", frame().query("2 <= errors < 1000"), family=family))
    storage.save(fitted, path)
    back = storage.load(path)
    assert dict(back.specification.family.options) == dict(family.options)
    same(predicted(back, new_rows()), predicted(fitted, new_rows()))


def own_family(**changes):
    poisson = discover("bayesglm.families", Family)["poisson"]
    return replace(poisson, **{"mean": partial(lambda scale, p, trials: scale * poisson.mean(p, trials), 2.0), **changes})


@pytest.mark.parametrize("name", ["poisson", "my_poisson"])
def test_a_family_of_your_own_is_handed_in_again(name, path):
    family = own_family(name=name)
    fitted = fitted_of(bg.Model("errors ~ deploy", frame(), family=family))
    storage.save(fitted, path)
    with pytest.raises(StorageError, match=r"record of your own.*family=YOUR_FAMILY"):
        storage.load(path)
    back = storage.load(path, family=family)
    assert back.specification.family is family
    same(predicted(back, new_rows()), predicted(fitted, new_rows()))


def test_another_family_is_refused(path):
    storage.save(fit_of("common"), path)
    with pytest.raises(StorageError, match=r"made with 'poisson'"):
        storage.load(path, family=discover("bayesglm.families", Family)["negative_binomial"])


# Metadata -------------------------------------------------------------------------------------------------------------------

REQUIRED = {"format", "format_version", "version", "content", "members", "data_fingerprint", "time_range", "seed", "versions",
            "metrics", "engine", "settings", "seconds", "created", "schema", "audit", "specification", "notes", "complete",
            "modes"}


def test_the_manifest_says_how_the_fit_was_made(path):
    fitted = fit_of("groups")
    storage.save(fitted, path)
    manifest = storage.read_manifest(path)
    assert set(manifest) >= REQUIRED
    assert manifest["data_fingerprint"] == fitted.audit.fingerprint
    assert manifest["time_range"] == ["2026-03-01T00:00:00.000000", "2026-03-16T00:00:00.000000"]
    assert manifest["seed"] == 2**63 + 1
    assert manifest["versions"]["pymc"] == installed_versions()["pymc"]
    assert manifest["metrics"] | {"r_hat_max": 0, "ess_bulk_min": 0, "ess_tail_min": 0} == {
        "chains": CHAINS, "draws": DRAWS, "divergences": 0, "r_hat_max": 0, "ess_bulk_min": 0, "ess_tail_min": 0}
    assert manifest["metrics"]["r_hat_max"] > 0.9
    (line,) = [each for each in manifest["specification"]["priors"]["lines"] if each["name"] == "concentration"]
    assert line["source"] == "default"


VERDICT = Verdict(False, ("k-hat",), "weights", 1_000, 300.0, float("inf"), 0.67, 0.5, Moved(0.2, "beta[0]", 0.1, "sd"),
                  Drift(1.0, "beta[0]", 3.0, 0.9, 400))


@pytest.mark.parametrize("verdict", [VERDICT, replace(VERDICT, reliable=True, reasons=(), moved=None, drift=None)])
def test_the_verdict_on_an_approximation_comes_back(verdict, path):
    storage.save(replace(fit_of("common"), verdict=verdict, exact=False), path)
    back = storage.load(path)
    assert back.verdict == verdict
    assert storage.read_manifest(path)["metrics"]["r_hat_max"] is None


def content_of(fitted, path, **options):
    storage.save(fitted, path, **options)
    return storage.read_manifest(path)["content"]


def test_equal_fits_make_equal_files(path, tmp_path):
    assert content_of(fit_of("groups"), path) == content_of(fit_of("groups"), tmp_path / "again")
    assert path.read_bytes() == (tmp_path / "again").read_bytes()


def one_bit(fitted):
    draws = fitted.draws.copy(deep=True)
    values = draws["posterior"]["Intercept"].to_numpy().copy()
    values[0, 0] = np.nextafter(values[0, 0], np.inf)
    draws["posterior"] = draws["posterior"].to_dataset().assign(Intercept=(("chain", "draw"), values))
    return replace(fitted, draws=draws)


@pytest.mark.parametrize("change", [
    one_bit, lambda f: replace(f, seed=1), lambda f: replace(f, created="2026-03-04T05:06:08+00:00"),
    lambda f: replace(f, notes=()), lambda f: replace(f, verdict=VERDICT), lambda f: replace(f, complete=False),
    lambda f: replace(f, versions={}), lambda f: replace(f, modes=2), lambda f: replace(f, kind="variational"),
    lambda f: replace(f, audit=replace(f.audit, fingerprint="00" * 32)),
    lambda f: replace(f, specification=replace(f.specification, exposure_median=1.0)),
])
def test_every_change_changes_the_hash(change, path):
    assert content_of(change(fit_of("groups")), path) != content_of(fit_of("groups"), path)


def test_data_change_the_hash(path):
    assert content_of(fit_of("groups"), path, data=True) != content_of(fit_of("groups"), path)


def test_the_hash_is_of_the_fit_and_not_of_the_software(path, monkeypatch):
    before = content_of(fit_of("common"), path)
    monkeypatch.setattr("bayesglm.storage.saving.installed_versions", lambda: {"bayesglm": "9.9", "numpy": "9.9"})
    assert content_of(fit_of("common"), path) == before


def test_other_libraries_are_noted(path):
    fitted = replace(fit_of("common"), versions={**installed_versions(), "numpy": "0.1", "torch": "1"})
    storage.save(fitted, path)
    back = storage.load(path)
    assert back.notes == ("said by the engine", f"fitted with numpy 0.1; read with numpy {np.__version__}")
    assert back.versions == fitted.versions
    storage.save(back, path)
    assert storage.load(path).notes == back.notes


def test_numbers_that_json_lacks_come_back():
    value = {"x": [float("inf"), float("-inf"), 0.1 + 0.2, 5e-324, True, None, "\ud800\0"], "$number": "1", "n": {"$number": [1]}}
    assert loads(dumps(value)) == value
    assert np.isnan(loads(dumps({"x": np.nan}))["x"])


# Damage ---------------------------------------------------------------------------------------------------------------------


@cache
def whole():
    """The bytes of a small file."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "fit"
        storage.save(fit_of("gaussian"), place)
        return place.read_bytes()


def refused(content, path, match=None):
    path.write_bytes(content)
    with pytest.raises(StorageError, match=match) as caught:
        storage.load(path)
    assert str(path) in str(caught.value)
    assert caught.value.fix
    return caught.value


def test_every_flipped_byte_is_seen(tmp_path):
    content, path = whole(), tmp_path / "f"
    positions = np.unique(np.r_[0:60, np.linspace(0, len(content) - 1, 400).astype(int), len(content) - 400:len(content)])
    for position in positions:
        damaged = bytearray(content)
        damaged[position] ^= 1 << (position % 8)
        refused(bytes(damaged), path)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_damage_is_seen(data):
    content = whole()
    position = data.draw(st.integers(0, len(content) - 1))
    damaged = data.draw(st.sampled_from([
        content[:position],
        content[:position] + bytes([content[position] ^ data.draw(st.integers(1, 255))]) + content[position + 1:],
        content[:position] + b"\0" + content[position:], content + content[:position + 1],
    ]))
    with tempfile.TemporaryDirectory() as folder:
        refused(damaged, Path(folder) / "f")


def test_the_undamaged_file_loads(path):
    path.write_bytes(whole())
    assert storage.load(path).engine == "nuts"


def packed(members, *, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize(("content", "match"), [
    (b"", "no zip file"),
    (b"PK", "no zip file"),
    (pickle.dumps({"a": 1}), "no zip file"),
    (b"\x89HDF\r\n\x1a\n" + bytes(100), "no zip file"),
    (packed({"word/document.xml": b"<w/>"}), "zip file of something else"),
    (packed({MANIFEST: b"{}"}), "packed again"),
])
def test_foreign_files_are_refused(content, match, path):
    refused(content, path, match)


def members():
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "fit"
        place.write_bytes(whole())
        return read_archive(place)


def sealed(path, content):
    """Write members with a seal that holds, as somebody with bad intentions could."""
    write_archive(path, content)
    return path.read_bytes()


def edited(change):
    content = members()
    manifest = json.loads(content[MANIFEST])
    change(manifest)
    return {**content, MANIFEST: json.dumps(manifest).encode()}


def assign(*keys, value):
    def change(manifest):
        for key in keys[:-1]:
            manifest = manifest[key]
        manifest[keys[-1]] = value

    return change


@pytest.mark.parametrize(("change", "match"), [
    (assign("format", value="other"), "format 'other'"),
    (assign("format_version", value=2), r"format version 2.*Upgrade bayesglm"),
    (assign("seed", value=7), "does not hold the fit"),
    (assign("members", "draws.nc", "sha256", value="0"), "another draws.nc"),
    (assign("members", "draws.nc", "bytes", value=1), "another draws.nc"),
    (assign("members", value={}), "members"),
    (assign("arrays", value=[]), "does not hold the fit"),
    (assign("arrays", 0, "shape", value=[10**12]), "other than its record"),
    (assign("arrays", 0, "form", value="pickle"), "form 'pickle'"),
    (assign("arrays", 0, "at", value=None), "form"),
    (assign("arrays", 0, "at", value=["posterior", "nowhere"]), "no readable fit"),
    (lambda manifest: manifest.pop("specification"), "no readable fit"),
    (lambda manifest: manifest.pop("format"), "no readable fit"),
])
def test_a_manifest_that_does_not_fit_is_refused(change, match, path):
    refused(sealed(path, edited(change)), path, match)


@pytest.mark.parametrize(("change", "match"), [
    (lambda found: {**found, "run.py": b"import os"}, "members .*run.py"),
    (lambda found: {MANIFEST: found[MANIFEST]}, "members"),
    (lambda found: {"draws.nc": found["draws.nc"]}, "manifest.json"),
    (lambda found: {**found, MANIFEST: b"[" * 100_000}, "no readable fit"),
    (lambda found: {**found, MANIFEST: b"\xff"}, "no readable fit"),
    (lambda found: {**found, MANIFEST: b"7"}, "no readable fit"),
])
def test_other_members_are_refused(change, match, path):
    refused(sealed(path, change(members())), path, match)


def test_a_zip_bomb_is_refused_unopened(path):
    from bayesglm.storage import archive

    content = packed({MANIFEST: b" " * 2**26}, compression=zipfile.ZIP_DEFLATED)
    assert len(content) < 2**18
    with path.open("x+b") as file:
        file.write(content[:-2] + (len(archive._SEAL) + 64).to_bytes(2, "little") + archive._SEAL + b"0" * 64)
        archive._seal(file)
    refused(path.read_bytes(), path, "compressed")


def reaching_out(tmp_path):
    """A draws.nc whose first array lies in another file."""
    (tmp_path / "outside").write_bytes(bytes(8 * CHAINS * DRAWS))
    file = io.BytesIO(members()["draws.nc"])
    with h5py.File(file, "r+") as root:
        shape = root["posterior/Intercept"].shape
        del root["posterior/Intercept"]
        root["posterior"].create_dataset("Intercept", shape, "f8", external=[(str(tmp_path / "outside"), 0, 8 * CHAINS * DRAWS)])
    return file.getvalue()


def test_a_file_that_reads_other_files_is_refused(path, tmp_path):
    content = reaching_out(tmp_path)
    about = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    found = edited(assign("members", "draws.nc", value=about))
    refused(sealed(path, {**found, "draws.nc": content}), path, "other than its record")


def test_unknown_members_of_the_model_are_named(path):
    content = members()
    manifest = json.loads(content[MANIFEST])
    known = storage.document.read_specification
    for keys, match in (
        (("priors", "constants", "sigma", "prior"), "prior 'nobody' is not known"),
        (("family", "name"), "family 'nobody' is not known"),
        (("predictors", 0, "pieces", 0, "term"), "kind 'nobody'"),
    ):
        saved = json.loads(json.dumps(manifest["specification"]))
        assign(*keys, value="nobody")(saved)
        with pytest.raises(StorageError, match=match):
            known(saved, None)


def test_loading_executes_nothing(path, monkeypatch):
    storage.save(fit_of("groups"), path, data=True)
    storage.load(path)

    def never(*args, **kwargs):
        raise AssertionError("code was run")

    for owner, name in ((pickle, "loads"), (pickle, "load"), (pickle, "Unpickler"), (builtins, "eval")):
        monkeypatch.setattr(owner, name, never)
    storage.load(path)


def test_no_module_of_the_storage_can_run_code():
    for module in Path(storage.__file__).parent.glob("*.py"):
        text = module.read_text(encoding="utf-8")
        assert not any(word in text for word in ("import pickle", "eval(", "exec(", "allow_pickle", "importlib"))


# Writing --------------------------------------------------------------------------------------------------------------------


def test_a_folder_is_not_overwritten(tmp_path):
    with pytest.raises(StorageError, match=r"is a folder.*fit\.bglm"):
        storage.save(fit_of("common"), tmp_path)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(StorageError, match=r"no folder .*nowhere.*Make the folder"):
        storage.save(fit_of("common"), tmp_path / "nowhere" / "fit.bglm")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(StorageError, match=r"none\.bglm cannot be read: No such file"):
        storage.load(tmp_path / "none.bglm")
    with pytest.raises(StorageError, match="cannot be read"):
        storage.load(tmp_path)


def test_a_failed_write_leaves_the_old_file(path, monkeypatch):
    storage.save(fit_of("common"), path)
    before = path.read_bytes()

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bayesglm.storage.archive.os.replace", full)
    with pytest.raises(StorageError, match="No space left"):
        storage.save(fit_of("groups"), path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_file_is_replaced_and_nothing_is_left(path):
    storage.save(fit_of("common"), path)
    storage.save(fit_of("gaussian"), str(path))
    assert storage.load(path).specification.roles.response == "load"
    assert list(path.parent.iterdir()) == [path]
