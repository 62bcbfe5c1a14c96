"""The page: sections as one self-contained HTML text that asks nothing of any network.

Every string is escaped where it enters the page; a policy in its head forbids everything but its own style. Nothing in it
depends on when or where it was made, so that the same fit gives the same text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from bayesglm.errors import OptionError
from bayesglm.registry import discover
from bayesglm.report.cells import clean, grid
from bayesglm.report.drawing import drawing
from bayesglm.report.section import Content, Facts, Figure, Heading, Material, Paragraph, Section, Statement, TableBlock
from bayesglm.report.standing import Standing, standing
from bayesglm.report.wording import moment

CODE = re.compile(r"``(.+?)``(?!`)|`([^`]+)`")
WORDS = {"pass": "pass", "warn": "warning", "fail": "fail", "not applicable": "not applicable"}
MACROS: Mapping[type, str] = {
    Paragraph: "paragraph", Heading: "heading", Facts: "facts", Statement: "statement", TableBlock: "table", Figure: "figure",
}


@dataclass(frozen=True, slots=True)
class Part:
    """A section with its content, as the template takes it: (macro, anchor, content) in order."""

    name: str
    title: str
    blocks: tuple[tuple[str, str, Content], ...]


@dataclass(frozen=True, slots=True)
class Front:
    """What stands around the sections of a page.

    Attributes
    ----------
    title, question : str
        Above them; the question may be empty.
    standing : Standing
        Whether the numbers may be used.
    made : str
        Below them: what made the page, and from which fit.
    """

    title: str
    question: str
    standing: Standing
    made: str


def sections(folder: str = "bayesglm.report.sections") -> tuple[Section[Any], ...]:
    """Return every section of a folder in the order of the page.

    Examples
    --------
    >>> [section.name for section in sections()][0]
    'asked'
    """
    return tuple(sorted(discover(folder, Section).values(), key=lambda each: (each.place, each.name)))


def lay_out[M](front: Front, chosen: Sequence[Section[M]], material: M) -> str:
    """Return a page as HTML text: the front and the sections that have something to say of the material."""
    parts = tuple(part for each in chosen if (part := _part(each, material)).blocks)
    return _environment().get_template("report.html").render(
        title=front.title, parts=parts, standing=front.standing, asked=front.question, made=front.made)


def render(material: Material, chosen: Sequence[Section[Material]] | None = None) -> str:
    """Return the report as HTML text.

    Parameters
    ----------
    material : Material
        The fit, its check results, title and question.
    chosen : sequence of Section, optional
        Sections in order; all in the folder without it.

    Returns
    -------
    str
        One page; the same for the same material.
    """
    fitted = material.fitted
    front = Front(title_of(material), material.question, standing(material.checks), made_from(fitted.versions, fitted.created))
    return lay_out(front, sections() if chosen is None else chosen, material)


def write_report(material: Material, path: str | Path) -> Path:
    """Write the report to a file and return its path; see `write_page`."""
    return write_page(render(material), path)


def write_page(page: str, path: str | Path) -> Path:
    """Write a page to a file and return its path.

    Parameters
    ----------
    page : str
        HTML text.
    path : str or Path
        Where to; the folder must exist.

    Raises
    ------
    OptionError
        There is no such folder.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise OptionError(f"no folder {str(target.parent)!r}", value=str(target),
                          rule="a report is written into a folder that exists",
                          fix="Make the folder, or give another path.")
    target.write_text(page, encoding="utf-8", newline="\n")
    return target


def title_of(material: Material) -> str:
    """Return the title of a report: the user's, or the response and its family."""
    specification = material.fitted.specification
    return material.title or f"{specification.roles.response}: {specification.family.label}"


def made_from(versions: Mapping[str, str], created: str) -> str:
    """Say what made the page and from which fit.

    Examples
    --------
    >>> made_from({"bayesglm": "0.1.0"}, "2026-03-02T00:00:00+00:00")
    'Made with bayesglm 0.1.0 from a fit of 2026-03-02 00:00:00 UTC.'
    """
    version = versions.get("bayesglm", "")
    return (f"Made with bayesglm{f' {version}' if version[:1].isdigit() else ''}"
            f"{f' from a fit of {moment(created)}' if created else ''}.")


def _part[M](section: Section[M], material: M) -> Part:
    content = section.content(material)
    return Part(section.name, section.title,
                tuple((MACROS[type(each)], f"{section.name}-{i + 1}", each) for i, each in enumerate(content)))


@cache
def _environment() -> Environment:
    environment = Environment(loader=PackageLoader("bayesglm.report", "templates"), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"prose": prose, "clean": clean, "grid": grid, "drawing": _drawing}
    environment.globals["WORDS"] = WORDS
    return environment


def _drawing(figure: Figure, prefix: str) -> Markup:
    return Markup(drawing(figure.svg, clean(figure.alternative), prefix))


def prose(text: str) -> Markup:
    """Return text as HTML, escaped, with what stands between backticks as code; two backticks where the code has one.

    Examples
    --------
    >>> str(prose("`a<b` is new"))
    '<code><bdi>a&lt;b</bdi></code> is new'
    """
    pieces, end, plain = [], 0, clean(text)
    for found in CODE.finditer(plain):
        pieces += [escape(plain[end:found.start()]), Markup("<code><bdi>{}</bdi></code>").format(found[1] or found[2])]
        end = found.end()
    return Markup("").join([*pieces, escape(plain[end:])])
