"""What was observed: response, exposure, trials, weights, labels, and the audit of it all."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from bayesglm.data.audit import Audit, audit_of
from bayesglm.data.door import read_table
from bayesglm.data.observations import read_observations
from bayesglm.data.schema import Schema
from bayesglm.data.table import Roles
from bayesglm.errors import MissingColumnError, ResponseError, UnitError


def support(kind):
    return SimpleNamespace(kind=kind, rule="rule", faults=lambda values: ())


def observe(data, roles, kind="count", *, schema=None, trials=False, missing=None, **options):
    table, read = read_table(data, list(data), None if schema is None else schema, missing=missing)
    seen = read_observations(
        table,
        roles,
        support(kind),
        family_name="toy",
        takes_exposure=not trials,
        takes_trials=trials,
        schema=schema,
        **options,
    )
    return table, read, seen


def test_a_plain_count():
    _, _, seen = observe({"y": [0, 2, 5]}, Roles("y"))
    assert seen.response.tolist() == [0.0, 2.0, 5.0]
    assert seen.response.dtype == seen.weights.dtype == np.float64
    assert seen.weights.tolist() == [1.0, 1.0, 1.0]
    assert (seen.exposure, seen.trials, seen.levels, seen.labels, seen.findings) == (None, None, (), {}, ())
    assert seen.informative.all()


def test_counts_beyond_int32_stay_exact():
    large = [2**31, 2**32 + 1, 2**53]
    _, _, seen = observe({"y": large, "e": [1, 2, 3]}, Roles("y", exposure="e"))
    assert [int(value) for value in seen.response] == large


def test_zero_exposure_is_kept_and_named():
    data = {"y": [0, 3, 0, 1], "e": [0, 2.5, 0, 1], "id": ["p", "q", "r", "s"]}
    roles = Roles("y", exposure="e", id="id", exposure_unit="requests")
    table, schema, seen = observe(data, roles)
    assert seen.informative.tolist() == [False, True, False, True]
    audit = audit_of(table, schema, seen, roles)
    assert (audit.rows, audit.likelihood_rows, audit.represented) == (4, 2, 2)
    assert audit.zero_exposure.rows == (0, 2)
    assert audit.zero_exposure.names == ("p", "r")
    assert "exposure 0, predicted as 0: 2 (p, r)" in str(audit)
    assert seen.exposure_scale.median == 1.75


def test_zero_weights_are_kept_and_named():
    data = {"y": [7, 3, 4], "w": [0, 2, 3]}
    roles = Roles("y", weights="w")
    table, schema, seen = observe(data, roles)
    assert seen.informative.tolist() == [False, True, True]
    audit = audit_of(table, schema, seen, roles)
    assert (audit.zero_weight.rows, audit.likelihood_rows, audit.represented) == ((0,), 2, 5)
    assert "weight 0, left out: 1 (row 0)" in str(audit)
    assert "2 in the likelihood, standing for 5" in str(audit)


def test_trials_as_a_column_and_as_a_number():
    data = {"y": [0, 2, 0], "n": [1, 2, 0]}
    table, schema, seen = observe(data, Roles("y", trials="n"), "successes", trials=True)
    assert seen.trials.tolist() == [1.0, 2.0, 0.0]
    assert seen.informative.tolist() == [True, True, False]
    assert audit_of(table, schema, seen, Roles("y", trials="n")).zero_trials.rows == (2,)
    _, _, same = observe(data, Roles("y", trials=4), "successes", trials=True)
    assert same.trials.tolist() == [4.0, 4.0, 4.0]


@pytest.mark.parametrize("values", [[0, 1, 1], [False, True, True], [0.0, 1.0, 1.0]])
def test_binary_responses(values):
    assert observe({"y": values}, Roles("y"), "binary")[2].response.tolist() == [0.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("values", "levels", "codes"),
    [
        (["b", "a", "b"], ("a", "b"), [1, 0, 1]),
        ([10, 9, 10], ("9", "10"), [1, 0, 1]),
        ([True, False], ("False", "True"), [1, 0]),
    ],
)
def test_categorical_responses(values, levels, codes):
    _, schema, seen = observe({"y": values}, Roles("y"), "category")
    assert seen.levels == levels
    assert seen.response.tolist() == codes
    fitted = Schema.from_dict(json.loads(json.dumps(schema.with_observations(seen).to_dict())))
    _, _, again = observe({"y": values[:1]}, Roles("y"), "category", schema=fitted)
    assert again.levels == levels
    assert again.response.tolist() == codes[:1]


def test_a_new_response_level_is_refused():
    _, schema, seen = observe({"y": ["a", "b"]}, Roles("y"), "category")
    with pytest.raises(ResponseError, match=r"no level of the fit \(first at row 1: c\)"):
        observe({"y": ["b", "c"]}, Roles("y"), "category", schema=schema.with_observations(seen))


def test_a_constant_response_is_found():
    assert [each.kind for each in observe({"y": [2, 2]}, Roles("y"))[2].findings] == ["constant_response"]
    data = {"y": [2, 2, 0], "e": [1, 1, 0]}
    assert [each.kind for each in observe(data, Roles("y", exposure="e"))[2].findings] == ["constant_response"]


def test_labels_are_carried_through():
    data = {"y": [0, 1], "zone": ["a", "b"], "build": [3, 4], "t": np.array(["2024-01-01", "2024-01-02"], "M8[us]")}
    roles = Roles("y", context=("zone", "build"), time="t", id="zone")
    table, schema, seen = observe(data, roles)
    assert list(seen.labels) == ["zone", "build", "t"]
    assert seen.labels["zone"].tolist() == ["a", "b"]
    assert list(map(str, seen.labels["build"])) == ["3", "4"]
    assert audit_of(table, schema, seen, roles).time_range == (
        "2024-01-01T00:00:00.000000",
        "2024-01-02T00:00:00.000000",
    )


def fitted(exposure, unit=None):
    _, schema, seen = observe(
        {"y": [0, 1, 1], "e": exposure, "w": [1, 1, 1], "id": [1, 2, 3]},
        Roles("y", exposure="e", exposure_unit=unit, weights="w", id="id"),
    )
    return schema.with_observations(seen)


def test_new_data_need_no_response_weights_or_labels():
    schema = fitted([1.0, 2.0, 3.0])
    roles = Roles("y", exposure="e", weights="w", id="id")
    _, _, seen = observe({"e": [0.0, 2.0]}, roles, schema=schema, require_response=False)
    assert np.isnan(seen.response).all()
    assert seen.weights.tolist() == [1.0, 1.0]
    assert seen.informative.tolist() == [False, True]
    assert seen.labels == {}
    _, _, unexposed = observe({"e": [0.0]}, roles, schema=schema, require_response=False)
    assert unexposed.exposure_scale is None


def test_units_must_agree():
    schema = fitted([1.0, 2.0, 3.0], "minutes")
    assert schema.exposure.unit == "minutes"
    with pytest.raises(UnitError, match=r"'hours'.*'minutes'.*Convert"):
        observe({"e": [2.0]}, Roles("y", exposure="e", exposure_unit="hours"), schema=schema, require_response=False)
    for unit in ("Minutes", None):
        observe({"e": [2.0]}, Roles("y", exposure="e", exposure_unit=unit), schema=schema, require_response=False)


@pytest.mark.parametrize(
    ("ratio", "flagged"),
    [
        (60, True),
        (1 / 60, True),
        (3600, True),
        (24, True),
        (1000, True),
        (1024**2, True),
        (1 / 1024, True),
        (58, True),
        (1, False),
        (2, False),
        (0.1, False),
        (40, False),
        (300, False),
    ],
)
def test_an_exposure_on_another_scale_is_found(ratio, flagged):
    _, _, seen = observe(
        {"e": [1.0 * ratio, 2.0 * ratio, 5.0 * ratio]},
        Roles("y", exposure="e"),
        schema=fitted([1.0, 2.0, 3.0]),
        require_response=False,
    )
    assert [each.kind for each in seen.findings] == ["exposure_scale"] * flagged


def test_exposure_is_still_needed_for_new_data():
    with pytest.raises(MissingColumnError, match="e"):
        read_table({"x": [1]}, ["e"], fitted([1.0, 2.0, 3.0]))


def test_the_audit_survives_json_and_reads_well():
    data = {"y": [0, 3, 0, 0], "e": [0, 2, 1, 5], "x": [1.0, None, 2.0, 2.0]}
    roles = Roles("y", exposure="e")
    table, schema, seen = observe(data, roles, missing={"x": "impute"})
    audit = audit_of(table, schema, seen, roles).with_patterns(3)
    assert Audit.from_dict(json.loads(json.dumps(audit.to_dict()))) == audit
    assert str(audit).splitlines() == [
        "4 rows read, 3 in the likelihood",
        "distinct covariate patterns: 3",
        "exposure 0, predicted as 0: 1 (row 0)",
        "imputed: 1 cells of `x`",
        f"fingerprint: {schema.fingerprint[:12]}",
    ]


def test_integer_ids_are_named_as_integers():
    data = {"y": [0, 3, 1], "n": [0, 0, 2], "id": [101, 102, 103]}
    roles = Roles("y", weights="n", id="id")
    table, schema, seen = observe(data, roles)
    assert audit_of(table, schema, seen, roles).zero_weight.names == ("101", "102")


def test_many_named_rows_are_cut():
    data = {"y": [0] * 50 + [1], "e": [0] * 50 + [1]}
    roles = Roles("y", exposure="e")
    table, schema, seen = observe(data, roles)
    named = audit_of(table, schema, seen, roles).zero_exposure
    assert (named.count, len(named.rows)) == (50, 20)
    assert str(named).endswith("and 30 more)")
