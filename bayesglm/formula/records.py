"""What a formula says, as values, and their canonical text.

The grammar makes these records; the design codes them into blocks. ``str`` of a record is text that parses back to an
equal record. Options that equal their default are left out of a call, and so out of its text;
`bayesglm.formula.Signature.settings` fills them in.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

RESERVED = frozenset(keyword.kwlist)
_PLAIN = re.compile(r"[^\W\d]\w*")

type OptionValue = bool | int | float | str | None
type Factor = Variable | Call


@dataclass(frozen=True, slots=True)
class Variable:
    """A column, by its name.

    Examples
    --------
    >>> print(Variable("deploy"), Variable("requests per s"), Variable("class"))
    deploy `requests per s` `class`
    """

    name: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The raw columns it reads."""
        return (self.name,)

    def __str__(self) -> str:
        return _name(self.name)


@dataclass(frozen=True, slots=True)
class Call:
    """A function of columns, with the options that differ from their defaults.

    Parameters
    ----------
    function : str
        The function's name.
    arguments : tuple of Variable or Call
        The columns it takes; a call here is a transform that gives one numeric column.
    options : tuple of (str, value)
        Options in the order of the signature; a column is given as a `Variable`.

    Examples
    --------
    >>> print(Call("season", (Variable("hour"),), (("period", 24), ("by", Variable("region")))))
    season(hour, period=24, by=region)
    """

    function: str
    arguments: tuple[Factor, ...]
    options: tuple[tuple[str, OptionValue | Variable], ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The raw columns it reads, those of its options included."""
        inner = [column for argument in self.arguments for column in argument.columns]
        return _unique(inner + [value.name for _, value in self.options if isinstance(value, Variable)])

    def __str__(self) -> str:
        options = (f"{name}={_value(value)}" for name, value in self.options)
        return f"{self.function}({', '.join([*map(str, self.arguments), *options])})"


@dataclass(frozen=True, slots=True)
class Product:
    """One common-effect term: a main effect, or an interaction of distinct factors.

    Examples
    --------
    >>> print(Product((Variable("deploy"), Variable("region"))))
    deploy:region
    """

    factors: tuple[Factor, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The raw columns it reads."""
        return _unique(column for factor in self.factors for column in factor.columns)

    @property
    def key(self) -> frozenset[Factor]:
        """What makes two products the same term: their factors, in any order."""
        return frozenset(self.factors)

    def __str__(self) -> str:
        return ":".join(map(str, self.factors))


@dataclass(frozen=True, slots=True)
class GroupTerm:
    """Effects that vary between the levels of a group.

    Parameters
    ----------
    intercept : bool
        Whether the intercept varies.
    effects : tuple of Product
        The slopes that vary.
    group : tuple of str
        The grouping columns; several mean their combinations.
    correlated : bool
        Whether the effects of one group are correlated (``|``) or not (``||``).

    Examples
    --------
    >>> print(GroupTerm(True, (Product((Variable("deploy"),)),), ("service", "region"), True))
    (1 + deploy | service:region)
    """

    intercept: bool
    effects: tuple[Product, ...]
    group: tuple[str, ...]
    correlated: bool

    @property
    def columns(self) -> tuple[str, ...]:
        """The raw columns it reads, the grouping ones last."""
        return _unique([*(column for effect in self.effects for column in effect.columns), *self.group])

    def __str__(self) -> str:
        effects = " + ".join(["1" if self.intercept else "0", *map(str, self.effects)])
        return f"({effects} {'|' if self.correlated else '||'} {':'.join(map(_name, self.group))})"


@dataclass(frozen=True, slots=True)
class Response:
    """The response column, with the number of trials where it counts successes.

    Examples
    --------
    >>> print(Response("failures", "requests"))
    failures | trials(requests)
    """

    name: str
    trials: str | int | None = None

    def __str__(self) -> str:
        if self.trials is None:
            return _name(self.name)
        return f"{_name(self.name)} | trials({self.trials if isinstance(self.trials, int) else _name(self.trials)})"


@dataclass(frozen=True, slots=True)
class Formula:
    """What one linear predictor is made of.

    Parameters
    ----------
    response : Response or None
        None in the one-sided formula of a parameter other than the mean.
    intercept : bool
        Whether there is a common intercept.
    terms : tuple of Product
        Common effects.
    structured : tuple of Call
        Splines, seasons, walks and the like, each a block of its own.
    groups : tuple of GroupTerm
        Effects that vary between groups.
    offsets : tuple of Variable or Call
        Columns that enter with the coefficient 1, on the scale of the link.

    Examples
    --------
    >>> print(Formula(Response("errors"), True, (Product((Variable("deploy"),)),), (), (), (Variable("log_requests"),)))
    errors ~ deploy + offset(log_requests)
    """

    response: Response | None
    intercept: bool
    terms: tuple[Product, ...] = ()
    structured: tuple[Call, ...] = ()
    groups: tuple[GroupTerm, ...] = ()
    offsets: tuple[Factor, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The raw columns that the right-hand side reads, each once, in order."""
        parts = (*self.terms, *self.structured, *self.groups, *self.offsets)
        return _unique(column for part in parts for column in part.columns)

    def __str__(self) -> str:
        left = "~" if self.response is None else f"{self.response} ~"
        return f"{left} {' + '.join(self._right())}"

    def _right(self) -> Iterator[str]:
        parts = [*map(str, (*self.terms, *self.structured, *self.groups)), *(f"offset({o})" for o in self.offsets)]
        if not self.intercept:
            yield "0"
        elif not parts:
            yield "1"
        yield from parts


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _name(name: str) -> str:
    """Write a column's name, in backticks unless it is a plain word."""
    if _PLAIN.fullmatch(name) and name not in RESERVED:
        return name
    return "`" + name.replace("`", "``") + "`"


def _value(value: OptionValue | Variable) -> str:
    """Write an option's value."""
    if isinstance(value, str):
        return '"' + value.replace('"', '""') + '"'
    return str(value) if isinstance(value, Variable) else repr(value)
