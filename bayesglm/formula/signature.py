"""Which functions a formula may call, and with what.

Terms and transforms declare a `Signature` each; the grammar knows no function but ``offset``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

from bayesglm.formula.error import shown
from bayesglm.formula.records import Call, OptionValue, Variable

type Kind = Literal["int", "float", "str", "bool", "column"]


class Required(Enum):
    """The type of `REQUIRED`, the default of an option that must be given."""

    REQUIRED = "required"


REQUIRED: Final = Required.REQUIRED

_NOUNS: Final[dict[Kind, str]] = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text in quotes",
    "bool": "True or False",
    "column": "a column's name",
}


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a function.

    Parameters
    ----------
    name : str
        Its name.
    kinds : tuple of {"int", "float", "str", "bool", "column"}
        What it may be; a whole number is also a float.
    default : value, optional
        Its default; `REQUIRED` where it must be given. None as a default means "not set".
    minimum : float, optional
        The least number it may be.
    choices : tuple of values
        The values it may take; empty where any will do.

    Examples
    --------
    >>> Option("knots", ("int",), default=20, minimum=3).refusal(2)
    'option `knots` must be at least 3'
    """

    name: str
    kinds: tuple[Kind, ...]
    default: OptionValue | Required = REQUIRED
    minimum: float | None = None
    choices: tuple[OptionValue, ...] = ()

    def normal(self, value: OptionValue | Variable) -> OptionValue | Variable:
        """Give a whole number as a float where only floats are meant."""
        if isinstance(value, int) and not isinstance(value, bool) and "int" not in self.kinds and "float" in self.kinds:
            return float(value)
        return value

    def refusal(self, value: OptionValue | Variable) -> str | None:
        """Say which rule a value breaks, or None where it breaks none."""
        if value is None and self.default is None:
            return None
        if _kind(self.normal(value)) not in self.kinds:
            return f"option `{self.name}` takes {' or '.join(_NOUNS[kind] for kind in self.kinds)}"
        if self.choices and value not in self.choices:
            return f"option `{self.name}` must be one of {', '.join(map(repr, self.choices))}"
        if self.minimum is not None and isinstance(value, (int, float)) and value < self.minimum:
            return f"option `{self.name}` must be at least {self.minimum:g}"
        return None

    def advice(self, value: OptionValue | Variable) -> str:
        """Say what to write in the place of a refused value."""
        if isinstance(value, Variable) and "str" in self.kinds:
            return f"Write {self.name}=\"{value.name[:40]}\", in quotes."
        if isinstance(value, str) and self.kinds == ("column",):
            return "Write the column's name without quotes (in backticks if it is no plain word)."
        if isinstance(value, float) and "int" in self.kinds and value.is_integer() and abs(value) < 1e15:
            return f"Write {self.name}={int(value)}."
        return f"Change {self.name}={shown(value.name if isinstance(value, Variable) else value)}."


@dataclass(frozen=True, slots=True)
class Signature:
    """How a function is called in a formula.

    Parameters
    ----------
    name : str
        The function's name.
    role : {"transform", "structured"}
        A transform is a factor of common and group effects; a structured term is a block of its own.
    scalar : bool
        Whether a transform gives exactly one numeric column, so that it may stand inside another function.
    columns : int
        How many columns it takes, before its options.
    options : tuple of Option
        Its options, in the order in which they may be given without their names.
    nests : bool
        Whether its columns may be scalar transforms of columns.
    note : str
        One sentence on what it does.

    Examples
    --------
    >>> spline = Signature("s", "structured", options=(Option("knots", ("int",), default=20),))
    >>> spline.settings(Call("s", (Variable("hour"),)))
    {'knots': 20}
    """

    name: str
    role: Literal["transform", "structured"]
    scalar: bool = False
    columns: int = 1
    options: tuple[Option, ...] = ()
    nests: bool = True
    note: str = ""

    def settings(self, call: Call) -> dict[str, OptionValue | Variable]:
        """Give every option of a call, the defaults filled in."""
        values: dict[str, OptionValue | Variable] = {
            option.name: option.default for option in self.options if not isinstance(option.default, Required)
        }
        values.update(call.options)
        return {option.name: values[option.name] for option in self.options if option.name in values}

    @property
    def usage(self) -> str:
        """The call in outline, such as ``season(column, period=..., [harmonics=3])``."""
        columns = ["column"] * self.columns
        options = [f"{option.name}=..." if option.default is REQUIRED else f"[{option.name}={option.default!r}]"
                   for option in self.options]
        return f"{self.name}({', '.join(columns + options)})"


def _kind(value: OptionValue | Variable) -> Kind | None:
    """Name the kind of a value; True is no number here."""
    if isinstance(value, Variable):
        return "column"
    kinds: dict[type, Kind] = {bool: "bool", int: "int", float: "float", str: "str"}
    return kinds.get(type(value))
