"""The grammar: a formula's text to a `Formula`, by recursive descent over a bounded number of tokens.

From loose to tight: ``+`` and ``-``, ``*``, ``:``, ``**``. Nothing is ever evaluated.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from bayesglm.formula.calls import read_call, read_offset
from bayesglm.formula.error import FormulaError, shown
from bayesglm.formula.expand import (
    Placed,
    Sum,
    Terms,
    collected,
    crossing,
    crossing_size,
    interaction,
    interaction_size,
    power,
    power_size,
    single,
)
from bayesglm.formula.records import RESERVED, Factor, Formula, GroupTerm, Product, Response, Variable
from bayesglm.formula.signature import Signature
from bayesglm.formula.tokens import MAX_LENGTH, Reader, Token, tokens

MAX_TERMS: Final = 1_000
MAX_EXPONENT: Final = 6
# Duplicates collapse, so a formula may form many more products than it keeps; the work is bounded too.
_MAX_FORMED: Final = 20 * MAX_TERMS

_TOO_MANY: Final = f"a formula has at most {MAX_TERMS:,} terms"
_FEWER: Final = "Cross fewer variables, or use a lower power."


def parse(text: str, signatures: Mapping[str, Signature], *, one_sided: bool = False) -> Formula:
    """Read a formula.

    Parameters
    ----------
    text : str
        The formula, such as ``"errors ~ deploy + (1 | service)"``.
    signatures : mapping of str to Signature
        The functions it may call, by name.
    one_sided : bool
        Whether it is the formula of a parameter other than the mean, which has no response: ``"~ deploy"``.

    Returns
    -------
    Formula
        What the formula says; ``str`` of it is the canonical text.

    Raises
    ------
    FormulaError
        Where the text does not follow the grammar, with the character at fault.

    Examples
    --------
    >>> print(parse("errors ~ deploy*region - 1 + (deploy | service/host)", {}))
    errors ~ 0 + deploy + region + deploy:region + (1 + deploy | service) + (1 + deploy | service:host)
    """
    left, right = _sides(text, tokens(text))
    response = _response(Reader(text, left, signatures, None), one_sided=one_sided)
    reader = Reader(text, right, signatures, response.name if response else None)
    if reader.ends():
        raise reader.error(reader.next, "nothing after `~`", rule="the right-hand side has at least one term",
                           fix="Write `~ 1` for an intercept alone.")
    whole = _sum(reader)
    if not reader.ends():
        raise _unexpected(reader)
    formula = _formula(reader, response, whole)
    if len(str(formula)) > MAX_LENGTH:
        raise reader.error(0, f"{len(str(formula)):,} characters once expanded",
                           rule=f"an expanded formula has at most {MAX_LENGTH:,}", fix=_FEWER)
    return formula


def _sides(text: str, found: list[Token]) -> tuple[deque[Token], deque[Token]]:
    """Split at the one tilde; the tilde ends the left side."""
    tildes = [place for place, token in enumerate(found) if token.kind == "symbol" and token.text == "~"]
    rule = "one `~` stands between the response and the terms"
    if not tildes:
        raise FormulaError("no `~`", text=text, position=len(text), rule=rule,
                           fix='Write "response ~ terms", or "~ terms" for another parameter.')
    if len(tildes) > 1:
        raise FormulaError("a second `~`", text=text, position=found[tildes[1]].position, rule=rule, fix="Remove it.")
    end = Token("end", "", "", found[tildes[0]].position)
    return deque([*found[: tildes[0]], end]), deque(found[tildes[0] + 1 :])


def _response(reader: Reader, *, one_sided: bool) -> Response | None:
    start = reader.next
    if one_sided:
        if start.kind != "end":
            raise reader.error(start, "a response", rule="this parameter's formula has none",
                               fix="Write only `~` and the terms.")
        return None
    if start.kind == "end":
        raise reader.error(start, "no response", rule="the response stands before `~`",
                           fix='Write "response ~ terms".')
    if start.is_name and reader.sees("(", ahead=1):
        raise reader.error(start, f"a call of {start} on the response", rule="a response is a column as it is",
                           fix="Name the column and choose a family and link; for trials write y | trials(n).")
    name = reader.column()
    trials = _trials(reader, name) if reader.accept("|") else None
    if not reader.ends():
        raise reader.error(reader.next, f"{reader.next} after the response", rule="a response is one column",
                           fix="Write `response ~` or `successes | trials(n) ~`; add what is computed to the table.")
    return Response(name, trials)


def _trials(reader: Reader, response: str) -> str | int:
    word = reader.take()
    if word.kind != "name" or word.text != "trials" or not reader.accept("("):
        raise reader.error(word, f"{word} after `|`", rule="only trials(n) may follow the response",
                           fix="Write successes | trials(n) ~ ...; exposure and weights are arguments of the model.")
    count = reader.next
    if count.kind == "number":
        trials: str | int | float = reader.take().value
    else:
        trials = reader.column()
    if isinstance(trials, float) or (isinstance(trials, int) and trials < 1):
        raise reader.error(count, f"{count} trials", rule="a number of trials is a whole number >= 1",
                           fix="Write trials(10), or trials(n) with a column n.")
    if trials == response:
        raise reader.error(count, f"{shown(response)} as response and trials", column=response,
                           rule="successes and trials are two columns", fix="Name the column with the trials.")
    if not reader.accept(")"):
        raise reader.error(reader.next, f"{reader.next} inside `trials`", rule="trials(...) takes one column or number",
                           fix="Write trials(n); add what is computed to the table.")
    return trials


def _sum(reader: Reader) -> Sum:
    """Read terms joined by ``+`` and ``-``."""
    total = Sum()
    removing = reader.accept("-")
    while True:
        start = reader.next
        operand = _chain(reader, "*", _interactions, crossing_size, crossing)
        if removing:
            _remove(reader, total, operand, start)
        else:
            total.add(operand)
        if len(total.terms) > MAX_TERMS:
            raise reader.error(start, f"more than {MAX_TERMS:,} terms", rule=_TOO_MANY, fix=_FEWER)
        if not (reader.sees("+") or reader.sees("-")):
            return total
        removing = reader.take().text == "-"


def _remove(reader: Reader, total: Sum, operand: Sum, start: Token) -> None:
    """Take the operand's terms out of the sum."""
    _check_plain(reader, operand, "removed")
    for term in operand.terms.values():
        if total.terms.pop(term.key, None) is None:
            raise reader.error(start, f"removal of {shown(str(term))}, which is not there",
                               rule="only a term that stands to the left can be removed", fix="Remove the `-` part.")
    if operand.intercepts:
        total.intercepts.append(not operand.intercept)


