"""What is wrong with a formula, and at which character."""

from __future__ import annotations

import re
import unicodedata

from bayesglm.errors import BayesGLMError

_MARGIN = 50
_UNSHOWABLE = re.compile(r"[^\S ]|[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


class FormulaError(BayesGLMError):
    """A formula that cannot be read.

    Parameters
    ----------
    problem : str
        What was found, in one clause.
    text : str
        The formula as it was given.
    position : int
        The character at fault, counted from 0; the length of the text where something is missing at its end.
    column : str, optional
        The column at fault.
    value : object, optional
        The offending value.
    rule : str
        The rule that was broken.
    fix : str
        What to do about it.

    Examples
    --------
    >>> print(FormulaError("indexing", text="y ~ x[0]", position=5, rule="a formula names whole columns",
    ...                    fix="Add the column to the table."))
    indexing (character 5); a formula names whole columns. Add the column to the table.
        y ~ x[0]
             ^
    """

    def __init__(
        self,
        problem: str,
        *,
        text: str,
        position: int,
        column: str | None = None,
        value: object = None,
        rule: str,
        fix: str,
    ) -> None:
        self.text, self.position = text, position
        super().__init__(problem, column=column, value=value, rule=rule, fix=fix)

    def _text(self) -> str:
        said = f"{self.problem} (character {self.position}); {self.rule}. {self.fix}"
        return f"{said}\n{_caret(self.text, self.position)}"


def shown(name: object) -> str:
    """Write a name or a value for a message, cut where it is long.

    Examples
    --------
    >>> shown("x" * 80)
    "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx..."
    """
    text = repr(name)
    return text if len(text) <= _MARGIN + 2 else text[: _MARGIN - 1] + "..."


def _caret(text: str, position: int) -> str:
    """Show the line at fault, cut around the character, over a caret."""
    start = max(text.rfind("\n", 0, position) + 1, position - _MARGIN)
    line_end = text.find("\n", position)
    end = min(len(text) if line_end < 0 else line_end, position + _MARGIN)
    before = _UNSHOWABLE.sub("\N{REPLACEMENT CHARACTER}", text[start:position].replace("\t", " "))
    after = _UNSHOWABLE.sub("\N{REPLACEMENT CHARACTER}", text[position:end].replace("\t", " "))
    return f"    {before}{after}\n    {' ' * sum(map(_width, before))}^"


def _width(character: str) -> int:
    """Count the cells a character takes on a terminal."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1
