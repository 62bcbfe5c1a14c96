"""The grammar: what formulas mean, that they print back to themselves, and how everything else is refused."""

from __future__ import annotations

import ast
import keyword
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bayesglm.formula
from bayesglm.errors import BayesGLMError
from bayesglm.formula import (
    REQUIRED,
    Call,
    Formula,
    FormulaError,
    GroupTerm,
    Option,
    Product,
    Response,
    Signature,
    Variable,
    parse,
)

BY = Option("by", ("column",), default=None)
SIGNATURES = {
    signature.name: signature
    for signature in (
        Signature("C", "transform", options=(Option("reference", ("str",), default=None),)),
        Signature("log", "transform", scalar=True),
        Signature("scale", "transform", scalar=True),
        Signature("poly", "transform", options=(Option("degree", ("int",), minimum=1),)),
        Signature("bs", "transform", options=(
            Option("df", ("int",), default=5), Option("degree", ("int",), default=3))),
        Signature("s", "structured", options=(Option("knots", ("int",), default=20), BY)),
        Signature("season", "structured", nests=False, options=(
            Option("period", ("int", "float", "str")), Option("harmonics", ("int",), default=3), BY)),
        Signature("rw", "structured", options=(Option("order", ("int",), default=1, choices=(1, 2)), BY)),
        Signature("ar", "structured", options=(BY,)),
        Signature("near", "structured", columns=2, options=(
            Option("range", ("float",), default=1.0, minimum=0.5), Option("wrap", ("bool",), default=False))),
    )
}

A, B, C, X = (Product((Variable(name),)) for name in "abcx")


def cross(*names: str) -> Product:
    return Product(tuple(Variable(name) for name in names))


def call(function: str, *columns: str, **options: object) -> Call:
    return Call(function, tuple(Variable(name) for name in columns), tuple(options.items()))


def read(text: str) -> Formula:
    return parse(text, SIGNATURES)


def y(*terms: Product, intercept: bool = True, **rest: tuple) -> Formula:
    return Formula(Response("y"), intercept, terms, **rest)


def group(*effects: Product, by: str = "g", intercept: bool = True, correlated: bool = True) -> GroupTerm:
    return GroupTerm(intercept, effects, tuple(by.split(":")), correlated)


