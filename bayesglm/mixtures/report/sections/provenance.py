"""Provenance: what was read, what was believed before, and how the fit was made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bayesglm.mixtures.report.page import Material
from bayesglm.mixtures.scorer.transforms import IDENTITY
from bayesglm.report.section import Content, Facts, Section
from bayesglm.report.wording import counted, listed, quoted
from bayesglm.versions import installed_versions


def _content(material: Material) -> Sequence[Content]:
    return [Facts(tuple(_facts(material)))]


def _facts(material: Material) -> Iterator[tuple[str, str]]:
    fit = material.fit
    yield "rows learnt from", f"{fit.schema.rows:,}"
    for part in fit.parts:
        yield listed([quoted(name) for name in part.layout.names]), f"{part.component.label} ({quoted(part.component.name)})"
    scaled = [pair for part in fit.parts for pair in zip(part.layout.names, part.layout.transforms, strict=True)]
    if fit.projection is not None:
        kept = fit.projection
        scaled += kept.by_column.items()
        yield "principal components", (f"{counted(len(kept.names), 'score')} with {kept.explained.sum():.1%} of the standardised "
                                       f"variance of {listed([quoted(name) for name in kept.columns])}")
    for label in dict.fromkeys(how.label for _, how in scaled if how is not IDENTITY):
        yield f"on the {label} scale", listed([quoted(name) for name, how in scaled if how.label == label])
    yield "prior of the weights", (f"{quoted(fit.prior.name)} with concentration {fit.priors.concentration:g}, at most "
                                   f"{counted(fit.priors.limit, 'component')}")
    yield "priors of the components", "from the scale of the columns, so that units change nothing"
    yield "structure", (f"searched on {counted(fit.found.subsample, 'row')}, from the limit down and from one component up; the "
                        "best bound was climbed on all rows")
    yield "lower bound of the log evidence", f"{fit.bound:,.2f} nats"
    yield "seed", str(fit.seed)
    yield "independence", ("Rows count as independent. Where neighbours in time resemble each other, intervals are too narrow "
                           "and flagged rows come in bursts.")
    yield "intervals", ("They are those of the variational posterior, which knows one labelling only and tends to be narrow "
                        "where components overlap.")
    yield "versions", listed([f"{name} {version}" for name, version in installed_versions().items()])


MEMBER = Section(name="provenance", title="Where it comes from", place=70, content=_content)
