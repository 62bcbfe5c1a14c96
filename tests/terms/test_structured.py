"""Seasons, splines, walks and autoregressions: one table of cases runs through the laws; then what each adds."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from scipy.signal import lfilter

from bayesglm.data.table import Column, Table
from bayesglm.errors import BayesGLMError, ColumnTypeError, DesignError, LevelError, OptionError
from bayesglm.formula import Variable, parse
from bayesglm.terms import autoregression, scalar, season, spline, walk
from bayesglm.terms.curves import WHOLE
from bayesglm.terms.grid import MOST_NODES
from bayesglm.terms.paths import grid_of
from bayesglm.terms.term import Context

MEMBERS = (season.MEMBER, spline.MEMBER, walk.MEMBER, autoregression.MEMBER)
SIGNATURES = {each.name: each for member in MEMBERS for each in member.signatures}
SIGNATURES |= {each.name: each for each in scalar.SIGNATURES}
TERMS = {member.name: member for member in MEMBERS}
REGIONS = ("east", "north", "west")
DAYS = (3, 4, 7, 8, 9, 12, 15, 16)
DRAWS = 20_000


def numbers(name, values):
    return Column(name, "numeric", np.asarray(values, dtype=np.float64))


def times(name, values):
    return Column(name, "time", np.asarray(values, dtype="datetime64[us]"))


def labels(name, values, levels=None):
    levels = tuple(sorted(set(values))) if levels is None else levels
    return Column(name, "category", np.array([levels.index(value) for value in values], dtype=np.int64), levels)


def table_of(*columns):
    return Table({column.name: column for column in columns}, len(columns[0].values))


@cache
def old_table():
    """Three regions at eight days with gaps, an hour and a load that is no grid."""
    rng = np.random.default_rng(3)
    day = np.repeat(DAYS, len(REGIONS)).astype(float)
    hour = (7 * np.arange(len(day))) % 24
    stamp = np.datetime64("2024-02-27") + (day - 3).astype(int) * np.timedelta64(1, "D") + hour * np.timedelta64(1, "h")
    return table_of(
        numbers("day", day), numbers("hour", hour), numbers("load", rng.gamma(2.0, 10.0, len(day))),
        labels("region", list(REGIONS) * len(DAYS)), times("stamp", stamp),
        times("date", np.datetime64("2024-02-27") + (day - 3).astype(int) * np.timedelta64(1, "D")),
    )


def with_columns(*columns):
    return Table({**old_table().columns, **{column.name: column for column in columns}}, old_table().rows)


def node_of(text):
    return parse(f"y ~ {text}", SIGNATURES).structured[0]


def learn(text, table=None, counts=None):
    table = old_table() if table is None else table
    node = node_of(text)
    counts = np.arange(1.0, table.rows + 1) if counts is None else counts
    return TERMS[node.function], TERMS[node.function].learn(node, table, Context(counts))


CASES = (
    "season(hour, period=24)",
    "season(hour, period=24, harmonics=2, by=region)",
    'season(stamp, period="1d", harmonics=4)',
    'season(stamp, period="12h30m", harmonics=1, by=region)',
    "s(load)",
    "s(log(load), knots=6)",
    "s(load, knots=9, by=region)",
    "rw(day)",
    "rw(day, by=region)",
    "rw(day, order=2)",
    "rw(date, order=2, by=region)",
    "ar(day)",
    "ar(date, by=region)",
)
THETAS = ({"sd": 0.7, "rho": 0.6}, {"sd": 1.9, "rho": -0.85})


def loading(block, theta):
    """Return Lambda(theta) column by column, from the compiled state."""
    z = pt.dmatrix("z")
    symbols = {each.key: pt.dscalar(each.key) for each in block.hyperparameters}
    state = pytensor.function([z, *symbols.values()], block.state(z, symbols), mode="FAST_COMPILE")
    values = [np.float64(theta[key]) for key in symbols]
    units = np.eye(int(np.prod(block.innovations)))
    return np.stack([state(unit.reshape(block.innovations), *values).ravel() for unit in units], axis=1)


def one_block(text, table=None):
    term, state = learn(text, table)
    (block,) = term.blocks(state)
    return block


def theta_of(theta, draws=None):
    return {key: np.float64(value) if draws is None else np.full(draws, value) for key, value in theta.items()}


def same_coding(left, right):
    assert (left.columns is None) == (right.columns is None)
    if left.columns is not None:
        assert left.columns.names == right.columns.names
        assert left.columns.readings == right.columns.readings
        np.testing.assert_array_equal(left.columns.values, right.columns.values)
    for a, b in zip(left.bases, right.bases, strict=True):
        np.testing.assert_array_equal(a.values, b.values)
        np.testing.assert_array_equal(a.index, b.index)
        assert (a.known, a.added) == (b.known, b.added)


# Laws over all cases


@pytest.mark.parametrize("theta", THETAS, ids=["positive", "negative"])
@pytest.mark.parametrize("text", CASES)
def test_state_and_precision_describe_the_same_distribution(text, theta):
    block = one_block(text)
    factor = loading(block, theta)
    precision = block.precision(theta_of(theta)).toarray()
    covariance = np.linalg.pinv(precision, rcond=1e-11, hermitian=True)
    np.testing.assert_allclose(factor @ factor.T, covariance, rtol=1e-8, atol=1e-8 * np.abs(covariance).max())
    assert np.linalg.matrix_rank(precision) == np.prod(block.innovations)


@pytest.mark.parametrize("text", ["ar(day)", "rw(day)", "rw(day, order=2)"])
def test_a_wrong_precision_is_seen(text):
    block = one_block(text)
    factor = loading(block, THETAS[0])
    precision = block.precision(theta_of(THETAS[0])).tolil()
    precision[3, 4] = precision[4, 3] = 1.02 * precision[3, 4]
    covariance = np.linalg.pinv(precision.toarray(), rcond=1e-11, hermitian=True)
    assert np.abs(factor @ factor.T - covariance).max() > 1e-4 * np.abs(covariance).max()


@pytest.mark.parametrize("text", CASES)
def test_block_and_basis_agree_on_their_shapes(text):
    term, state = learn(text)
    coded = term.code(state, old_table())
    (block,), (basis,) = term.blocks(state), coded.bases
    size = len(block.levels) * len(block.effects)
    assert basis.values.shape == (old_table().rows, len(block.effects))
    assert basis.known == len(block.levels) == len(set(block.levels))
    assert basis.added == ()
    assert not basis.new.any()
    assert block.precision(theta_of(THETAS[0])).shape == (size, size)
    assert loading(block, THETAS[0]).shape == (size, np.prod(block.innovations))
    assert {each.key for each in block.hyperparameters} == ({"sd", "rho"} if text.startswith("ar") else {"sd"})
    for each in block.hyperparameters:
        assert each.name == f"{each.key}_{block.name}"
    assert "/" not in block.name + block.level_dim + block.effect_dim


@pytest.mark.parametrize("text", CASES)
def test_the_saved_state_codes_and_believes_the_same(text):
    term, state = learn(text)
    back = json.loads(json.dumps(state))
    assert back == state
    same_coding(term.code(back, old_table()), term.code(state, old_table()))
    (one,), (two,) = term.blocks(back), term.blocks(state)
    for part in ("name", "levels", "effects", "level_dim", "effect_dim", "hyperparameters", "innovations", "role"):
        assert getattr(one, part) == getattr(two, part)
    np.testing.assert_array_equal(loading(one, THETAS[1]), loading(two, THETAS[1]))


@pytest.mark.parametrize("text", CASES)
def test_permuted_rows_change_nothing(text):
    term, state = learn(text)
    order = np.random.default_rng(8).permutation(old_table().rows)
    _, shuffled = learn(text, old_table().take(order), np.arange(1.0, len(order) + 1)[order])
    expected, found = term.code(state, old_table()), term.code(state, old_table().take(order))
    again = term.code(shuffled, old_table().take(order))
    for coded in (found, again):
        np.testing.assert_array_equal(coded.bases[0].index, expected.bases[0].index[order])
        np.testing.assert_allclose(coded.bases[0].values, expected.bases[0].values[order], rtol=1e-9, atol=1e-12)
        if expected.columns is not None:
            np.testing.assert_allclose(coded.columns.values, expected.columns.values[order], rtol=1e-9, atol=1e-12)
    assert term.blocks(state)[0].levels == term.blocks(shuffled)[0].levels


@pytest.mark.parametrize("text", [text for text in CASES if "by=region" in text])
def test_relabelled_levels_change_labels_only(text):
    term, state = learn(text)
    renamed = {"east": "r1", "north": "r2", "west": "r3"}
    codes = old_table()["region"].values
    table = with_columns(Column("region", "category", codes, tuple(renamed.values())))
    _, other = learn(text, table)
    same_coding_values(term.code(state, old_table()), term.code(other, table))
    (one,), (two,) = term.blocks(state), term.blocks(other)
    heads = [level.split(" @ ")[0] for level in one.levels]
    expected = [level.replace(head, renamed[head]) for level, head in zip(one.levels, heads, strict=True)]
    assert list(two.levels) == expected
    np.testing.assert_array_equal(loading(one, THETAS[0]), loading(two, THETAS[0]))


def same_coding_values(left, right):
    for a, b in zip(left.bases, right.bases, strict=True):
        np.testing.assert_array_equal(a.values, b.values)
        np.testing.assert_array_equal(a.index, b.index)
    if left.columns is not None:
        np.testing.assert_array_equal(left.columns.values, right.columns.values)


@pytest.mark.parametrize("text", [text for text in CASES if "by=region" in text])
def test_levels_in_another_order_and_unused_ones_are_found_by_name(text):
    term, state = learn(text)
    levels = ("west", "south", "east", "north")
    column = old_table()["region"]
    codes = np.array([levels.index(column.levels[code]) for code in column.values])
    table = with_columns(Column("region", "category", codes, levels))
    same_coding(term.code(state, old_table()), term.code(state, table))


@pytest.mark.parametrize("text", CASES)
def test_one_row_is_coded_without_the_old_data(text):
    term, state = learn(text)
    whole = term.code(state, old_table())
    one = term.code(state, old_table().take(np.array([5])))
    np.testing.assert_array_equal(one.bases[0].values[0], whole.bases[0].values[5])
    assert one.bases[0].index[0] == whole.bases[0].index[5]


@pytest.mark.parametrize("text", ["s(load, knots=9, by=region)", "rw(day, order=2)", "ar(date, by=region)"])
def test_the_gradient_compiles_without_objects_and_without_a_loop(text):
    block = one_block(text)
    z = pt.dmatrix("z")
    symbols = {each.key: pt.dscalar(each.key) for each in block.hyperparameters}
    x = block.state(z, symbols)
    assert x.dtype == "float64"
    gradient = pytensor.grad((x * np.arange(1.0, x.type.ndim)).sum() + (x**2).sum(), [z, *symbols.values()])
    compiled = pytensor.function([z, *symbols.values()], [x, *gradient], mode="NUMBA")
    assert not any("Scan" in str(each.op) for each in compiled.maker.fgraph.apply_nodes)
    rng = np.random.default_rng(1)
    at = rng.standard_normal(block.innovations)
    values = {"sd": 0.8, "rho": 0.4}
    found, *slopes = compiled(at, *[np.float64(values[key]) for key in symbols])
    np.testing.assert_allclose(found.ravel(), loading(block, values) @ at.ravel(), rtol=1e-10, atol=1e-12)
    assert all(np.isfinite(slope).all() for slope in slopes)


def test_a_long_autoregression_compiles_and_is_the_recursion():
    nodes, rho = 3000, -0.97
    z, sd, symbol = pt.dmatrix("z"), pt.dscalar("sd"), pt.dscalar("rho")
    x = autoregression.autoregression_state(z, {"sd": sd, "rho": symbol}, 2, nodes)
    compiled = pytensor.function([z, sd, symbol], [x, pytensor.grad((x**2).sum(), symbol)], mode="NUMBA")
    at = np.random.default_rng(4).standard_normal((2 * nodes, 1))

    def recursion(rho):
        innovations = 0.5 * at.reshape(2, nodes) * np.where(np.arange(nodes) == 0, 1.0, np.sqrt(1 - rho**2))
        return lfilter([1.0], [1.0, -rho], innovations, axis=1)

    found, slope = compiled(at, np.float64(0.5), np.float64(rho))
    np.testing.assert_allclose(found.reshape(2, nodes), recursion(rho), rtol=1e-9, atol=1e-11)
    difference = ((recursion(rho + 1e-6) ** 2).sum() - (recursion(rho - 1e-6) ** 2).sum()) / 2e-6
    assert slope == pytest.approx(difference, rel=1e-5)


def test_derivatives_of_an_autoregression_are_finite_without_autocorrelation():
    z, rho = pt.dmatrix("z"), pt.dscalar("rho")
    x = autoregression.autoregression_state(z, {"sd": pt.as_tensor(np.float64(1.0)), "rho": rho}, 1, 20)
    first = pytensor.grad((x**2).sum(), rho)
    compiled = pytensor.function([z, rho], [first, pytensor.grad(first, rho)], mode="FAST_COMPILE")
    assert np.isfinite(compiled(np.ones((20, 1)), np.float64(0.0))).all()


# Constraints and projections


@pytest.mark.parametrize("text", ["rw(day)", "rw(day, order=2)", "rw(date, order=2, by=region)"])
def test_a_walk_has_no_mean_and_at_order_two_no_line(text):
    term, state = learn(text)
    nodes = grid_of(state).nodes
    paths = loading(term.blocks(state)[0], THETAS[0]).reshape(len(state["levels"]), nodes, -1)
    np.testing.assert_allclose(paths.sum(axis=1), 0, atol=1e-11)
    if state["order"] == 2:
        np.testing.assert_allclose(np.einsum("pnz,n->pz", paths, np.arange(nodes)), 0, atol=1e-10)


@pytest.mark.parametrize("order", [1, 2])
def test_the_innovations_of_a_walk_are_its_differences(order):
    factor = loading(one_block(f"rw(day, order={order})"), {"sd": 0.3})
    np.testing.assert_allclose(np.diff(factor, order, axis=0), 0.3 * np.eye(factor.shape[1]), atol=1e-12)


@pytest.mark.parametrize(("nodes", "order", "error"), [(50, 1, 1e-12), (50, 2, 2e-2)])
def test_the_default_prior_of_a_walk_speaks_of_the_whole_path(nodes, order, error):
    structure = walk.structure(nodes, order).toarray()
    variance = np.trace(np.linalg.pinv(structure, rcond=1e-11, hermitian=True)) / nodes
    assert walk.typical_size(nodes, order) == pytest.approx(np.sqrt(variance), rel=error)


def test_a_spline_is_orthogonal_to_its_line_and_of_unit_size():
    term, state = learn("s(load)")
    coded = term.code(state, old_table())
    weights = np.arange(1.0, old_table().rows + 1)
    weights /= weights.sum()
    line, values = coded.columns.values[:, 0], coded.bases[0].values
    np.testing.assert_allclose([weights @ line, weights @ line**2], [0, 1], atol=1e-12)
    np.testing.assert_allclose(weights @ values, 0, atol=1e-10)
    np.testing.assert_allclose((weights * line) @ values, 0, atol=1e-10)
    assert weights @ (values**2).sum(axis=1) == pytest.approx(1.0)


def test_a_spline_penalises_second_differences_of_b_spline_coefficients():
    """Second differences of the curve at its knots are those of a P-spline with coefficients u."""
    term, state = learn("s(load, knots=8)")
    grid = np.linspace(state["low"], state["high"], 8)
    values = term.code(state, table_of(numbers("load", grid))).bases[0].values * state["size"]
    # At the knots a cubic B-spline curve is (b0 + 4 b1 + b2) / 6, so its second differences average neighbouring u.
    average = np.diff(values, 2, axis=0)
    expected = (np.eye(8)[:-2] + 4 * np.eye(8)[1:-1] + np.eye(8)[2:]) / 6
    np.testing.assert_allclose(average, expected, atol=1e-10)


def test_a_spline_goes_on_straight():
    term, state = learn("s(load)")
    high, step = state["high"], 1e-4 * (state["high"] - state["low"])
    for start, sign in ((state["low"], -1.0), (high, 1.0)):
        beyond = table_of(numbers("load", start + sign * np.array([0.0, 1.0, 2.0, 3.0]) * (high - state["low"])))
        coded = term.code(state, beyond)
        np.testing.assert_allclose(np.diff(coded.bases[0].values, 2, axis=0), 0, atol=1e-8)
        np.testing.assert_allclose(np.diff(coded.columns.values, 2, axis=0), 0, atol=1e-8)
        near = table_of(numbers("load", start + sign * step * np.array([-1.0, 0.0, 1.0])))
        inside, outside = np.diff(term.code(state, near).bases[0].values, axis=0)
        np.testing.assert_allclose(inside, outside, atol=1e-3 * np.abs(outside).max())


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e9])
def test_a_spline_does_not_depend_on_the_unit(scale):
    term, state = learn("s(load)")
    load = old_table()["load"].values
    other = table_of(numbers("load", 4.0 * scale + scale * load))
    _, moved = learn("s(load)", other)
    found, expected = (t.code(s, data).bases[0].values for t, s, data in
                       ((term, moved, other), (term, state, old_table())))
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_many_knots_recover_a_sine():
    """With the line, the intercept and an sd of 1 the ridge fit of sin is closer than 0.02 everywhere inside."""
    x = np.linspace(0, 10, 400)
    table = table_of(numbers("x", x))
    term, state = learn("s(x)", table, np.ones(400))
    coded = term.code(state, table)
    design = np.column_stack([np.ones(400), coded.columns.values, coded.bases[0].values])
    penalty = np.diag([0.0, 0.0] + [1e-4] * 20)
    fitted = design @ np.linalg.solve(design.T @ design + penalty, design.T @ np.sin(x))
    assert np.abs(fitted - np.sin(x)).max() < 0.02


def test_the_harmonics_are_sines_and_cosines():
    term, state = learn("season(hour, period=24, harmonics=2)")
    values = term.code(state, old_table()).bases[0].values
    turn = 2 * np.pi * old_table()["hour"].values / 24
    expected = np.column_stack([np.sin(turn), np.cos(turn), np.sin(2 * turn), np.cos(2 * turn)])
    np.testing.assert_allclose(values, expected, atol=1e-12)
    assert term.blocks(state)[0].effects == ("sin1", "cos1", "sin2", "cos2")
    assert term.blocks(state)[0].levels == (WHOLE,)
    shifted = table_of(numbers("hour", old_table()["hour"].values - 48))
    np.testing.assert_allclose(term.code(state, shifted).bases[0].values, expected, atol=1e-12)


def test_a_season_of_times_equals_a_season_of_hours():
    numeric, number_state = learn("season(hour, period=24)")
    timed, time_state = learn('season(stamp, period="1d")')
    np.testing.assert_allclose(timed.code(time_state, old_table()).bases[0].values,
                               numeric.code(number_state, old_table()).bases[0].values, atol=1e-12)


# Times


@pytest.mark.parametrize("text", ["rw({})", "rw({}, order=2, by=region)", "ar({}, by=region)"])
def test_times_and_numbers_agree(text):
    term, of_days = learn(text.format("day"))
    _, of_dates = learn(text.format("date"))
    same_coding_values(term.code(of_days, old_table()), term.code(of_dates, old_table()))
    days, dates = term.blocks(of_days)[0], term.blocks(of_dates)[0]
    np.testing.assert_array_equal(loading(days, THETAS[0]), loading(dates, THETAS[0]))
    if "order=2" not in text and "by" not in text:
        assert days.levels[:3] == ("3", "4", "5")
        assert dates.levels[:4] == ("2024-02-27", "2024-02-28", "2024-02-29", "2024-03-01")


def test_gaps_are_nodes_that_no_row_reads():
    term, state = learn("rw(day)")
    (basis,) = term.code(state, old_table()).bases
    assert term.blocks(state)[0].levels == tuple(str(day) for day in range(3, 17))
    np.testing.assert_array_equal(basis.index, old_table()["day"].values - 3)
    assert set(range(14)) - set(basis.index) == {2, 3, 7, 8, 10, 11}


@pytest.mark.parametrize(("values", "step", "nodes"), [
    ([0.1, 0.3, 0.4, 1.0], 0.1, 10), ([1e9, 1e9 + 300, 1e9 + 900], 300, 4), ([-2.5, 0, 5], 2.5, 4), ([7, 10, 16], 3, 4),
    ([1 / 3, 2 / 3, 5 / 3], 1 / 3, 5), (np.arange(5000) * 0.01, 0.01, 5000),
])
def test_the_step_is_the_greatest_common_one(values, step, nodes):
    values = np.asarray(values, dtype=float)
    term, state = learn("rw(t)", table_of(numbers("t", values)))
    grid = grid_of(state)
    assert grid.step == pytest.approx(step, rel=1e-9)
    assert grid.nodes == nodes
    np.testing.assert_array_equal(grid.number(numbers("t", values)), np.round((values - values[0]) / step))
    np.testing.assert_array_equal([grid.node(label) for label in grid.labels(np.arange(nodes))], np.arange(nodes))
    assert term.blocks(state)[0].levels == tuple(grid.labels(np.arange(nodes)))


@pytest.mark.parametrize(("stamps", "step", "first"), [
    (["2024-01-01", "2024-01-03", "2024-01-04"], "1 day", "2024-01-01"),
    (["2024-01-01T06", "2024-01-01T12", "2024-01-02T06"], "6 hours", "2024-01-01T06:00"),
    (["2024-01-01T06:00:10", "2024-01-01T06:01:40"], "1 minute 30 seconds", "2024-01-01T06:00:10"),
])
def test_steps_and_labels_of_times_are_readable(stamps, step, first):
    _, state = learn("ar(t)", table_of(times("t", stamps)))
    grid = grid_of(state)
    assert grid.spacing == step
    assert grid.label(0) == first
    np.testing.assert_array_equal([grid.node(label) for label in grid.labels(np.arange(grid.nodes + 3))],
                                  np.arange(grid.nodes + 3))


# New levels and times


def future(text, days, region=None):
    columns = [numbers("day", days)]
    columns += [] if region is None else [labels("region", region)]
    term, state = learn(text)
    return term.blocks(state)[0], term.code(state, table_of(*columns)).bases[0]


def conditional(precision, known, wanted, values):
    """Return mean and covariance of the wanted nodes given all known ones, the others integrated out."""
    rest = np.setdiff1d(np.arange(len(precision)), known)
    covariance = np.linalg.inv(precision[np.ix_(rest, rest)])
    mean = -covariance @ precision[np.ix_(rest, known)] @ values
    place = np.searchsorted(rest, wanted)
    return mean[place], covariance[np.ix_(place, place)]


def agrees(draws, mean, covariance):
    """Return whether draws (draw, node) have this mean and covariance, within 4.5 Monte Carlo errors."""
    n = len(draws)
    sd = np.sqrt(np.diag(covariance))
    off_mean = np.abs(draws.mean(axis=0) - mean) / (sd / np.sqrt(n))
    error = np.sqrt((covariance**2 + np.outer(sd**2, sd**2)) / n)
    off_covariance = np.abs(np.cov(draws, rowvar=False) - covariance) / error
    return off_mean.max() < 4.5 and off_covariance.max() < 4.5


def long_precision(text, theta, nodes):
    """Return the precision over a longer grid, written down on its own."""
    if text.startswith("ar"):
        index = np.arange(nodes)
        return np.linalg.inv(theta["sd"] ** 2 * theta["rho"] ** np.abs(index[:, None] - index))
    difference = np.diff(np.eye(nodes), 2 if "order=2" in text else 1, axis=0)
    return difference.T @ difference / theta["sd"] ** 2


@pytest.mark.parametrize("text", ["rw(day)", "rw(day, order=2)", "ar(day)"])
@pytest.mark.parametrize("theta", THETAS, ids=["positive", "negative"])
def test_later_times_follow_the_conditional_of_a_longer_grid(text, theta):
    block, basis = future(text, [19.0, 17.0, 23.0, 16.0, 17.0])
    assert basis.added == ("17", "19", "23")
    np.testing.assert_array_equal(basis.index, [15, 14, 16, 13, 14])
    rng = np.random.default_rng(11)
    x = (loading(block, theta) @ rng.standard_normal(block.innovations)).reshape(1, -1, 1)
    draws = block.extend(rng, np.repeat(x, DRAWS, axis=0), theta_of(theta, DRAWS), basis.added)
    assert draws.shape == (DRAWS, 3, 1)
    precision = long_precision(text, theta, 21)
    mean, covariance = conditional(precision, np.arange(14), np.array([14, 16, 20]), x.ravel())
    assert agrees(draws[..., 0], mean, covariance)
    assert not agrees(draws[..., 0] * 1.05, mean, covariance)
    assert not agrees(rng.permuted(draws[..., 0], axis=0), mean, covariance)


def test_each_draw_goes_on_from_its_own_state_and_scale():
    block, basis = future("rw(day, order=2)", [17.0])
    x = np.zeros((2, 14, 1))
    x[1, -2:, 0] = [1.0, 3.0]
    draws = block.extend(np.random.default_rng(1), x, {"sd": np.array([1.0, 1e-12])}, basis.added)
    assert draws[1, 0, 0] == pytest.approx(5.0)
    assert draws[0, 0, 0] != 0


@pytest.mark.parametrize("text", ["rw(day, by=region)", "rw(day, order=2, by=region)", "ar(day, by=region)"])
def test_each_level_goes_on_from_its_own_path(text):
    block, basis = future(text, [17.0, 16.0, 18.0, 17.0], ["west", "east", "north", "north"])
    assert basis.added == ("north @ 17", "north @ 18", "west @ 17")
    np.testing.assert_array_equal(basis.index, [44, 13, 43, 42])
    theta = {"sd": 0.5, "rho": 0.9}
    rng = np.random.default_rng(2)
    x = (loading(block, theta) @ rng.standard_normal(block.innovations)).reshape(1, -1, 1)
    draws = block.extend(rng, np.repeat(x, DRAWS, axis=0), theta_of(theta, DRAWS), basis.added)[..., 0]
    precision = long_precision(text, theta, 16)
    mean, covariance = np.zeros(3), np.zeros((3, 3))
    for places, path, nodes in (([0, 1], 1, [14, 15]), ([2], 2, [14])):
        mean[places], covariance[np.ix_(places, places)] = conditional(
            precision, np.arange(14), np.array(nodes), x.reshape(3, 14)[path])
    assert agrees(draws, mean, covariance)


def test_an_unseen_path_of_an_autoregression_is_stationary():
    block, basis = future("ar(day, by=region)", [5.0, 8.0, 19.0], ["south"] * 3)
    assert basis.added == ("south @ 5", "south @ 8", "south @ 19")
    theta = {"sd": 1.3, "rho": 0.8}
    x = np.zeros((DRAWS, 42, 1))
    draws = block.extend(np.random.default_rng(5), x, theta_of(theta, DRAWS), basis.added)[..., 0]
    days = np.array([5, 8, 19])
    assert agrees(draws, np.zeros(3), 1.69 * 0.8 ** np.abs(days[:, None] - days))


def test_an_unseen_season_is_drawn_from_its_population():
    term, state = learn("season(hour, period=24, harmonics=1, by=region)")
    table = table_of(numbers("hour", [5, 5, 6]), labels("region", ["south", "east", "south"]))
    (basis,) = term.code(state, table).bases
    assert basis.added == ("south",)
    np.testing.assert_array_equal(basis.new, [True, False, True])
    sd = np.repeat([0.5, 2.0], DRAWS)
    draws = term.blocks(state)[0].extend(np.random.default_rng(5), np.zeros((2 * DRAWS, 3, 2)), {"sd": sd}, ("south",))
    for part, size in ((draws[:DRAWS, 0], 0.5), (draws[DRAWS:, 0], 2.0)):
        assert agrees(part, np.zeros(2), size**2 * np.eye(2))


# Names


def test_two_seasons_of_one_column_have_names_of_their_own():
    blocks = [one_block(text) for text in ('season(stamp, period="1d")', 'season(stamp, period="2d")')]
    assert [block.name for block in blocks] == ["season(stamp, period=1d)", "season(stamp, period=2d)"]
    assert blocks[0].hyperparameters[0].name == "sd_season(stamp, period=1d)"


def test_the_straight_line_is_a_common_effect_with_a_reading():
    term, state = learn("s(load, by=region)")
    columns = term.code(state, old_table()).columns
    assert columns.names == ("s(load):region[east]", "s(load):region[north]", "s(load):region[west]")
    size = f"{state['sd']:.4g}"
    assert columns.readings[0] == f"per +1 sd ({size}) of load, along the straight line, where region is east"
    np.testing.assert_array_equal((columns.values != 0).sum(axis=1), 1)
    term, state = learn("rw(date, order=2)", counts=np.ones(24))
    columns = term.code(state, old_table()).columns
    assert columns.names == ("rw(date, order=2)",)
    assert columns.readings == ("per +1 sd (4 days 11 hours) of date, along the straight line",)
    assert columns.values[:, 0].std() == pytest.approx(1.0)


# What is refused


UNEVEN = np.datetime64("2024-01-01T00:00:00.000001") + np.array([0, 7, 3_600_000_000]) * np.timedelta64(1, "us")
REFUSED = (
    ("season(region, period=24)", ColumnTypeError, "region", "pandas.to_datetime"),
    ("season(hour, period=\"1d\")", OptionError, "hour", "period=24"),
    ("season(stamp, period=24)", OptionError, "stamp", 'period="1d"'),
    ('season(stamp, period="1 fortnight")', OptionError, "stamp", 'period="1d"'),
    ("season(hour, period=-24)", OptionError, "hour", "one cycle"),
    ('season(stamp, period="0h")', OptionError, "stamp", "one cycle"),
    ('season(stamp, period="24")', OptionError, "stamp", "a text with a unit"),
    ('season(stamp, period="NaT")', OptionError, "stamp", "one cycle"),
    ("season(hour, period=24, harmonics=12)", OptionError, "hour", "harmonics=11"),
    ("season(hour, period=4)", OptionError, "hour", "harmonics=1"),
    ("season(hour, period=1)", OptionError, "hour", "leave the season out"),
    ("s(region)", ColumnTypeError, "region", "common effect"),
    ("s(few)", DesignError, "few", "C(few)"),
    ("rw(region)", ColumnTypeError, "region", "pandas.to_datetime"),
    ("ar(region)", ColumnTypeError, "region", "pandas.to_datetime"),
    ("rw(once)", DesignError, "once", "Leave rw(once) out"),
    ("ar(once)", DesignError, "once", "Leave ar(once) out"),
    ("rw(few, order=2)", DesignError, "few", "Leave rw(few, order=2) out"),
    ("rw(load)", DesignError, "load", "Round the times"),
    ("ar(uneven)", DesignError, "uneven", "Round the times"),
)


@pytest.mark.parametrize(("text", "kind", "column", "fix"), REFUSED, ids=[text for text, *_ in REFUSED])
def test_what_cannot_be_learnt_is_refused(text, kind, column, fix):
    table = with_columns(numbers("once", np.full(24, 5.0)), numbers("few", np.arange(24) % 2),
                         times("uneven", np.resize(UNEVEN, old_table().rows)))
    with pytest.raises(kind) as caught:
        learn(text, table)
    assert caught.value.column == column
    assert caught.value.value is not None
    assert caught.value.rule
    assert fix in caught.value.fix


def test_the_error_of_too_fine_a_grid_names_the_step():
    with pytest.raises(DesignError, match=r"step of 1 second.*at most 20,000 nodes.*Round the times") as caught:
        learn("rw(t)", table_of(times("t", ["2024-01-01", "2024-01-02T00:00:01", "2024-01-02T00:00:03"])))
    assert caught.value.value == "1 second"
    learn("rw(t)", table_of(numbers("t", [0, 1, MOST_NODES - 1])))
    with pytest.raises(DesignError):
        learn("rw(t)", table_of(numbers("t", [0, 1, MOST_NODES])))


@pytest.mark.parametrize("text", ["rw(day)", "rw(day, order=2)", "ar(day, by=region)"])
@pytest.mark.parametrize(("days", "message"), [
    ([5, 8.5], r"`day`: 1 values between two nodes \(first: 8.5\).*step of 1 and start at 3"),
    ([5, 2], r"`day`: 1 values before the first time of the fit \(first: 2.0\).*forward from 3"),
])
def test_times_off_the_grid_or_before_it_are_refused(text, days, message):
    term, state = learn(text)
    with pytest.raises(LevelError, match=message):
        term.code(state, table_of(numbers("day", days), labels("region", ["east", "east"])))


@pytest.mark.parametrize("text", ["rw(day, by=region)", "rw(day, order=2, by=region)", "s(load, by=region)"])
def test_an_unseen_level_is_refused_where_it_has_no_population(text):
    term, state = learn(text)
    table = table_of(numbers("day", [5, 6]), numbers("load", [1, 2]), labels("region", ["east", "south"]))
    with pytest.raises(LevelError, match=r"`region`: 1 unseen levels \(first: 'south'\).*east, north, west.*Drop"):
        term.code(state, table)


@pytest.mark.parametrize(("text", "column"), [
    ("rw(day)", "day"), ("ar(date)", "date"), ("season(hour, period=24)", "hour"),
    ('season(stamp, period="1d")', "stamp"),
])
def test_new_data_of_another_type_are_refused(text, column):
    term, state = learn(text)
    swapped = numbers(column, [1.0]) if old_table()[column].kind == "time" else times(column, ["2024-01-01"])
    with pytest.raises(ColumnTypeError, match="types of the fitted ones"):
        term.code(state, table_of(swapped))


@pytest.mark.parametrize("text", [
    "season(hour)", "season(hour, period=24, harmonics=0)", "rw(day, order=3)", "s(load, knots=2)", "ar(log(day))",
    'rw(day, by="region")',
])
def test_the_grammar_refuses_what_does_not_fit_the_signature(text):
    with pytest.raises(BayesGLMError, match="character"):
        node_of(text)


def test_by_takes_numbers_as_levels():
    table = with_columns(numbers("site", np.arange(24) % 3))
    _, state = learn("ar(day, by=site)", table)
    assert state["levels"] == ["0", "1", "2"]
    assert node_of("ar(day, by=site)").options == (("by", Variable("site")),)