MEANINGS = {
    "y ~ 1": y(),
    "y ~ 0": y(intercept=False),
    "y~a": y(A),
    " y ~\n a\t+ b ": y(A, B),
    "y ~ a + b*c - 1": y(A, B, C, cross("b", "c"), intercept=False),
    "y ~ 0 + a": y(A, intercept=False),
    "y ~ a + 0": y(A, intercept=False),
    "y ~ -1 + a": y(A, intercept=False),
    "y ~ a - 0": y(A),
    "y ~ a - 1 + 1": y(A),
    "y ~ (0 + a) + b": y(A, B, intercept=False),
    "y ~ a:b": y(cross("a", "b")),
    "y ~ b:a + a:b": y(cross("b", "a")),
    "y ~ a:a": y(A),
    "y ~ a + a": y(A),
    "y ~ a*b*c": y(A, B, C, cross("a", "b"), cross("a", "c"), cross("b", "c"), cross("a", "b", "c")),
    "y ~ (a + b)**2": y(A, B, cross("a", "b")),
    "y ~ (a + b + c)**2": y(A, B, C, cross("a", "b"), cross("a", "c"), cross("b", "c")),
    "y ~ a**3": y(A),
    "y ~ (a + b):c": y(cross("a", "c"), cross("b", "c")),
    "y ~ a*b - a": y(B, cross("a", "b")),
    "y ~ a*b - b:a": y(A, B),
    "y ~ a*b - (a + a:b)": y(B),
    "y ~ a + b - (b + 1)": y(A, intercept=False),
    "y ~ a - a": y(),
    "y ~ a:b*c": y(cross("a", "b"), C, cross("a", "b", "c")),
    "y ~ ((((a))))": y(A),
    'y ~ C(x, reference="low")': y(Product((call("C", "x", reference="low"),))),
    "y ~ C(x, 'it''s')": y(Product((call("C", "x", reference="it's"),))),
    "y ~ C(x, None)": y(Product((call("C", "x"),))),
    "y ~ log(x):a": y(Product((call("log", "x"), Variable("a")))),
    "y ~ scale(log(x))": y(Product((Call("scale", (call("log", "x"),)),))),
    "y ~ poly(x, 2)": y(Product((call("poly", "x", degree=2),))),
    "y ~ bs(x, degree=2, df=5)": y(Product((call("bs", "x", degree=2),))),
    "y ~ bs(x, degree=2, df=6)": y(Product((call("bs", "x", df=6, degree=2),))),
    "y ~ s(x, knots=20)": y(structured=(call("s", "x"),)),
    "y ~ s(x, 12, g)": y(structured=(call("s", "x", knots=12, by=Variable("g")),)),
    "y ~ s(x) + s(x)": y(structured=(call("s", "x"),)),
    "y ~ s(log(x), by=`my g`)": y(structured=(Call("s", (call("log", "x"),), (("by", Variable("my g")),)),)),
    "y ~ season(t, period=24, harmonics=3)": y(structured=(call("season", "t", period=24),)),
    "y ~ season(t, period=7.5)": y(structured=(call("season", "t", period=7.5),)),
    "y ~ season(t, period='1d')": y(structured=(call("season", "t", period="1d"),)),
    "y ~ season(t, period=-1e-3)": y(structured=(call("season", "t", period=-0.001),)),
    "y ~ rw(t, order=2, by=g) + ar(t)": y(structured=(call("rw", "t", order=2, by=Variable("g")), call("ar", "t"))),
    "y ~ near(u, v, 2)": y(structured=(call("near", "u", "v", range=2.0),)),
    "y ~ near(u, v, wrap=True)": y(structured=(call("near", "u", "v", wrap=True),)),
    "y ~ offset(x)": y(offsets=(Variable("x"),)),
    "y ~ a + offset(log(x))": y(A, offsets=(call("log", "x"),)),
    "y ~ offset + trials": y(*(Product((Variable(name),)) for name in ("offset", "trials"))),
    "y ~ (1 | g)": y(groups=(group(),)),
    "y ~ (x | g)": y(groups=(group(X),)),
    "y ~ (1 + x | g)": y(groups=(group(X),)),
    "y ~ (0 + x | g)": y(groups=(group(X, intercept=False),)),
    "y ~ (x - 1 | g)": y(groups=(group(X, intercept=False),)),
    "y ~ (1 + x || g)": y(groups=(group(X, correlated=False),)),
    "y ~ (1 | g/h)": y(groups=(group(), group(by="g:h"))),
    "y ~ (1 | g/h/k)": y(groups=(group(), group(by="g:h"), group(by="g:h:k"))),
    "y ~ (1 | g:h)": y(groups=(group(by="g:h"),)),
    "y ~ a + (1 | g) + (1 | h)": y(A, groups=(group(), group(by="h"))),
    "y ~ (1 | g) + (0 + x | g)": y(groups=(group(), group(X, intercept=False))),
    "y ~ (1 + scale(x) + a:b | g)": y(groups=(group(Product((call("scale", "x"),)), cross("a", "b")),)),
    "y ~ (a*b | g)": y(groups=(group(A, B, cross("a", "b")),)),
    "y | trials(n) ~ a": Formula(Response("y", "n"), True, (A,)),
    "y | trials(10) ~ a": Formula(Response("y", 10), True, (A,)),
    "`a b` | trials(`n n`) ~ `x.y`": Formula(Response("a b", "n n"), True, (cross("x.y"),)),
    "y ~ `tick``tick` + `class` + `y ~`": y(cross("tick`tick"), cross("class"), cross("y ~")),
    "запросы ~ größe + 温度": Formula(Response("запросы"), True, (cross("größe"), cross("温度"))),
}


@pytest.mark.parametrize("text", MEANINGS)
def test_formula_means(text: str) -> None:
    formula = read(text)
    assert formula == MEANINGS[text]
    assert read(str(formula)) == formula
    assert str(read(str(formula))) == str(formula)