def _interactions(reader: Reader) -> Sum:
    return _chain(reader, ":", _power, interaction_size, interaction)


def _chain(
    reader: Reader,
    symbol: str,
    operand: Callable[[Reader], Sum],
    size: Callable[[list[Terms]], int],
    expand: Callable[[list[Terms]], Iterator[Product]],
) -> Sum:
    """Read operands joined by one symbol and expand them; one alone stays as it is."""
    first = reader.next
    read = [operand(reader)]
    if not reader.sees(symbol):
        return read[0]
    operator = reader.next
    _check_factor(reader, read[0], first)
    while reader.accept(symbol):
        start = reader.next
        read.append(operand(reader))
        _check_factor(reader, read[-1], start)
    chosen = [part.terms for part in read]
    _check_size(reader, operator, size(chosen))
    return collected(expand(chosen))


def _power(reader: Reader) -> Sum:
    """Read an atom and the power it is raised to."""
    start = reader.next
    base = _atom(reader)
    if not reader.sees("**"):
        return base
    operator = reader.take()
    _check_factor(reader, base, start)
    exponent = reader.take()
    if exponent.kind != "number" or exponent.value not in range(1, MAX_EXPONENT + 1) or "." in exponent.text:
        raise reader.error(exponent, f"{exponent} as exponent",
                           rule=f"an exponent is a whole number from 1 to {MAX_EXPONENT}",
                           fix="Write (a + b)**2 for interactions; for x squared use poly or add a column.")
    _check_size(reader, operator, power_size(base.terms, int(exponent.value)))
    return collected(power(base.terms, int(exponent.value)))


