"""Design: formulas and a table into linear predictors, one for each predicted parameter.

    eta_i = offset_i + intercept + sum_j (X_ij - centre_j) beta_j + sum_b A_b x_b

Learnt on the distinct covariate patterns, coded on any table. Made by `learn_predictor`, used by the model builder and the
predictions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from bayesglm.data.patterns import Patterns
from bayesglm.data.table import Table
from bayesglm.formula import Call, Formula, Signature
from bayesglm.registry import discover
from bayesglm.terms.identified import check_identified
from bayesglm.terms.scalar import code_scalar, learn_scalar, spread
from bayesglm.terms.term import Array, Basis, Block, Coded, Context, Node, State, Term


def terms() -> Mapping[str, Term]:
    """Return every kind of term by name."""
    return discover("bayesglm.terms", Term)


@cache
def signatures() -> Mapping[str, Signature]:
    """Return every function that a formula may call."""
    return {each.name: each for term in terms().values() for each in term.signatures}


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """One term of a formula with what it has learnt.

    Attributes
    ----------
    term : str
        The kind of term.
    text : str
        How the formula writes it.
    state : mapping
        What was learnt; JSON can hold it.
    """

    term: str
    text: str
    state: State

    def code(self, table: Table) -> Coded:
        """Code the term on a table."""
        return terms()[self.term].code(self.state, table)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The latent blocks of the term."""
        return tuple(terms()[self.term].blocks(self.state))


_PER_COLUMN = ("centre", "scale", "spread", "share")


@dataclass(frozen=True, slots=True, eq=False)
class Predictor:
    """The linear predictor of one parameter, learnt.

    Attributes
    ----------
    parameter : str
        The parameter of the family it predicts.
    prefix : str
        What its variables start with in the model; empty for the mean.
    link : str
        Name of the link.
    formula : str
        Its formula in canonical text.
    intercept : bool
        Whether it has a common intercept.
    pieces : tuple of Piece
        Its terms.
    offsets : tuple of mapping
        States of its offset columns.
    coef : tuple of str
        Names of the common coefficients.
    readings : tuple of str
        What one unit of each compares.
    centre, scale : array, shape (coef,)
        Weighted mean and sd of each common column in the fitted rows.
    spread, share : array, shape (coef,)
        What its default prior is per, and its variance in units of the square of that: see `bayesglm.terms.scalar.spread`.
    """

    parameter: str
    prefix: str
    link: str
    formula: str
    intercept: bool
    pieces: tuple[Piece, ...]
    offsets: tuple[State, ...]
    coef: tuple[str, ...]
    readings: tuple[str, ...]
    centre: Array
    scale: Array
    spread: Array
    share: Array

    @property
    def blocks(self) -> tuple[Block, ...]:
        """All latent blocks, in the order of the bases of `CodedPredictor`."""
        return tuple(block for piece in self.pieces for block in piece.blocks)

    def name(self, variable: str) -> str:
        """Return the name of one of its variables in the model."""
        return f"{self.prefix}{variable}"

    def code(self, table: Table) -> CodedPredictor:
        """Code the predictor on any table."""
        coded = [piece.code(table) for piece in self.pieces]
        columns = [each.columns.values for each in coded if each.columns is not None]
        return CodedPredictor(
            common=np.hstack(columns) if columns else np.zeros((table.rows, 0)), offset=self.offset(table),
            bases=tuple(basis for each in coded for basis in each.bases),
        )

    def offset(self, table: Table) -> Array:
        """Return the sum of the offsets on any table."""
        return np.asarray(sum((code_scalar(state, table) for state in self.offsets), np.zeros(table.rows)))

    def to_dict(self) -> dict[str, Any]:
        """Return a mapping that JSON can hold."""
        return {
            "parameter": self.parameter, "prefix": self.prefix, "link": self.link, "formula": self.formula,
            "intercept": self.intercept, "coef": list(self.coef), "readings": list(self.readings),
            "pieces": [{"term": p.term, "text": p.text, "state": dict(p.state)} for p in self.pieces],
            "offsets": [dict(state) for state in self.offsets],
            **{name: getattr(self, name).tolist() for name in _PER_COLUMN},
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Predictor:
        """Return the predictor that `to_dict` wrote."""
        known = dict(saved)
        known["pieces"] = tuple(Piece(**piece) for piece in saved["pieces"])
        known |= {key: tuple(saved[key]) for key in ("offsets", "coef", "readings")}
        known |= {key: np.array(saved[key], dtype=np.float64) for key in _PER_COLUMN}
        return cls(**known)


@dataclass(frozen=True, slots=True, eq=False)
class CodedPredictor:
    """A linear predictor coded on a table.

    Attributes
    ----------
    common : array, shape (pattern, coef)
        Columns of the common effects, not centred.
    offset : array, shape (pattern,)
        Sum of the offsets.
    bases : tuple of Basis
        One for each block.
    """

    common: Array
    offset: Array
    bases: tuple[Basis, ...]


def learn_predictor(formula: Formula, patterns: Patterns, *, parameter: str, prefix: str, link: str) -> Predictor:
    """Learn the linear predictor of one parameter.

    Parameters
    ----------
    formula : Formula
        Its formula; the response is not looked at.
    patterns : Patterns
        The distinct covariate patterns with their counts.
    parameter, prefix, link : str
        What it predicts, how its variables are called, through which link.

    Raises
    ------
    DesignError
        A constant or collinear common column.
    """
    context = Context(patterns.counts, formula.intercept, formula.terms)
    nodes: list[tuple[str, Node]] = [("product", node) for node in formula.terms]
    nodes += [(_structured(node), node) for node in formula.structured]
    nodes += [("group", node) for node in formula.groups]
    pieces = tuple(Piece(kind, str(node), terms()[kind].learn(node, patterns.table, context)) for kind, node in nodes)
    columns = [coded.columns for piece in pieces if (coded := piece.code(patterns.table)).columns is not None]
    coef = tuple(name for each in columns for name in each.names)
    values = np.hstack([each.values for each in columns]) if columns else np.zeros((patterns.table.rows, 0))
    check_identified(values, coef, intercept=formula.intercept)
    centre = np.average(values, axis=0, weights=patterns.counts) if coef else np.zeros(0)
    scale = np.sqrt(np.average((values - centre) ** 2, axis=0, weights=patterns.counts)) if coef else np.zeros(0)
    spreads = np.array([spread(column, patterns.counts) for column in values.T]).reshape(-1, 2)
    return Predictor(
        parameter=parameter, prefix=prefix, link=link, formula=str(formula), intercept=formula.intercept, pieces=pieces,
        offsets=tuple(learn_scalar(node, patterns.table, patterns.counts) for node in formula.offsets), coef=coef,
        readings=tuple(text for each in columns for text in each.readings), centre=centre, scale=scale,
        spread=spreads[:, 0], share=spreads[:, 1],
    )


def _structured(node: Call) -> str:
    return next(name for name, term in terms().items()
                if any(each.name == node.function and each.role == "structured" for each in term.signatures))