def test_one_sided() -> None:
    formula = parse("~ a + (1 | g)", SIGNATURES, one_sided=True)
    assert formula == Formula(None, True, (A,), groups=(group(),))
    assert str(formula) == "~ a + (1 | g)"


def test_canonical_text() -> None:
    text = "y|trials(n)~offset(log(e))+(x||g/h)+s(x,20)+season(t,'1d',by=`g g`)+b*a-1"
    assert str(read(text)) == (
        'y | trials(n) ~ 0 + b + a + b:a + s(x) + season(t, period="1d", by=`g g`) + (1 + x || g) + (1 + x || g:h)'
        " + offset(log(e))"
    )


def test_columns_are_raw_unique_and_in_order() -> None:
    formula = read("y | trials(n) ~ b*a + s(log(x), by=g) + (1 + a:z | h/g) + offset(log(e)) + offset(b)")
    assert formula.columns == ("b", "a", "x", "g", "z", "h", "e")


def test_settings_fill_in_defaults() -> None:
    (season,) = read("y ~ season(t, period=24, by=g)").structured
    assert SIGNATURES["season"].settings(season) == {"period": 24, "harmonics": 3, "by": Variable("g")}


def test_whole_number_stays_whole_where_it_may() -> None:
    (season,) = read("y ~ season(t, period=24)").structured
    (near,) = read("y ~ near(u, v, range=2)").structured
    assert type(dict(season.options)["period"]) is int
    assert type(dict(near.options)["range"]) is float


