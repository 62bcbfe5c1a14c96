"""What went wrong, said so that it can be mended: the column, the value, the rule and the fix.

Every module raises these; nobody catches them inside the package. Each fault has a kind of its own, so a caller can
tell them apart without reading the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class BayesGLMError(ValueError):
    """A fault in what the user handed in.

    Parameters
    ----------
    problem : str
        What was found, in one clause.
    column : str, optional
        The column at fault.
    value : object, optional
        The offending value (the first one, where there are many).
    rows : sequence of int
        Positions (from 0) of the first rows at fault.
    rule : str
        The rule that was broken.
    fix : str
        What to do about it.

    Examples
    --------
    >>> print(BayesGLMError("3 negative values", column="restarts", value=-2, rows=(17, 40, 41),
    ...                     rule="a poisson response needs counts >= 0", fix="Drop the rows."))
    `restarts`: 3 negative values (first at row 17: -2; also rows 40, 41); a poisson response needs counts >= 0. Drop the rows.
    """

    def __init__(
        self,
        problem: str,
        *,
        column: str | None = None,
        value: object = None,
        rows: Sequence[int] = (),
        rule: str,
        fix: str,
    ) -> None:
        self.problem, self.column, self.value, self.rule, self.fix = problem, column, value, rule, fix
        self.rows = tuple(int(row) for row in rows)
        super().__init__(self._text())

    @property
    def kind(self) -> str:
        """The name of this kind of fault, stable across versions."""
        return type(self).__name__.removesuffix("Error")

    def _text(self) -> str:
        where = f"`{self.column}`: " if self.column is not None else ""
        return f"{where}{self.problem}{self._rows_text()}; {self.rule}. {self.fix}"

    def _rows_text(self) -> str:
        if not self.rows:
            return ""
        others = ", ".join(str(row) for row in self.rows[1:5])
        also = f"; also rows {others}" if others else ""
        return f" (first at row {self.rows[0]}: {self.value}{also})"


class MissingColumnError(BayesGLMError):
    """The table has no such column."""


class TableError(BayesGLMError):
    """The table as a whole cannot be used (empty, no data frame, duplicate column names)."""


class NotATableError(TableError):
    """What was given is no data frame."""


class EmptyTableError(TableError):
    """The table has no rows."""


class ColumnNameError(TableError):
    """Column names that are no strings, or that collide with names the package makes."""


class DuplicateColumnError(TableError):
    """Two columns have the same name."""


class UnknownNameError(BayesGLMError):
    """A name (family, engine, option, prior, data set) that the package does not know."""


class OptionError(BayesGLMError):
    """An option whose value does not fit, or that does not go with the rest."""


class MissingValueError(BayesGLMError):
    """A value is missing (NaN, null) where one is needed."""


class AllMissingError(MissingValueError):
    """A column without a single value."""


class InfiniteValueError(BayesGLMError):
    """A value is infinite."""


class ColumnTypeError(BayesGLMError):
    """A column of a type that cannot play its part."""


class MixedTypeError(ColumnTypeError):
    """A column with values of several types."""


class NestedTypeError(ColumnTypeError):
    """A column of lists, arrays or records."""


class TimezoneError(ColumnTypeError):
    """Times with and without a time zone, or with several."""


class ExactnessError(ColumnTypeError):
    """Integers beyond 2**53, which float64 cannot hold exactly."""


class ResponseError(BayesGLMError):
    """The response does not fit the family."""


class ExposureError(BayesGLMError):
    """The exposure does not fit the response or the family."""


class NegativeExposureError(ExposureError):
    """An exposure below zero."""


class ZeroExposureError(ExposureError):
    """Something was counted where the exposure is zero, or nothing was exposed at all."""


class TrialsError(BayesGLMError):
    """The trials do not fit the successes or the family."""


class WeightsError(BayesGLMError):
    """The weights are no counts of identical rows."""


class DuplicateIdError(BayesGLMError):
    """Two rows have the same id."""


class UnitError(BayesGLMError):
    """A unit does not agree with the one the model was fitted with."""


class LevelError(BayesGLMError):
    """A factor has levels that cannot be used."""


class DesignError(BayesGLMError):
    """The predictors do not identify their coefficients."""


class PriorError(BayesGLMError):
    """A prior that does not fit the parameter it was given to."""


class EngineError(BayesGLMError):
    """The inference could not start or end."""


class StorageError(BayesGLMError):
    """A saved fit is damaged, foreign, or from another version."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """Text that lists the known names and the closest one.

    Examples
    --------
    >>> suggestion("poison", ["poisson", "bernoulli"])
    "Did you mean 'poisson'? Known: bernoulli, poisson."
    """
    names = sorted(known)
    close = get_close_matches(name, names, n=1)
    guess = f"Did you mean {close[0]!r}? " if close else ""
    return f"{guess}Known: {', '.join(names)}."


def unknown(what: str, name: object, known: Iterable[str]) -> UnknownNameError:
    """Make the error for a name that is not known."""
    article = "an" if what[0] in "aeiou" else "a"
    return UnknownNameError(
        f"unknown {what} {name!r}", value=name, rule=f"{article} {what} must be one of the known names",
        fix=suggestion(str(name), known),
    )
