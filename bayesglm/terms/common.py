"""Common effects: one coefficient for each column of a product of factors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bayesglm.data.table import Table
from bayesglm.formula import Product
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
    """Learn every factor; a category leaves its reference out where the formula also has the product without it."""
    present = {other.key for other in context.others}

    def reduced(index: int) -> bool:
        rest = frozenset(node.factors) - {node.factors[index]}
        return rest in present if rest else context.intercept

    return {"factors": [factors.learn_factor(each, table, context.counts, reduced=reduced(i))
                        for i, each in enumerate(node.factors)]}


def code_product(state: State, table: Table) -> Columns:
    """Code a learnt product on any table."""
    return multiply([factors.code_factor(each, table) for each in state["factors"]])


MEMBER = Term(
    name="product",
    learn=learn_product,
    code=lambda state, table: Coded(columns=code_product(state, table)),
    signatures=(*scalar.SIGNATURES, *factors.SIGNATURES),
    source="McCullagh and Nelder (1989), Generalized Linear Models, section 3.4",
)