def _check_size(reader: Reader, operator: Token, size: int) -> None:
    if size > MAX_TERMS:
        count = f"{size:,}" if size < 10**9 else "over a billion"
        raise reader.error(operator, f"`{operator.text}` forms {count} terms", rule=_TOO_MANY, fix=_FEWER)
    reader.formed.append(size)
    if sum(reader.formed) > _MAX_FORMED:
        raise reader.error(operator, f"more than {_MAX_FORMED:,} products", rule=_TOO_MANY, fix=_FEWER)


def _check_factor(reader: Reader, part: Sum, start: Token) -> None:
    """Refuse what cannot be an operand of ``:``, ``*`` or ``**``."""
    _check_plain(reader, part, "part of an interaction")
    if part.intercepts:
        raise reader.error(start, f"{start} with 1 or 0 in an interaction", rule="1 and 0 stand alone in a sum",
                           fix="Write them outside, as in `0 + a:b`.")
    if not part.terms:
        raise reader.error(start, "an empty interaction", rule="an interaction has a term on each side",
                           fix="Write the terms to cross, as in a:b.")


def _check_plain(reader: Reader, part: Sum, use: str) -> None:
    """Refuse structured terms, offsets and group effects where only common effects may stand."""
    rule = "only common effects can be crossed, removed or varied by group"
    for structured in part.structured:
        name = structured.item.function
        raise reader.error(structured.position, f"`{name}` as {use}", rule=rule,
                           fix=f"Let `{name}` stand on its own; for one curve per level write {name}(..., by=g).")
    for offset in part.offsets:
        raise reader.error(offset.position, f"`offset` as {use}", rule=rule, fix="Let offset(...) stand on its own.")
    for group in part.groups:
        raise reader.error(group.position, f"{shown(str(group.item))} as {use}", rule=rule,
                           fix="Let (... | g) stand on its own.")


def _atom(reader: Reader) -> Sum:
    """Read a column, a call, 1 or 0, or a parenthesis."""
    token = reader.next
    if token.is_name and reader.sees("(", ahead=1):
        return _call(reader)
    if token.is_name:
        return single(Variable(reader.column()))
    if token.kind == "number" and token.text in {"0", "1"}:
        return Sum(intercepts=[reader.take().text == "1"])
    if reader.accept("("):
        return _parenthesis(reader, token)
    raise _no_term(reader)


def _call(reader: Reader) -> Sum:
    name = reader.next
    if name.kind == "name" and name.text == "offset":
        return Sum(offsets=[Placed(read_offset(reader), name.position)])
    call = read_call(reader)
    if reader.signatures[call.function].role == "structured":
        return Sum(structured=[Placed(call, name.position)])
    return single(call)


def _parenthesis(reader: Reader, opening: Token) -> Sum:
    """Read a sum in parentheses, or the effects of a group."""
    inner = _sum(reader)
    if reader.sees("|") or reader.sees("||"):
        inner = _group(reader, inner, opening)
    if not reader.accept(")"):
        raise _unexpected(reader)
    return inner


def _group(reader: Reader, inner: Sum, opening: Token) -> Sum:
    """Read the group after the bar; ``g/h`` gives one term for g and one for g:h."""
    _check_plain(reader, inner, "an effect of a group")
    if not inner.intercept and not inner.terms:
        raise reader.error(opening, "a group without effects", rule="at least one effect varies by group",
                           fix="Write (1 | g) for a varying intercept.")
    correlated = reader.take().text == "|"
    path = [_grouping(reader, ())]
    while reader.accept("/"):
        path.append(_grouping(reader, path[-1]))
    effects = tuple(inner.terms.values())
    return Sum(groups=[Placed(GroupTerm(inner.intercept, effects, group, correlated), opening.position)
                       for group in path])


