"""Formulas: a closed grammar that turns text into records and never evaluates Python.

`parse` is used once, where a formula enters; the records are what every later stage reads.
"""

from bayesglm.formula.error import FormulaError
from bayesglm.formula.grammar import parse
from bayesglm.formula.records import Call, Factor, Formula, GroupTerm, OptionValue, Product, Response, Variable
from bayesglm.formula.signature import REQUIRED, Option, Required, Signature

__all__ = [
    "REQUIRED",
    "Call",
    "Factor",
    "Formula",
    "FormulaError",
    "GroupTerm",
    "Option",
    "OptionValue",
    "Product",
    "Required",
    "Response",
    "Signature",
    "Variable",
    "parse",
]