# A `^` stands before the character at fault; it is taken out before the text is read.
FAULTS = {
    "y ~ ^": "nothing after",
    " ^~ x": "no response",
    "y x^": "no `~`",
    "^": "no `~`",
    "y ~ x ^~ z": "second `~`",
    "y ~ ^(a": "not closed",
    "y ~ ^(a + (b)": "not closed",
    "y ~ a^)": "never opened",
    "y ~ ^lgo(x)": "Did you mean 'log'",
    "y ~ ^f(x)": "Known: C, ar, bs, log, near, offset, poly",
    "y ~ ^`log`(x)": "quoted name",
    "y ~ s(x, ^knot=3)": "Did you mean 'knots'",
    "y ~ log(x, ^base=2)": "unknown option",
    "y ~ s(x, knots=^2.5)": "a whole number",
    "y ~ s(x, knots=^4.0)": "Write knots=4.",
    "y ~ s(x, knots=^True)": "a whole number",
    "y ~ s(x, ^z)": "a whole number",
    "y ~ s(x, knots=^)": "option's value",
    "y ~ s(x, knots=^log(x))": "option's value",
    "y ~ s(x, knots=^-z)": "option's value",
    "y ~ s(x, knots=^-'z')": "option's value",
    "y ~ s(x, knots=3, ^knots=3)": "twice",
    "y ~ s(x, by=g, ^3)": "without a name",
    "y ~ s(x, 3, g, ^4)": "too many arguments",
    "y ~ s(x, by=^'g')": "without quotes",
    "y ~ s(x, by=^3)": "a column's name",
    "y ~ s(x, by=^y)": "response",
    "y ~ C(x, reference=^low)": 'Write reference="low"',
    "y ~ season(t, period=^None)": "a text in quotes",
    "y ~ near(u, v, wrap=^1)": "True or False",
    "y ~ near(u, v, wrap=^true)": "True or False",
    "y ~ near(u, v, range=^0.1)": "at least 0.5",
    "y ~ poly(x, ^0)": "at least 1",
    "y ~ poly(x, ^-2)": "at least 1",
    "y ~ rw(t, order=^3)": "one of 1, 2",
    "y ~ ^poly(x)": "without `degree`",
    "y ~ ^season(t)": "without `period`",
    "y ~ ^log()": "too few columns",
    "y ~ ^near(u)": "2 columns",
    "y ~ near(u, ^wrap=True)": "2 columns",
    "y ~ log(^2)": "a column's name",
    "y ~ log(x ^z)": "`,` or `)`",
    "y ~ log(x,^)": "nothing after the comma",
    "y ~ log(x ^+ 1)": "computes nothing",
    "y ~ log(^s(x))": "one numeric column",
    "y ~ scale(^poly(x, 2))": "one numeric column",
    "y ~ log(^offset(x))": "offset stands on its own",
    "y ~ season(^log(t), 24)": "takes a column's name",
    "y ~ ^offset()": "without a column",
    "y ~ offset(x, ^z)": "second argument",
    "y ~ offset(^poly(x, 2))": "one numeric column",
    "y ~ offset(^3)": "a column's name",
    "y ~ offset(x) + ^offset(x)": "same offset twice",
    "^log(y) ~ x": "family and link",
    "y ^+ z ~ x": "one column",
    "^(y) ~ x": "a column's name",
    "^3 ~ x": "a column's name",
    "^if ~ x": "reserved word",
    "y | ^weights(w) ~ x": "only trials",
    "y | ^trials ~ x": "only trials",
    "y | trials(^0) ~ x": "whole number >= 1",
    "y | trials(^2.5) ~ x": "whole number >= 1",
    "y | trials(^y) ~ x": "two columns",
    "y | trials(n ^+ m) ~ x": "one column or number",
    "y | trials(n) ^z ~ x": "one column",
    "y ~ ^trials(n)": "belong to the response",
    "y ~ x + ^y": "cannot explain itself",
    "y ~ ^`y`": "cannot explain itself",
    "y ~ log(^y)": "cannot explain itself",
    "y ~ scale(log(^y))": "cannot explain itself",
    "y ~ offset(^y)": "cannot explain itself",
    "y ~ (1 | ^y)": "cannot explain itself",
    "y ~ (^y | g)": "cannot explain itself",
    "y ~ x^.y": "attributes",
    "y ~ ^.5": "attributes",
    "y ~ x^[0]": "whole columns",
    "y ~ ^{x}": "not evaluated",
    "y ~ ^lambda x: x": "reserved word",
    "y ~ ^lambda(x)": "reserved word",
    "y ~ x ^if z": "not evaluated",
    "y ~ ^True": "reserved word",
    "y ~ __import__('os')^.system('x')": "attributes",
    "y ~ ^__import__('os')": "unknown function",
    "y ~ a ^%in% b": "%in%",
    "y ~ ^I(x)": "Add the result to the table",
    "y ~ ^2": "as a term",
    "y ~ x + ^1.0": "as a term",
    "y ~ ^'x'": "as a term",
    "y ~ ^2x": "runs into letters",
    "y ~ s(x, knots=^9999999999999999999)": "18 digits",
    "y ~ season(t, period=^1e999)": "finite",
    "y ~ a:^": "term is expected",
    "y ~ ^:a": "term is expected",
    "y ~ (^)": "term is expected",
    "y ~ a + ^+ b": "term is expected",
    "y ~ a + ^- b": "term is expected",
    "y ~ ^(a - a):b": "empty interaction",
    "y ~ a:^1": "1 and 0 stand alone",
    "y ~ ^0*a": "1 and 0 stand alone",
    "y ~ a - ^b": "not there",
    "y ~ -^a": "not there",
    "y ~ (a + b)**^0": "from 1 to 6",
    "y ~ (a + b)**^7": "from 1 to 6",
    "y ~ (a + b)**^2.0": "from 1 to 6",
    "y ~ (a + b)**^-1": "from 1 to 6",
    "y ~ a**^b": "from 1 to 6",
    "y ~ a**2^**2": "raised once",
    "y ~ a ^b": "operator is expected",
    "y ~ a ^/ b": "only nests groups",
    "y ~ a ^| g": "inside parentheses",
    "y ~ a ^|| g": "inside parentheses",
    "y ~ a^, b": "comma",
    "y ~ a ^= b": "Use `~`",
    "y ~ a ^== b": "comparison",
    "y ~ a ^< b": "comparison",
    "y ~ a ^@ b": "no meaning",
    "y ~ ^`a": "backtick that is not closed",
    "y ~ ^`a````": "backtick that is not closed",
    "y ~ ^``": "empty name",
    "y ~ C(x, ^'a)": "quote that is not closed",
    'y ~ C(x, ^"a\')': "quote that is not closed",
    "y ~ a^\0": "control character",
    "y ~ `a^\x1b[0m`": "control character",
    "y ~ C(x, '^\ud800')": "control character",
    "y ~ a:^s(x)": "by=g",
    "y ~ ^s(x)*a": "by=g",
    "y ~ (a + ^s(x))**2": "by=g",
    "y ~ (^s(x) | g)": "by=g",
    "y ~ s(x) - ^s(x)": "removed",
    "y ~ a:^offset(x)": "stand on its own",
    "y ~ (^offset(x) | g)": "stand on its own",
    "y ~ a*^(1 | g)": "stand on its own",
    "y ~ (^(1 | g) | h)": "stand on its own",
    "y ~ (1 | g) + ^(1 | g)": "the intercept twice",
    "y ~ (1 | g) + ^(x | g)": "(0 + x | g)",
    "y ~ (x | g) + ^(0 + x | g)": "'x' twice",
    "y ~ (a:b | g:h) + ^(0 + b:a | h:g)": "'b:a' twice",
    "y ~ (1 | g/h) + ^(1 | g:h)": "the intercept twice",
    "y ~ ^(0 | g)": "without effects",
    "y ~ (^| g)": "term is expected",
    "y ~ (1 | ^)": "a column's name",
    "y ~ (1 | ^1)": "as a group",
    "y ~ (1 | ^log(g))": "as a group",
    "y ~ (1 | ^(g))": "as a group",
    "y ~ (1 | g ^+ h)": "operator is expected",
    "y ~ (1 | g ^| h)": "operator is expected",
    "y ~ (1 | g:^g)": "twice in one group",
    "y ~ (1 | g/^g)": "twice in one group",
}


