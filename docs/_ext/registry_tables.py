"""Tables of the documentation that are made from the package's registries, so that they cannot drift.

```{family-table}``` and its like are directives without arguments; each writes the Markdown of one table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from bayesglm.checks.check import Check
from bayesglm.design import signatures
from bayesglm.families.family import Family, Parameter
from bayesglm.priors import Prior, known_priors
from bayesglm.registry import discover
from bayesglm.specification import COEFFICIENT_SD, COEFFICIENT_TOTAL_SD, CURVE_TOTAL_SD, GROUP_TOTAL_SD

NOUNS = {"real": "any number", "positive": "a positive number", "unit": "0 to 1", "correlation": "-1 to 1",
         "correlation_matrix": "a correlation matrix"}


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table as Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def families() -> list[Family]:
    """Return every family by name."""
    return [family for _, family in sorted(discover("bayesglm.families", Family).items())]


def parameter_names(family: Family) -> str:
    """Return the parameters of a family; those of a categorical response follow from its levels."""
    if family.for_levels is not None:
        return "`score[<level>]` (softmax), one for each level but the first"
    return ", ".join(f"`{each.name}` ({', '.join(each.links)})" for each in family.parameters)


def family_table() -> str:
    """Return what each family takes."""
    return markdown(
        ("family", "takes", "what the response may be", "parameters (links, the default first)"),
        ((f"`{each.name}`", takes(each), response(each), parameter_names(each)) for each in families()),
    )


def takes(family: Family) -> str:
    """Return what goes with the response: exposure, trials or nothing."""
    return "exposure" if family.exposure else "trials" if family.trials else ""


def response(family: Family) -> str:
    """Return what a response of the family may be, in words."""
    if family.for_levels is not None:
        return "labels"
    return family.support.rule.split(" response ", 1)[1].removeprefix("needs ").removeprefix("can be ")


def parameter_table() -> str:
    """Return each parameter with its convention and the prior it has without a formula."""
    found: dict[tuple[str, str], tuple[Parameter, list[str]]] = {}
    for family in families():
        for each in family.parameters if family.for_levels is None else ():
            found.setdefault((each.name, each.meaning), (each, []))[1].append(f"`{family.name}`")
    return markdown(
        ("parameter", "what it is", "default prior without a formula", "of"),
        ((f"`{each.name}`", each.meaning + "".join(f"; also told as {name}" for name in each.conversions),
          f"`{each.prior}`" if each.prior is not None else "always has a formula", ", ".join(names))
         for each, names in found.values()),
    )


def source_table() -> str:
    """Return where each family's formula stands, and what to know before trusting it."""
    return markdown(("family", "source", "caution"),
                    ((f"`{each.name}`", each.source, each.caution) for each in families()))


def function_table() -> str:
    """Return the functions of the formula grammar."""
    return markdown(
        ("function", "kind", "what it gives"),
        ((f"`{each.usage}`", "block of its own" if each.role == "structured" else "transform", each.note)
         for each in signatures().values()),
    )


def check_table() -> str:
    """Return the checks with their questions."""
    members = sorted(discover("bayesglm.checks", Check).values(), key=lambda check: (not check.decisive, check.name))
    return markdown(
        ("check", "question", "source"),
        ((f"`{each.name}`" + (" (decisive)" if each.decisive else ""), each.question, each.source) for each in members),
    )


def prior_table() -> str:
    """Return the priors with their fields and what they are for."""
    def described(kind: type[Prior]) -> str:
        return "all common coefficients together" if kind.joint else NOUNS[kind.support]

    return markdown(("prior", "default arguments", "for"),
                    ((f"`{kind.__name__}`", f"`{kind()}`", described(kind)) for kind in known_priors().values()))


def scale_table() -> str:
    """Return the numbers of the default priors, link by link."""
    def number(totals: dict[str, float], link: str) -> str:
        return f"{totals[link]:g}" if link in totals else "no limit"

    return markdown(
        ("link", "sd of a coefficient", "all coefficients together", "all groups together", "all curves together"),
        ((link, f"{sd:g}", number(COEFFICIENT_TOTAL_SD, link), number(GROUP_TOTAL_SD, link), number(CURVE_TOTAL_SD, link))
         for link, sd in COEFFICIENT_SD.items()),
    )


def _directive(table: Callable[[], str]) -> type[SphinxDirective]:
    class Table(SphinxDirective):
        def run(self) -> list[nodes.Node]:
            return self.parse_text_to_nodes(table())

    return Table


TABLES = {"family-table": family_table, "family-parameters": parameter_table, "family-sources": source_table,
          "function-table": function_table, "check-table": check_table, "prior-table": prior_table, "prior-scales": scale_table}


def setup(app: Any) -> dict[str, bool]:
    """Register the directives."""
    for name, table in TABLES.items():
        app.add_directive(name, _directive(table))
    return {"parallel_read_safe": True}
