"""Common effects: one coefficient for each column of a product of factors."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from bayesglm.data.table import Table
from bayesglm.formula import Factor, Product
from bayesglm.terms import factor as factors
from bayesglm.terms import scalar
from bayesglm.terms.term import Coded, Columns, Context, State, Term


def multiply(parts: Sequence[Columns]) -> Columns:
    """Return the columns of an interaction: all products, the first factor running fastest.

    Examples
    --------
    >>> a = Columns(("a",), np.array([[2.0]]), ("per +1 of a",))
    >>> multiply((a, a)).values.tolist()
    [[4.0]]
    """
    product = parts[0]
    for part in parts[1:]:
        product = Columns(
            tuple(f"{left}:{right}" for right in part.names for left in product.names),
            np.einsum("nj,nk->nkj", product.values, part.values).reshape(len(product.values), -1),
            tuple(f"{left}, times {right}" for right in part.readings for left in product.readings),
        )
    return product


def learn_product(node: Product, table: Table, context: Context) -> State:
    """Learn the factors of a product, in one or several parts: each says which categories leave their reference out."""
    return {"parts": [
        [factors.learn_factor(each, table, context.counts, reduced=part[each]) for each in node.factors if each in part]
        for part in codings(node, table, context)
    ]}


def code_product(state: State, table: Table) -> Columns:
    """Code a learnt product on any table."""
    parts = [multiply([factors.code_factor(each, table) for each in part]) for part in state["parts"]]
    return Columns(
        tuple(name for part in parts for name in part.names), np.hstack([part.values for part in parts]),
        tuple(reading for part in parts for reading in part.readings),
    )


def codings(node: Product, table: Table, context: Context) -> list[dict[Factor, bool]]:
    """Return the parts of a product, each a mapping of its factors to whether a category leaves its reference out.

    A product of categories spans the products of all their subsets. Those that stand before it in the formula, the intercept
    included, are spanned already; each other subset would need reduced coding, and two that differ in one category are one
    part where that category is coded in full. So ``a*b`` and ``a:b`` span the same, and no column is a combination of others.
    """
    numbers, categories = _split(node, table)
    spanned = {frozenset[Factor]()} if context.intercept and not numbers else set()
    for other in _before(node, context.others):
        same, own = _split(other, table)
        if same == numbers:
            spanned |= {frozenset(subset) for subset in _subsets(own)}
    left = [dict.fromkeys(subset, True) for subset in _subsets(categories) if frozenset(subset) not in spanned]
    while (merged := _merged(left)) is not None:
        left = merged
    return [{**dict.fromkeys(numbers, False), **part} for part in left]


def _split(node: Product, table: Table) -> tuple[frozenset[Factor], tuple[Factor, ...]]:
    """Return the numeric factors of a product, and its categories in order."""
    categories = tuple(each for each in node.factors if factors.is_category(each, table))
    return frozenset(node.factors) - set(categories), categories


def _before(node: Product, others: Sequence[Product]) -> list[Product]:
    """Return the terms that are coded before one: those of fewer factors, and the earlier ones of as many."""
    keys = [other.key for other in others]
    place = keys.index(node.key) if node.key in keys else len(keys)
    return [other for i, other in enumerate(others) if (len(other.factors), i) < (len(node.factors), place)]


def _subsets(categories: Sequence[Factor]) -> list[tuple[Factor, ...]]:
    return [subset for size in range(len(categories) + 1) for subset in combinations(categories, size)]


def _merged(parts: list[dict[Factor, bool]]) -> list[dict[Factor, bool]] | None:
    """Merge the first two parts that differ in one reduced category into one where it is full; None if there are none."""
    for i, short in enumerate(parts):
        for j, long in enumerate(parts[i + 1:], start=i + 1):
            more = [each for each in long if each not in short]
            if len(more) == 1 and long[more[0]] and all(long.get(each) == reduced for each, reduced in short.items()):
                return [*parts[:i], *parts[i + 1:j], {**long, more[0]: False}, *parts[j + 1:]]
    return None


MEMBER = Term(
    name="product",
    learn=learn_product,
    code=lambda state, table: Coded(columns=code_product(state, table)),
    signatures=(*scalar.SIGNATURES, *factors.SIGNATURES),
    source="McCullagh and Nelder (1989), Generalized Linear Models, section 3.4",
)