@pytest.mark.parametrize("marked", FAULTS)
def test_fault_is_refused_at_its_character(marked: str) -> None:
    position = marked.index("^")
    text = marked.replace("^", "", 1)
    with pytest.raises(FormulaError) as refused:
        read(text)
    error = refused.value
    assert error.position == position, str(error)
    assert FAULTS[marked] in str(error)
    assert error.rule
    assert error.fix.endswith(".")


def test_hat_is_not_a_power() -> None:
    with pytest.raises(FormulaError, match=r"Use `\*\*`") as refused:
        read("y ~ (a + b)^2")
    assert refused.value.position == 11


def test_invisible_character_outside_quotes_is_refused() -> None:
    with pytest.raises(FormulaError, match=r"\\u200b") as refused:
        read("y ~ a\u200b")
    assert refused.value.position == 5


def test_one_sided_refuses_a_response() -> None:
    with pytest.raises(FormulaError, match="a response") as refused:
        parse("y ~ x", SIGNATURES, one_sided=True)
    assert refused.value.position == 0


@pytest.mark.parametrize("text", [None, 3, b"y ~ x", ["y ~ x"]])
def test_only_text_is_read(text: object) -> None:
    with pytest.raises(FormulaError, match="a formula is a text") as refused:
        parse(text, SIGNATURES)  # type: ignore[arg-type]
    assert refused.value.position == 0


def test_caret_stands_under_the_character() -> None:
    with pytest.raises(FormulaError) as refused:
        read("y ~ a +\n温度 + lgo(x)\n + b")
    said, line, caret = str(refused.value).split("\n")
    assert said.startswith("unknown function 'lgo'")
    assert line == "    温度 + lgo(x)"
    assert caret == "    " + " " * 7 + "^"


def test_a_long_formula_is_cut_around_the_character() -> None:
    with pytest.raises(FormulaError) as refused:
        read("y ~ " + "a + " * 1000 + "b[" + " + a" * 1000)
    line, caret = str(refused.value).split("\n")[-2:]
    assert len(line) <= 104
    assert line[len(caret) - 1] == "["


def test_fault_is_a_value_error_of_the_package() -> None:
    with pytest.raises(BayesGLMError) as refused:
        read("y ~ x + y")
    assert refused.value.kind == "Formula"
    assert refused.value.column == "y"


