"""In short: how many kinds of rows there are, how often each occurs, and what sets it apart."""

from __future__ import annotations

from collections.abc import Sequence

from bayesglm.mixtures.plots import label_of
from bayesglm.mixtures.report.page import Material
from bayesglm.report.cells import number
from bayesglm.report.section import Content, Facts, Heading, Paragraph, Section
from bayesglm.report.wording import PERCENT, counted, listed, quoted

MOST = 8


def _content(material: Material) -> Sequence[Content]:
    fit = material.fit
    names = listed([quoted(name) for part in fit.parts for name in part.layout.names])
    found = counted(fit.posterior.size, "component")
    told = Paragraph(f"{counted(fit.schema.rows, 'row')} of {names} were described by {found}; the number was found, not given. "
                     "A component is a kind of row where it stands apart, and otherwise a piece of the density. Intervals hold "
                     f"{PERCENT} of the posterior probability.")
    table = fit.components.head(MOST)
    items = tuple((quoted(label_of(fit, line["id"])), _said(float(line["weight"]), str(line["distinguished_by"])))
                  for _, line in table.iterrows())
    left_out = fit.posterior.size - MOST
    more = [Paragraph(f"{counted(left_out, 'rarer component')} in the tables below.")] if left_out > 0 else []
    return [told, Heading("The components"), Facts(items), *more]


def _said(weight: float, apart: str) -> str:
    return f"{number(weight, '.1%')} of rows{f': {apart}' if apart else ''}"


MEMBER = Section(name="asked", title="In short", place=10, content=_content)
