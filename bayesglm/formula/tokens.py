"""A formula's text as tokens, and the reader that hands them out.

Everything that is refused character by character is refused here: lengths, control characters, quotes that do not
close, characters that would be Python, brackets that do not match or nest too deep.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Final, Literal

from bayesglm.formula.error import FormulaError, shown
from bayesglm.formula.records import RESERVED
from bayesglm.formula.signature import Signature

MAX_LENGTH: Final = 10_000
MAX_NESTING: Final = 40
_MAX_DIGITS: Final = 18

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
# Possessive quantifiers: a quote that does not close is refused in one pass, and no number is read short.
_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
    | (?P<name>[^\W\d]\w*)
    | `(?P<quoted>(?:[^`]|``)*+)`
    | "(?P<double>(?:[^"]|"")*+)"
    | '(?P<single>(?:[^']|'')*+)'
    | (?P<number>[0-9]++(?:\.[0-9]*+)?+(?:[eE][+-]?[0-9]++)?+)(?!\w)
    | (?P<symbol>\*\*|\|\||=(?!=)|[~+\-*:/|(),])
    """,
    re.VERBOSE,
)

_COMPUTE = "Add the result to the table as a column and name that."
_REFUSED: Final[dict[str, tuple[str, str, str]]] = {
    "^": ("`^`", "powers are written with `**`", "Use `**`, as in (a + b)**2."),
    ".": ("a dot", "a formula reads no attributes, and names with dots need backticks",
          "Write the column in backticks, as in `x.y`; write numbers with a digit before the dot."),
    "%": ("`%`", "a formula knows no %in% and no remainders",
          "For nested groups write (1 | g/h); otherwise add the column to the table."),
    "`": ("a backtick that is not closed", "a name in backticks ends with a backtick",
          "Close it; a backtick inside a name is doubled."),
    '"': ("a quote that is not closed", "a text ends with the quote it began with",
          "Close it; a quote inside a text is doubled."),
    "'": ("a quote that is not closed", "a text ends with the quote it began with",
          "Close it; a quote inside a text is doubled."),
    **dict.fromkeys("[]", ("indexing", "a formula names whole columns", _COMPUTE)),
    **dict.fromkeys("{}", ("a brace", "a formula is not evaluated as Python", _COMPUTE)),
    **dict.fromkeys("<>=!&", ("a comparison", "a formula computes no conditions", _COMPUTE)),
    **dict.fromkeys("0123456789", ("a number that runs into letters", "a plain name begins with a letter",
                                   "Put a name that begins with a digit in backticks.")),
}


@dataclass(frozen=True, slots=True)
class Token:
    """One word of a formula: a plain or quoted name, a number, a text, a symbol, or the end."""

    kind: Literal["name", "quoted", "number", "string", "symbol", "end"]
    text: str
    value: str | int | float
    position: int

    @property
    def is_name(self) -> bool:
        """Whether it names a column or a function."""
        return self.kind in {"name", "quoted"}

    def __str__(self) -> str:
        return "the end of the formula" if self.kind == "end" else shown(self.text)


@dataclass(frozen=True, slots=True)
class Reader:
    """The tokens still to be read on one side of a formula, and what is known while reading them."""

    text: str
    tokens: deque[Token]
    signatures: Mapping[str, Signature]
    response: str | None
    formed: list[int] = field(default_factory=list)  # how many products each interaction formed

    @property
    def next(self) -> Token:
        """The token that comes next."""
        return self.tokens[0]

    def ends(self) -> bool:
        """Say whether nothing is left."""
        return self.next.kind == "end"

    def take(self) -> Token:
        """Hand out the next token; the end stays."""
        return self.next if self.ends() else self.tokens.popleft()

    def sees(self, symbol: str, ahead: int = 0) -> bool:
        """Say whether a symbol comes next, or some tokens ahead."""
        token = self.tokens[min(ahead, len(self.tokens) - 1)]
        return token.kind == "symbol" and token.text == symbol

    def accept(self, symbol: str) -> bool:
        """Take the next token if it is the symbol."""
        found = self.sees(symbol)
        if found:
            self.take()
        return found

    def column(self) -> str:
        """Take a column's name; the response is none on the right-hand side."""
        token = self.take()
        if token.kind == "name" and token.text in RESERVED:
            raise self.error(token, f"{token} is a reserved word", rule="a reserved word is no plain name",
                             fix=f"If a column is called that, write `{token.text}` in backticks.")
        if not token.is_name:
            raise self.error(token, f"{token} where a column's name is expected", rule="columns are given by name",
                             fix="Write the name of a column (in backticks if it is no plain word).")
        if token.value == self.response:
            raise self.error(token, f"the response {shown(token.value)} on the right-hand side", column=self.response,
                             rule="a response cannot explain itself",
                             fix="Remove it; for earlier values, add a lagged column to the table.")
        return str(token.value)

    def error(
        self, where: Token | int, problem: str, *, rule: str, fix: str, column: str | None = None
    ) -> FormulaError:
        """Make the error that points at a token."""
        position = where if isinstance(where, int) else where.position
        value = None if isinstance(where, int) else where.value
        return FormulaError(problem, text=self.text, position=position, column=column, value=value, rule=rule, fix=fix)