def _grouping(reader: Reader, outer: tuple[str, ...]) -> tuple[str, ...]:
    """Read ``g`` or ``g:h``, within the outer columns of a nesting."""
    names = [*outer]
    while True:
        token = reader.next
        if token.kind in {"number", "string"} or reader.sees("(", ahead=1) or reader.sees("("):
            raise reader.error(token, f"{token} as a group", rule="a group is a column, g:h or g/h",
                               fix="Name grouping columns; add what is computed to the table.")
        names.append(reader.column())
        if names[-1] in names[:-1]:
            raise reader.error(token, f"{token} twice in one group", rule="a group's columns differ", fix="Remove one.")
        if not reader.accept(":"):
            return tuple(names)


def _formula(reader: Reader, response: Response | None, whole: Sum) -> Formula:
    """Collect the sum into a formula, once what may stand only once does so."""
    offsets: dict[Factor, None] = {}
    for offset in whole.offsets:
        if offset.item in offsets:
            raise reader.error(offset.position, "the same offset twice", rule="an offset enters once",
                               fix="Remove one; for twice the offset, add a column.")
        offsets[offset.item] = None
    _check_groups(reader, whole)
    structured = tuple(dict.fromkeys(part.item for part in whole.structured))
    groups = tuple(part.item for part in whole.groups)
    return Formula(response, whole.intercept, tuple(whole.terms.values()), structured, groups, tuple(offsets))


def _check_groups(reader: Reader, whole: Sum) -> None:
    """Refuse an effect that varies twice by the same group, and more terms than a formula may have."""
    seen: set[tuple[frozenset[str], frozenset[Factor]]] = set()
    for part in whole.groups:
        term = part.item
        effects = [*([Product(())] if term.intercept else []), *term.effects]
        for effect in effects:
            key = (frozenset(term.group), effect.key)
            if key in seen:
                name = shown(str(effect)) if effect.factors else "the intercept"
                raise reader.error(part.position, f"{name} twice for the group {shown(':'.join(term.group))}",
                                   rule="an effect varies once by a group, and (x | g) implies its intercept",
                                   fix="Remove one, or write (0 + x | g).")
            seen.add(key)
        if len(whole.terms) + len(seen) > MAX_TERMS:
            raise reader.error(part.position, f"more than {MAX_TERMS:,} terms", rule=_TOO_MANY, fix=_FEWER)


def _no_term(reader: Reader) -> FormulaError:
    """Make the error for what stands where a term should."""
    token = reader.next
    if token.kind in {"number", "string"}:
        return reader.error(token, f"{token} as a term", rule="terms are columns, calls, 0 and 1",
                            fix="Name a column (in backticks if it is no plain word), or use offset(column).")
    return reader.error(token, f"{token} where a term is expected",
                        rule="a term stands on each side of an operator and before a bar",
                        fix="Write the missing term, or remove the operator; (1 | g) is a varying intercept.")


def _unexpected(reader: Reader) -> FormulaError:
    """Make the error for what stands where an operator should."""
    token = reader.next
    hints = {
        "|": ("a bar stands inside parentheses, after effects and before one group", "Write (1 | g) + (1 | h)."),
        "/": ("`/` only nests groups", "Write a + a:b, or (1 | g/h)."),
        "**": ("a power is raised once", "Write (a + b)**2."),
        "=": ("`=` only gives an option inside a call", "Use `~` between response and terms."),
        ",": ("a comma only separates arguments of a call", "Join terms with `+`."),
    }
    joins = ("terms are joined by +, -, *, : and **, groups by : and /", "Put an operator there.")
    rule, fix = hints.get(token.text.replace("||", "|"), joins) if token.kind == "symbol" else joins
    if token.kind == "name" and token.text in RESERVED:
        rule, fix = "a formula is not evaluated as Python", "Write terms, calls and operators only."
    return reader.error(token, f"{token} where an operator is expected", rule=rule, fix=fix)
