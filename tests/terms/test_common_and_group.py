"""Common and group effects: the laws of a term, the coding of categories against formulaic, transforms on weighted patterns."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytensor
import pytensor.tensor as pt
import pytest
from formulaic import model_matrix
from scipy.linalg import block_diag

from bayesglm.data.door import read_table
from bayesglm.data.patterns import patterns_of
from bayesglm.design import Predictor, learn_predictor, signatures
from bayesglm.errors import DesignError, LevelError
from bayesglm.formula import parse
from bayesglm.terms import common, group
from bayesglm.terms.identified import check_identified
from bayesglm.terms.term import Context

DRAWS = 40_000


def frame(rows=96):
    rng = np.random.default_rng(11)
    number = np.arange(rows)
    return pd.DataFrame(
        {
            "x": rng.normal(size=rows).round(1),
            "w": rng.gamma(2.0, size=rows).round(1) + 0.1,
            "flag": number % 5 == 0,
            "a": np.array(["p", "q", "r"])[number % 3],
            "b": np.array(["s", "t"])[(number // 3) % 2],
            "c": np.array(["u", "v"])[(number // 6) % 2],
            "g": np.array(list("ABCDEFGH"))[number % 8],
            "h": np.array(list("KL"))[(number // 8) % 2],
            "k": number % 4,
        }
    )


def table_of(data):
    return read_table(data, list(data.columns))[0]


def learn(right, data=None, weights=None):
    """Return the predictor of a formula, learnt on the patterns of a table."""
    data = frame() if data is None else data
    table = table_of(data)
    formula = parse(f"y ~ {right}", signatures())
    weights = np.ones(table.rows) if weights is None else weights
    patterns = patterns_of(table, formula.columns, weights)
    return learn_predictor(formula, patterns, parameter="mu", prefix="", link="log")


def same(left, right, **tolerance):
    np.testing.assert_allclose(left.common, right.common, **tolerance)
    np.testing.assert_array_equal(left.offset, right.offset)
    for one, other in zip(left.bases, right.bases, strict=True):
        np.testing.assert_allclose(one.values, other.values, **tolerance)
        np.testing.assert_array_equal(one.index, other.index)
        assert (one.known, one.added) == (other.known, other.added)


CASES = (
    "x",
    "flag",
    "a",
    "a*b",
    "x:a",
    "x*a*b",
    "log(w)",
    "scale(x)",
    "scale(log(w))",
    "poly(x, 3)",
    "poly(w, 2):a",
    "bs(x, df=5)",
    'C(a, reference="q")',
    'C(a, unknown="r")',
    "C(k)*b",
    "0 + a",
    "0 + a:b",
    "(1 | g)",
    "(1 + x | g)",
    "(x || g)",
    "(0 + x | g)",
    "(1 | g/h)",
    "(1 + a | g:h)",
    "(1 + poly(x, 2) | g)",
    "(0 + a | g)",
    "(1 | k)",
    "x + offset(log(w)) + (1 + x | g) + (1 | h)",
)


# --- laws of a term


@pytest.mark.parametrize("right", CASES)
def test_rows_coded_again_are_the_same(right):
    predictor, table = learn(right), table_of(frame())
    rows = np.arange(0, 96, 7)
    whole, part = predictor.code(table), predictor.code(table.take(rows))
    np.testing.assert_allclose(part.common, whole.common[rows], rtol=1e-12)
    for one, other in zip(part.bases, whole.bases, strict=True):
        np.testing.assert_allclose(one.values, other.values[rows], rtol=1e-12)
        np.testing.assert_array_equal(one.index, other.index[rows])


@pytest.mark.parametrize("right", CASES)
def test_a_saved_predictor_codes_and_believes_the_same(right):
    predictor, table = learn(right), table_of(frame())
    again = Predictor.from_dict(json.loads(json.dumps(predictor.to_dict(), allow_nan=False)))
    same(predictor.code(table), again.code(table))
    assert again.coef == predictor.coef
    for one, other in zip(predictor.blocks, again.blocks, strict=True):
        assert (one.name, one.levels, one.effects, one.hyperparameters) == (
            other.name,
            other.levels,
            other.effects,
            other.hyperparameters,
        )


@pytest.mark.parametrize("right", CASES)
def test_permuted_rows_change_nothing(right):
    order = np.random.default_rng(0).permutation(96)
    one, other = learn(right), learn(right, frame().iloc[order])
    assert one.coef == other.coef
    same(one.code(table_of(frame())), other.code(table_of(frame())), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(one.centre, other.centre, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(one.scale, other.scale, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("right", [case for case in CASES if '="' not in case])
def test_relabelled_levels_change_names_only(right):
    """Levels that keep their order."""
    relabelled = frame().assign(**{name: lambda data, name=name: "level " + data[name] for name in ("a", "b", "g", "h")})
    one, other = learn(right), learn(right, relabelled)
    np.testing.assert_allclose(one.code(table_of(frame())).common, other.code(table_of(relabelled)).common, rtol=1e-12)
    for a, b in zip(one.code(table_of(frame())).bases, other.code(table_of(relabelled)).bases, strict=True):
        np.testing.assert_array_equal(a.values, b.values)
        np.testing.assert_array_equal(a.index, b.index)


@pytest.mark.parametrize("right", CASES)
def test_weighted_patterns_learn_what_expanded_rows_learn(right):
    data = frame()
    weights = np.random.default_rng(3).integers(1, 6, len(data)).astype(float)
    expanded = data.loc[data.index.repeat(weights.astype(int))].reset_index(drop=True)
    one, other = learn(right, data, weights), learn(right, expanded)
    same(one.code(table_of(data)), other.code(table_of(data)), rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(one.centre, other.centre, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(one.scale, other.scale, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("right", CASES)
def test_weights_matter_where_something_is_learnt(right):
    """Negative control of the law above: forgotten weights are seen in the centres."""
    data = frame()
    weights = 1.0 + 20.0 * (data["x"] > 0.5).to_numpy()
    one, other = learn(right, data, weights), learn(right)
    if one.coef:
        coded = (each.code(table_of(data)).common - each.centre for each in (one, other))
        assert not np.allclose(*coded)


# --- the coding of categories


def matrix(right, data=None):
    predictor = learn(right, data)
    coded = predictor.code(table_of(frame() if data is None else data)).common
    return predictor.coef, np.column_stack([np.ones(len(coded)), coded]) if predictor.intercept else coded


def spans_the_same(left, right):
    ranks = [np.linalg.matrix_rank(each) for each in (left, right, np.column_stack([left, right]))]
    return ranks[0] == ranks[1] == ranks[2] == left.shape[1]


FORMULAS = (
    "a",
    "0 + a",
    "a + b",
    "0 + a + b",
    "0 + b + a",
    "a:b",
    "0 + a:b",
    "a + a:b",
    "b + a:b",
    "a:b + a",
    "a*b",
    "0 + a*b",
    "a*b*c",
    "a:b:c",
    "a + b:c",
    "a:b + b:c",
    "0 + a:b + c",
    "x:a",
    "x + x:a",
    "0 + x:a",
    "a + x:a",
    "x*a",
    "a*b + x:a:b",
    "x:a:b",
    "x + x:a:b",
    "a:x + a",
    "flag*a",
    "C(k)",
    "C(k):a",
    "C(k)*b",
    "poly(w, 2):a",
    "a*poly(w, 2)",
    "bs(w, df=4) + a:b",
    "(a + b + c)**2",
)


@pytest.mark.parametrize("right", FORMULAS)
def test_categories_span_what_formulaic_spans_without_a_column_too_many(right):
    names, ours = matrix(right)
    theirs = model_matrix(right, frame().assign(flag=frame()["flag"].astype(float))).to_numpy(dtype=float)
    assert spans_the_same(ours, theirs)
    assert len(names) == len(set(names))


def test_a_column_too_few_or_too_many_is_seen():
    """Negative control of the comparison of spans."""
    _, ours = matrix("a*b")
    assert not spans_the_same(ours[:, :-1], ours)
    assert not spans_the_same(np.column_stack([ours, ours[:, 0]]), ours)


def test_names_and_readings_of_reduced_and_full_coding():
    assert learn("a").coef == ("a[q]", "a[r]")
    assert learn("a").readings == ("a q against p", "a r against p")
    assert learn("0 + a").coef == ("a[p]", "a[q]", "a[r]")
    assert learn("x:a").coef == ("x:a[p]", "x:a[q]", "x:a[r]")
    assert learn("x*b").coef == ("x", "b[t]", "x:b[t]")
    assert learn("b*c").coef == ("b[t]", "c[v]", "b[t]:c[v]")
    assert learn("0 + b + c").coef == ("b[s]", "b[t]", "c[v]")
    assert learn("b:c").coef == ("c[v]", "b[t]:c[u]", "b[t]:c[v]")
    assert learn("0 + b:c").coef == ("b[s]:c[u]", "b[t]:c[u]", "b[s]:c[v]", "b[t]:c[v]")


@pytest.mark.parametrize("right", ["a", "a*b", "x*a", "0 + a", "a:b"])
def test_another_reference_spans_the_same(right):
    _, one = matrix(right)
    names, other = matrix(right.replace("a", 'C(a, reference="r")'))
    assert spans_the_same(one, other)
    assert not any("a[r]" in name for name in names) or right in ("0 + a", "a:b")


def test_another_reference_predicts_the_same():
    """Coefficients that give the same linear predictor on the fitted rows give it on new rows too."""
    new = frame().iloc[[3, 10, 40]].assign(x=[5.0, -4.0, 0.0], b=["t", "s", "t"])
    one, other = learn("x*a + b"), learn('x*C(a, reference="q") + b')
    (left, right), (new_left, new_right) = (
        [np.column_stack([np.ones(len(each)), predictor.code(table_of(each)).common]) for predictor in (one, other)]
        for each in (frame(), new)
    )
    beta = np.random.default_rng(0).normal(size=left.shape[1])
    translated = np.linalg.lstsq(right, left @ beta, rcond=None)[0]
    np.testing.assert_allclose(new_right @ translated, new_left @ beta, rtol=1e-9)


def test_an_unknown_level_falls_into_its_bucket():
    predictor = learn('C(a, unknown="r")')
    new = frame().iloc[:3].assign(a=["z", "q", "r"])
    np.testing.assert_array_equal(predictor.code(table_of(new)).common, [[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    with pytest.raises(LevelError, match=r"new level 'z'.*\(1 \| a\).*unknown"):
        learn("a").code(table_of(new))


def test_a_number_may_be_a_category():
    assert learn("C(k)").coef == ("C(k)[1]", "C(k)[2]", "C(k)[3]") or learn("C(k)").coef == ("k[1]", "k[2]", "k[3]")
    assert learn("k").coef == ("k",)
    assert learn("C(k, reference=2)").readings[0].endswith("k 0 against 2")


# --- transforms


def test_poly_is_that_of_formulaic_on_expanded_rows():
    from formulaic.transforms.poly import poly

    data = frame()
    weights = np.random.default_rng(3).integers(1, 6, len(data))
    theirs = np.asarray(poly(np.repeat(data["w"].to_numpy(), weights), 3))
    ours = learn("poly(w, 3)", data, weights.astype(float)).code(table_of(data)).common
    np.testing.assert_allclose(np.repeat(ours, weights, axis=0), theirs * np.sqrt(weights.sum()), rtol=1e-7, atol=1e-9)
    assert np.average(ours**2, axis=0, weights=weights) == pytest.approx(np.ones(3))


def test_bs_has_its_knots_at_quantiles_and_sums_to_one_with_its_first():
    data = frame()
    coded = learn("bs(w, df=5)").code(table_of(data)).common
    theirs = model_matrix("bs(w, df=5)", data).to_numpy(dtype=float)[:, 1:]
    assert coded.shape == theirs.shape
    assert coded.min() >= -1e-12
    assert (coded.sum(axis=1) <= 1 + 1e-12).all()
    (state,) = (part[0] for part in learn("bs(w, df=5)").pieces[0].state["parts"])
    assert state["knots"] == pytest.approx(np.quantile(data["w"], [1 / 3, 2 / 3]), abs=0.15)


def test_scale_uses_the_weighted_mean_and_sd():
    data = pd.DataFrame({"x": [0.0, 1.0, 5.0]})
    coded = learn("scale(x)", data, np.array([1.0, 2.0, 3.0])).code(table_of(data)).common[:, 0]
    expanded = np.array([0.0, 1.0, 1.0, 5.0, 5.0, 5.0])
    np.testing.assert_allclose(coded, (data["x"] - expanded.mean()) / expanded.std(), rtol=1e-12)


# --- what the data cannot tell apart


def test_collinear_columns_are_named_wherever_they_stand():
    x = np.random.default_rng(0).normal(size=(30, 4))
    whole = np.column_stack([x, x[:, 0] - 2 * x[:, 2] + 3.0])
    with pytest.raises(DesignError, match="`e`: is a linear combination of a, c;"):
        check_identified(whole, tuple("abcde"), intercept=True)
    check_identified(whole, tuple("abcde"), intercept=False)
    check_identified(whole[:, :4], tuple("abcd"), intercept=True)


@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_collinearity_does_not_depend_on_units_or_shifts(shift):
    x = np.random.default_rng(0).normal(size=(30, 2))
    check_identified(x * [1e-9, 1e9] + shift, ("a", "b"), intercept=True) if shift == 0 else check_identified(
        x + shift, ("a", "b"), intercept=True
    )
    with pytest.raises(DesignError, match="`c`"):
        check_identified(np.column_stack([x, 1e7 * x.sum(axis=1) + shift]), ("a", "b", "c"), intercept=True)


def test_more_columns_than_patterns_are_compared_in_pairs():
    x = np.random.default_rng(0).normal(size=(6, 20))
    check_identified(x, tuple(map(str, range(20))), intercept=True)
    with pytest.raises(DesignError, match="`17`: is a linear combination of 4;"):
        check_identified(np.where(np.arange(20) == 17, 2.0 - 3.0 * x[:, [4]], x), tuple(map(str, range(20))), intercept=True)


def test_an_empty_cell_of_an_interaction_says_so():
    data = frame().query("not (a == 'r' and b == 't')")
    with pytest.raises(DesignError, match=r"combination of its levels.*\(1 \| a:b\)"):
        learn("a*b", data)


# --- group effects


def one_block(right, data=None):
    (block,) = learn(right, data).blocks
    return block


def theta_of(block, draws=None):
    size = len(block.effects)
    sd = np.linspace(0.5, 1.5, size)
    cor = np.full((size, size), 0.6)
    np.fill_diagonal(cor, 1.0)
    theta = {"sd": sd} | ({"cor": cor} if any(each.key == "cor" for each in block.hyperparameters) else {})
    return theta if draws is None else {key: np.broadcast_to(each, (draws, *each.shape)) for key, each in theta.items()}


GROUPS = ("(1 | g)", "(1 + x | g)", "(x || g)", "(0 + x | g)", "(1 + a | g)")


@pytest.mark.parametrize("right", GROUPS)
def test_state_and_precision_describe_the_same_distribution(right):
    block = one_block(right)
    theta = theta_of(block)
    covariance = block.covariance(theta)
    factor = {"cholesky": np.linalg.cholesky(covariance)} if "cor" in theta else {}
    z = pt.dmatrix("z")
    state = pytensor.function(
        [z],
        block.state(
            z,
            {
                **{key: pt.constant(each) for key, each in theta.items()},
                **{key: pt.constant(each) for key, each in factor.items()},
            },
        ),
        mode="FAST_COMPILE",
    )
    units = np.eye(int(np.prod(block.innovations)))
    loading = np.stack([state(unit.reshape(block.innovations)).ravel() for unit in units], axis=1)
    np.testing.assert_allclose(loading @ loading.T, block_diag(*[covariance] * len(block.levels)), atol=1e-12)
    np.testing.assert_allclose(block.precision(theta).toarray() @ loading @ loading.T, np.eye(len(loading)), atol=1e-9)


@pytest.mark.parametrize("right", GROUPS)
def test_a_new_level_is_drawn_from_its_population(right):
    block = one_block(right)
    x = np.zeros((DRAWS, len(block.levels), len(block.effects)))
    drawn = block.extend(np.random.default_rng(1), x, theta_of(block, DRAWS), ("new", "other"))
    assert drawn.shape == (DRAWS, 2, len(block.effects))
    covariance = block.covariance(theta_of(block))
    sd = np.sqrt(np.diag(covariance))
    for level in (0, 1):
        found = np.cov(drawn[:, level], rowvar=False).reshape(covariance.shape)
        np.testing.assert_allclose(found / np.outer(sd, sd), covariance / np.outer(sd, sd), atol=5 * np.sqrt(2 / DRAWS))
        assert np.abs(drawn[:, level].mean(axis=0) / sd).max() < 5 / np.sqrt(DRAWS)
    assert abs(np.corrcoef(drawn[:, 0, 0], drawn[:, 1, 0])[0, 1]) < 5 / np.sqrt(DRAWS)


def test_forgotten_correlation_of_a_new_level_is_seen():
    """Negative control: the covariance of || is not that of |."""
    correlated, apart = one_block("(1 + x | g)"), one_block("(x || g)")
    one, other = (block.covariance(theta_of(block)) for block in (correlated, apart))
    assert np.abs(one - other).max() > 0.3


def test_each_draw_extends_with_its_own_scale():
    block = one_block("(1 | g)")
    sd = np.array([[1e-9], [1e6]])
    drawn = block.extend(np.random.default_rng(0), np.zeros((2, 8, 1)), {"sd": sd}, ("new",))
    assert abs(drawn[0, 0, 0]) < 1e-7
    assert abs(drawn[1, 0, 0]) > 1e3


def test_new_levels_come_after_the_learnt_ones():
    predictor = learn("(1 + x | g)")
    new = frame().iloc[:4].assign(g=["Z", "B", "Y", "Z"])
    (basis,) = predictor.code(table_of(new)).bases
    assert basis.added == ("Y", "Z")
    assert basis.index.tolist() == [9, 1, 8, 9]
    assert basis.new.tolist() == [True, False, True, True]
    np.testing.assert_array_equal(basis.values, np.column_stack([np.ones(4), new["x"]]))


def test_nested_groups_are_the_outer_and_the_combinations():
    outer, inner = learn("(1 | g/h)").blocks
    assert (outer.name, inner.name) == ("g", "g:h")
    assert outer.levels == tuple("ABCDEFGH")
    assert inner.levels == tuple(f"{g}:{h}" for g in "ABCDEFGH" for h in "KL")
    crossed = learn("(1 | g) + (1 | h)").blocks
    assert [len(block.levels) for block in crossed] == [8, 2]


def test_a_known_level_in_a_new_combination_is_new_to_the_inner_group_alone():
    data = frame().query("not (g == 'A' and h == 'L')")
    outer, inner = learn("(1 | g/h)", data).code(table_of(frame().iloc[[8]])).bases
    assert (outer.new.tolist(), inner.new.tolist(), inner.added) == ([False], [True], ("A:L",))


def test_labels_that_contain_the_separator_stay_apart():
    data = pd.DataFrame({"g": ["a:b", "a", "a:b", "a"], "h": ["c", "b:c", "c", "b:c"]})
    with pytest.raises(LevelError, match="two combinations of levels that read 'a:b:c'"):
        learn("(1 | g:h)", data)


def test_effects_of_a_group_follow_the_coding_rule():
    assert one_block("(1 + a | g)").effects == ("Intercept", "a[q]", "a[r]")
    assert one_block("(0 + a | g)").effects == ("a[p]", "a[q]", "a[r]")
    assert one_block("(0 + a | g)").name == "g.a[p]"
    assert [each.key for each in one_block("(x || g)").hyperparameters] == ["sd"]
    assert [each.key for each in one_block("(x | g)").hyperparameters] == ["sd", "cor"]


def test_a_group_of_numbers_or_booleans_has_levels():
    assert one_block("(1 | k)").levels == ("0", "1", "2", "3")
    assert one_block("(1 | flag)").levels == ("False", "True")


def test_the_state_of_a_term_names_no_row():
    """What is learnt does not grow with the rows."""
    context = Context(np.ones(96))
    node = parse("y ~ x*a", signatures()).terms[2]
    state = common.MEMBER.learn(node, table_of(frame()), context)
    assert len(json.dumps(state)) < 500
    assert group.MEMBER.name == "group"


def test_a_flag_reads_as_a_flag():
    predictor = learn("flag*x + C(flag, reference=True):w")
    assert predictor.readings[0] == "flag true against false"
    assert "flag true against false, times per +1 of x" in predictor.readings
    assert learn("C(flag, reference=True)").coef == ("flag[False]",)
