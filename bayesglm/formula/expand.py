"""The algebra of terms: interactions, crossings and powers of sums."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, combinations, product
from math import comb, prod

from bayesglm.formula.records import Call, Factor, GroupTerm, Product

type Terms = dict[frozenset[Factor], Product]


@dataclass(frozen=True, slots=True)
class Placed[T]:
    """A part of a formula, and the character where it stands."""

    item: T
    position: int


@dataclass(frozen=True, slots=True)
class Sum:
    """What a sum holds so far: 1 and 0 in the order written, common effects, and what takes no part in the algebra."""

    intercepts: list[bool] = field(default_factory=list)
    terms: Terms = field(default_factory=dict)
    structured: list[Placed[Call]] = field(default_factory=list)
    groups: list[Placed[GroupTerm]] = field(default_factory=list)
    offsets: list[Placed[Factor]] = field(default_factory=list)

    @property
    def intercept(self) -> bool:
        """Whether it has an intercept: the last 1 or 0 decides, and without one it has."""
        return self.intercepts[-1] if self.intercepts else True

    def add(self, other: Sum) -> None:
        """Take in another sum; the first place of a duplicate stays."""
        self.intercepts.extend(other.intercepts)
        for key, term in other.terms.items():
            self.terms.setdefault(key, term)
        self.structured.extend(other.structured)
        self.groups.extend(other.groups)
        self.offsets.extend(other.offsets)


def single(factor: Factor) -> Sum:
    """Make the sum of one main effect."""
    term = Product((factor,))
    return Sum(terms={term.key: term})


def interaction_size(operands: Sequence[Terms]) -> int:
    """Count the products that ``a:b:...`` forms."""
    return prod(len(terms) for terms in operands)


def interaction(operands: Sequence[Terms]) -> Iterator[Product]:
    """Form ``a:b:...``: every product of one term from each operand."""
    return (_merged(choice) for choice in product(*(terms.values() for terms in operands)))


def crossing_size(operands: Sequence[Terms]) -> int:
    """Count the products that ``a*b*...`` forms."""
    return prod(1 + len(terms) for terms in operands) - 1


def crossing(operands: Sequence[Terms]) -> Iterator[Product]:
    """Form ``a*b*...``: the interactions of every subset of the operands, the small ones first."""
    sizes = range(1, len(operands) + 1)
    return chain.from_iterable(interaction(subset) for size in sizes for subset in combinations(operands, size))


def power_size(terms: Terms, exponent: int) -> int:
    """Count the products that ``(a + b + ...)**exponent`` forms."""
    return sum(comb(len(terms), size) for size in range(1, exponent + 1))


def power(terms: Terms, exponent: int) -> Iterator[Product]:
    """Form ``(a + b + ...)**exponent``: all interactions of at most that many terms."""
    return (_merged(choice) for size in range(1, exponent + 1) for choice in combinations(terms.values(), size))


def collected(products: Iterable[Product]) -> Sum:
    """Gather products into a sum, each once."""
    terms: Terms = {}
    for term in products:
        terms.setdefault(term.key, term)
    return Sum(terms=terms)


def _merged(products: Iterable[Product]) -> Product:
    return Product(tuple(dict.fromkeys(factor for term in products for factor in term.factors)))
