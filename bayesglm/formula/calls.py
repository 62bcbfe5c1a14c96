"""Calls in a formula: their columns and options against the function's signature."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bayesglm.errors import suggestion
from bayesglm.formula.error import FormulaError, shown
from bayesglm.formula.records import RESERVED, Call, Factor, OptionValue, Variable
from bayesglm.formula.signature import REQUIRED, Option, Signature
from bayesglm.formula.tokens import Reader, Token

_CONSTANTS: Final[dict[str, bool | None]] = {"True": True, "False": False, "None": None}
_ARITHMETIC: Final = frozenset({"+", "-", "*", "/", "**", ":", "|", "||", "~"})
_COMPUTE: Final = "Add the result to the table as a column and name that."


def read_call(reader: Reader) -> Call:
    """Read a call whose name comes next."""
    name = reader.take()
    signature = _signature(reader, name)
    reader.accept("(")
    arguments: list[Factor] = []
    given: dict[str, OptionValue | Variable] = {}
    for place in _places(reader):
        if place < signature.columns and not reader.sees("=", ahead=1):
            arguments.append(_argument(reader, signature))
        elif place < signature.columns:
            raise _too_few(reader, reader.next, signature)
        else:
            _read_option(reader, signature, place - signature.columns, given)
    if len(arguments) < signature.columns:
        raise _too_few(reader, name, signature)
    return Call(signature.name, tuple(arguments), _settled(reader, name, signature, given))


def read_offset(reader: Reader) -> Factor:
    """Read ``offset(...)`` and give the column, or the scalar transform of columns, inside."""
    name = reader.take()
    reader.accept("(")
    read: list[Factor] = []
    for place in _places(reader):
        if place:
            raise reader.error(reader.next, "a second argument to `offset`", rule="an offset is one column",
                               fix="Write one offset(...) for each column.")
        read.append(_argument(reader, Signature("offset", "transform", scalar=True)))
    if not read:
        raise reader.error(name, "`offset` without a column", rule="an offset is one column",
                           fix="Write offset(x) or offset(log(x)).")
    return read[0]


def _signature(reader: Reader, name: Token) -> Signature:
    if name.kind == "name" and name.text in RESERVED:
        raise reader.error(name, f"{name} is a reserved word", rule="a formula is not evaluated as Python",
                           fix=_COMPUTE)
    if name.kind == "name" and name.text in reader.signatures:
        return reader.signatures[name.text]
    rule = "a formula calls only the functions it knows"
    if name.kind == "quoted":
        raise reader.error(name, f"a call of the quoted name {name}", rule="backticks hold columns, not functions",
                           fix="Remove the backticks, or the parentheses.")
    if name.text == "I":
        raise reader.error(name, "`I(...)`", rule="a formula computes nothing itself", fix=_COMPUTE)
    if name.text == "trials":
        raise reader.error(name, "`trials(...)` on the right-hand side", rule="trials belong to the response",
                           fix="Write successes | trials(n) ~ ...")
    raise reader.error(name, f"unknown function {name}", rule=rule,
                       fix=suggestion(name.text, [*reader.signatures, "offset"]))


def _places(reader: Reader) -> Iterator[int]:
    """Count the places between the commas, up to the closing parenthesis."""
    place = 0
    while not reader.accept(")"):
        if place and not reader.accept(","):
            raise _no_comma(reader)
        if place and reader.sees(")"):
            raise reader.error(reader.next, "nothing after the comma", rule="a comma separates two arguments",
                               fix="Remove it, or write the argument.")
        yield place
        place += 1


def _no_comma(reader: Reader) -> FormulaError:
    token = reader.next
    if token.kind == "symbol" and token.text in _ARITHMETIC:
        return reader.error(token, f"{token} inside a call", rule="a formula computes nothing inside a call",
                            fix=_COMPUTE)
    return reader.error(token, f"{token} where `,` or `)` is expected", rule="arguments are separated by commas",
                        fix="Put a comma between two arguments.")


def _too_few(reader: Reader, where: Token, signature: Signature) -> FormulaError:
    wanted = "one column" if signature.columns == 1 else f"{signature.columns} columns"
    return reader.error(where, f"too few columns for `{signature.name}`", rule=f"it takes {wanted}, before its options",
                        fix=f"Write {signature.usage}.")


def _argument(reader: Reader, outer: Signature) -> Factor:
    """Read a column, or a transform that gives one, as an argument of another function."""
    token = reader.next
    if not reader.sees("(", ahead=1) or not token.is_name:
        return Variable(reader.column())
    if token.text == "offset":
        raise reader.error(token, f"`offset` inside `{outer.name}`", rule="an offset stands on its own",
                           fix=f"Add offset(...) outside `{outer.name}`.")
    inner = _signature(reader, token)
    if not outer.nests:
        raise reader.error(token, f"`{inner.name}` inside `{outer.name}`", rule=f"`{outer.name}` takes a column's name",
                           fix=_COMPUTE)
    if not inner.scalar or inner.role != "transform":
        raise reader.error(token, f"`{inner.name}` inside `{outer.name}`",
                           rule=f"`{inner.name}` does not give one numeric column",
                           fix=f"Use {outer.name}(x) of a column.")
    return read_call(reader)


def _read_option(
    reader: Reader, signature: Signature, place: int, given: dict[str, OptionValue | Variable]
) -> None:
    """Read one option, by name or by place, into those given."""
    start = reader.next
    named = start.is_name and reader.sees("=", ahead=1)
    option = _named(reader, signature) if named else _placed(reader, signature, place, given)
    if option.name in given:
        raise reader.error(start, f"option `{option.name}` twice", rule="an option is given once", fix="Remove one.")
    where = reader.next
    value = _value(reader, signature)
    rule = option.refusal(value)
    if rule:
        raise reader.error(where, f"{_seen(value)} for `{signature.name}`", rule=rule, fix=option.advice(value))
    given[option.name] = option.normal(value)


def _named(reader: Reader, signature: Signature) -> Option:
    name = reader.take()
    reader.accept("=")
    options = {option.name: option for option in signature.options}
    if name.value not in options:
        raise reader.error(name, f"unknown option {name} of `{signature.name}`", rule=f"it is {signature.usage}",
                           fix=suggestion(str(name.value), options) if options else "Remove it.")
    return options[str(name.value)]


def _placed(
    reader: Reader, signature: Signature, place: int, given: dict[str, OptionValue | Variable]
) -> Option:
    if place >= len(signature.options):
        raise reader.error(reader.next, f"too many arguments for `{signature.name}`", rule=f"it is {signature.usage}",
                           fix="Remove the surplus.")
    if list(given) != [option.name for option in signature.options[:place]]:
        raise reader.error(reader.next, "an option without a name after one with a name",
                           rule="options given by place come first, in order",
                           fix=f"Name it: {signature.usage}.")
    return signature.options[place]


def _value(reader: Reader, signature: Signature) -> OptionValue | Variable:
    """Read a number, a text, a constant or a column's name."""
    start = reader.next
    sign = -1 if reader.accept("-") else 1
    token = reader.next
    if token.kind == "number" and not isinstance(token.value, str):
        reader.take()
        return sign * token.value
    if token.kind == "string" and sign > 0:
        return reader.take().value
    if token.kind == "name" and token.text in _CONSTANTS and sign > 0:
        return _CONSTANTS[reader.take().text]
    if sign < 0 or not token.is_name or reader.sees("(", ahead=1):
        raise reader.error(start, f"{start} where an option's value is expected",
                           rule="an option is a number, a text in quotes, True, False or a column's name",
                           fix=f"Write {signature.usage}.")
    return Variable(reader.column())


def _settled(
    reader: Reader, name: Token, signature: Signature, given: dict[str, OptionValue | Variable]
) -> tuple[tuple[str, OptionValue | Variable], ...]:
    """Order the options given as the signature does, without those that equal their default."""
    for option in signature.options:
        if option.default is REQUIRED and option.name not in given:
            raise reader.error(name, f"`{signature.name}` without `{option.name}`",
                               rule=f"option `{option.name}` must be given", fix=f"Write {signature.usage}.")
    return tuple((option.name, given[option.name]) for option in signature.options
                 if option.name in given and given[option.name] != option.default)


def _seen(value: OptionValue | Variable) -> str:
    return f"the column {shown(value.name)}" if isinstance(value, Variable) else shown(value)