def wide(count: int) -> str:
    return "(" + " + ".join(f"a{i}" for i in range(count)) + ")"


BOMBS = {
    "parentheses": ("y ~ " + "(" * 4_900 + "a" + ")" * 4_900, "at most 40 deep"),
    "calls": ("y ~ " + "log(" * 1_900 + "a" + ")" * 1_900, "at most 40 deep"),
    "power": (f"y ~ {wide(40)}**6", "terms"),
    "crossing": ("y ~ " + "*".join(f"a{i}" for i in range(1_500)), "over a billion terms"),
    "interaction": (f"y ~ {wide(40)}:{wide(40)}", "1,600 terms"),
    "sum": (f"y ~ {wide(1_001)}", "more than 1,000 terms"),
    "sum of powers": (f"y ~ {wide(10)}**4 + " + "(b + c + d + e + f + g + h + i + j + k)**4 + " * 40 + "(l + m + n + "
                      "o + p + q + r + s + t + u)**4", "more than 1,000 terms"),
    "groups": ("y ~ (" + wide(30) + "**2 | " + "/".join(f"g{i}" for i in range(30)) + ")", "more than 1,000 terms"),
    "nested groups": ("y ~ (1 | " + "/".join(f"g{i}" for i in range(900)) + ")", "once expanded"),
    "long names": ("y ~ " + "*".join("`" + letter * 1000 + "`" for letter in "abcdef"), "once expanded"),
    "long": ("y ~ " + "a + " * 3_000 + "a", "10,000"),
    "repeated crossing": ("y ~ " + " + ".join(["(" * 35 + wide(9) + "**5" + "):zz" * 35] * 40), "20,000 products"),
    "minuses": ("y ~ " + "-" * 9_000, "expected"),
    "backticks": ("y ~ " + "`" * 9_001, "not closed"),
    "spaces": ("y ~ " + " " * 9_000, "nothing after"),
    "digits": ("y ~ " + "9" * 9_000, "18 digits"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_hostile_formula_is_refused_in_bounded_time(name: str) -> None:
    text, said = BOMBS[name]
    start = time.perf_counter()
    with pytest.raises(FormulaError, match=said):
        read(text)
    assert time.perf_counter() - start < 2.0


def test_limits_can_be_reached() -> None:
    assert len(read(f"y ~ {wide(1_000)}").terms) == 1_000
    assert read("y ~ " + "(" * 40 + "a" + ")" * 40) == y(A)
    assert len(read(f"y ~ {wide(10)}**4").terms) == 385


# Names and texts as hostile as may be: everything but control characters, tabs and line ends included.
printable = st.characters(exclude_categories=("Cc", "Cs"), include_characters="\t\n\r")
words = st.sampled_from(["a", "b", "x1", "größe", "C", "log", "offset", "trials", "by", "True", "I", *keyword.kwlist])
pieces = st.text(st.sampled_from("`'\"~+-*:|()=,. ab0\n\\"), min_size=1, max_size=8)
names = words | pieces | st.text(printable, min_size=1, max_size=8)
texts = st.text(printable, max_size=8) | pieces
numbers = st.integers(-(10**18) + 1, 10**18 - 1) | st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def formulas(draw: st.DrawFn) -> Formula:
    response = draw(names)
    columns = names.filter(lambda name: name != response)
    variables = st.builds(Variable, columns)
    scalars = st.recursive(
        variables, lambda inner: st.builds(Call, st.sampled_from(["log", "scale"]), st.tuples(inner)), max_leaves=3
    )
    factors = scalars | st.builds(known_call(("C", "poly", "bs")), st.data(), scalars, variables)
    products = st.lists(factors, min_size=1, max_size=3, unique=True).map(lambda found: Product(tuple(found)))
    unique_products = st.lists(products, max_size=3, unique_by=lambda product: product.key).map(tuple)
    structured = st.builds(known_call(("s", "season", "rw", "ar", "near")), st.data(), variables, variables)
    groups = st.builds(GroupTerm, st.booleans(), unique_products,
                       st.lists(columns, min_size=1, max_size=2, unique=True).map(tuple), st.booleans())
    groups = groups.filter(lambda term: term.intercept or term.effects)
    trials = draw(st.none() | columns | st.integers(1, 10**18 - 1))
    return Formula(
        draw(st.none() | st.just(Response(response, trials))),
        draw(st.booleans()),
        draw(unique_products),
        draw(st.lists(structured, max_size=2, unique=True).map(tuple)),
        draw(st.lists(groups, max_size=3, unique_by=lambda term: frozenset(term.group)).map(tuple)),
        draw(st.lists(scalars, max_size=2, unique=True).map(tuple)),
    )


def known_call(functions: tuple[str, ...]):
    """Make calls that are valid by their signature, options equal to the default left out."""

    def make(data: st.DataObject, argument: Variable | Call, by: Variable) -> Call:
        signature = SIGNATURES[data.draw(st.sampled_from(functions))]
        values = {option.name: data.draw(option_values(option, by)) for option in signature.options}
        kept = ((option.name, values[option.name]) for option in signature.options)
        arguments = (argument, by)[: signature.columns]
        return Call(signature.name, arguments, tuple((name, value) for name, value in kept if value != "left out"))

    return make


def option_values(option: Option, by: Variable) -> st.SearchStrategy:
    kinds = {"int": st.integers(-(10**9), 10**9), "float": numbers.map(float), "str": texts, "bool": st.booleans(),
             "column": st.just(by)}
    values = st.one_of(kinds[kind] for kind in option.kinds).filter(
        lambda value: value not in ("left out", option.default) and option.refusal(value) is None)
    if option.choices:
        values = st.sampled_from([choice for choice in option.choices if choice != option.default])
    return values if option.default is REQUIRED else st.just("left out") | values


@settings(max_examples=300, deadline=None)
@given(formulas())
def test_printed_formula_reads_back_equal(formula: Formula) -> None:
    text = str(formula)
    again = parse(text, SIGNATURES, one_sided=formula.response is None)
    assert again == formula
    assert str(again) == text
    assert again.columns == formula.columns


symbols = ["~", "+", "-", "*", "**", ":", "|", "||", "/", "(", ")", ",", "=", "==", ".", "[", "`", "'", '"', "^", "%",
           " ", "0", "1", "2", "1e9", "y", "a", "b", "g", "log", "s", "poly", "offset", "trials", "by=", "knots=",
           "lambda", "True", "`x y`", "(1 | g)", "s(x)", "y ~ ", "log(", "offset(", "\0", "é", "\u2028"]


@settings(max_examples=600, deadline=2_000)
@given(st.lists(st.sampled_from(symbols), max_size=30).map("".join) | st.text(max_size=60), st.booleans())
def test_any_text_is_read_or_refused(text: str, one_sided: bool) -> None:
    for whole in (text, ("~ " if one_sided else "y ~ ") + text):
        read_or_refused = attempt(whole, one_sided=one_sided)
        if isinstance(read_or_refused, FormulaError):
            assert 0 <= read_or_refused.position <= len(whole)
            assert "^" in str(read_or_refused).splitlines()[-1]
        else:
            assert parse(str(read_or_refused), SIGNATURES, one_sided=one_sided) == read_or_refused


def attempt(text: str, *, one_sided: bool) -> Formula | FormulaError:
    """Read a text, or give the one error that may come; any other passes through."""
    try:
        return parse(text, SIGNATURES, one_sided=one_sided)
    except FormulaError as error:
        return error


def test_nothing_is_evaluated() -> None:
    folder = Path(bayesglm.formula.__file__).parent
    allowed = {"__future__", "bayesglm", "collections", "dataclasses", "enum", "itertools", "keyword", "math", "re",
               "typing", "unicodedata"}
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Name | ast.Attribute):
                name = node.id if isinstance(node, ast.Name) else node.attr
                assert name not in {"eval", "exec", "__import__", "getattr", "globals", "literal_eval"}, path
                assert not (isinstance(node, ast.Name) and name == "compile"), path
            if isinstance(node, ast.Import):
                assert {alias.name.split(".")[0] for alias in node.names} <= allowed, path
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] in allowed, path