def tokens(text: str) -> list[Token]:
    """Cut a formula into tokens, the last of which is the end."""
    _check_text(text)
    found: list[Token] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _refused(text, position)
        if match.lastgroup != "space":
            found.append(_token(text, match))
        position = match.end()
    _check_brackets(text, found)
    return [*found, Token("end", "", "", len(text))]


def _check_text(text: object) -> None:
    if not isinstance(text, str):
        raise FormulaError(f"{type(text).__name__} {shown(text)}", text="", position=0, value=text,
                           rule="a formula is a text", fix='Write it in quotes, as in "errors ~ deploy".')
    if len(text) > MAX_LENGTH:
        raise FormulaError(f"{len(text):,} characters", text=text, position=MAX_LENGTH,
                           rule=f"a formula has at most {MAX_LENGTH:,}", fix="Write fewer terms, or shorter names.")
    bad = _UNPRINTABLE.search(text)
    if bad:
        raise FormulaError(f"the control character {bad.group()!a}", text=text, position=bad.start(),
                           value=bad.group(), rule="a formula holds printable characters, spaces and line ends",
                           fix="Remove it; rename the column if its name holds it.")


def _token(text: str, match: re.Match[str]) -> Token:
    group, position = str(match.lastgroup), match.start()
    content = match[group]
    if group == "number":
        return Token("number", content, _number(text, content, position), position)
    if group in {"double", "single"}:
        quote = match[0][0]
        return Token("string", match[0], content.replace(quote * 2, quote), position)
    if group == "quoted":
        if not content:
            raise FormulaError("an empty name", text=text, position=position, rule="a column's name is not empty",
                               fix="Write the name between the backticks; rename the column if it has none.")
        return Token("quoted", match[0], content.replace("``", "`"), position)
    return Token("name" if group == "name" else "symbol", content, content, position)


def _number(text: str, content: str, position: int) -> int | float:
    if content.isdecimal() and len(content) <= _MAX_DIGITS:
        return int(content)
    if not content.isdecimal() and isfinite(float(content)):
        return float(content)
    raise FormulaError(f"the number {content[:20]}...", text=text, position=position,
                       rule=f"whole numbers have at most {_MAX_DIGITS} digits and others are finite",
                       fix="Write a smaller number.")


def _refused(text: str, position: int) -> FormulaError:
    fault = (f"the character {text[position]!r}", "it has no meaning in a formula",
             "Remove it, or put the name it belongs to in backticks.")
    problem, rule, fix = _REFUSED.get(text[position], fault)
    return FormulaError(problem, text=text, position=position, value=text[position], rule=rule, fix=fix)


def _check_brackets(text: str, found: list[Token]) -> None:
    """Refuse parentheses that do not match or nest too deep, before anything is read recursively."""
    opened: list[int] = []
    rule = "every parenthesis that opens closes"
    for token in (token for token in found if token.kind == "symbol"):
        if token.text == "(":
            opened.append(token.position)
        elif token.text == ")" and not opened:
            raise FormulaError("a parenthesis that was never opened", text=text, position=token.position, rule=rule,
                               fix="Remove it, or open one before it.")
        elif token.text == ")":
            opened.pop()
        if len(opened) > MAX_NESTING:
            raise FormulaError(f"more than {MAX_NESTING} nested parentheses", text=text, position=token.position,
                               rule=f"parentheses nest at most {MAX_NESTING} deep", fix="Remove the needless ones.")
    if opened:
        raise FormulaError("a parenthesis that is not closed", text=text, position=opened[-1], rule=rule,
                           fix="Close it with `)`.")
