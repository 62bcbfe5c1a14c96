"""In short: what was modelled, in words, and what came out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from bayesglm.design import Piece, Predictor
from bayesglm.fitted import Fitted
from bayesglm.report.cells import decimals, number
from bayesglm.report.estimates import HIGH, LOW, POSITIVE, RATIO_HIGH, RATIO_LOW, estimates
from bayesglm.report.section import Content, Facts, Heading, Material, Paragraph, Section
from bayesglm.report.standing import standing
from bayesglm.report.wording import PERCENT, counted, listed, quoted
from bayesglm.specification import Specification

MOST = 6
LINK_WORDS = {"log": "The logarithm of", "logit": "The log odds of", "probit": "The normal score of", "identity": "The value of",
              "cloglog": "The complementary log-log of", "softmax": "The log odds behind"}


def _content(material: Material) -> Sequence[Content]:
    fitted = material.fitted
    told = [Paragraph(" ".join(in_words(fitted.specification))), Paragraph(_learnt(fitted))]
    if standing(material.checks).watermark:
        return [*told, Paragraph("The numbers of this fit are not summed up here, because its diagnostics failed. They stand "
                                 "below for whoever mends it.")]
    return [*told, *_results(fitted)]


def in_words(specification: Specification) -> Iterator[str]:
    """Yield the model as sentences: the response and its family, then one linear predictor each."""
    roles = specification.roles
    yield f"{quoted(roles.response)} is described by the {specification.family.label} family."
    for predictor in specification.predictors:
        parameter = specification.family.parameter(predictor.parameter)
        yield (f"{LINK_WORDS.get(predictor.link, predictor.link)} {quoted(parameter.name)} ({parameter.meaning}) is the sum of "
               f"{listed(_parts(predictor))}.")
        if parameter.exposed and roles.exposure is not None:
            yield f"The exposure, {quoted(roles.exposure)}, multiplies {quoted(parameter.name)}."


def _parts(predictor: Predictor) -> list[str]:
    parts = ["an overall level"] if predictor.intercept else []
    parts += [part for piece in predictor.pieces for part in _piece(piece)]
    return parts + ["an offset"] * bool(predictor.offsets) or ["nothing"]


def _piece(piece: Piece) -> list[str]:
    groups = [block for block in piece.blocks if block.role == "group"]
    if not groups:
        return [f"an effect of {quoted(piece.text)}" if not piece.blocks else f"the curve {quoted(piece.text)}"]
    return [f"departures of {counted(len(each.levels), 'level')} of {quoted(each.name)} in "
            f"{listed([_effect(effect) for effect in each.effects])}" for each in groups]


def _effect(name: str) -> str:
    return "that level" if name == "Intercept" else f"the effect of {quoted(name)}"


def _learnt(fitted: Fitted) -> str:
    chains, draws = fitted.shape
    how = "" if fitted.exact else ", an approximation"
    return (f"It was fitted to {counted(fitted.audit.represented, 'row')} with the engine {quoted(fitted.engine)}{how}: "
            f"{counted(chains * draws, 'draw')} from the posterior. Intervals are equal-tailed and hold {PERCENT} of the "
            "posterior probability.")


def _results(fitted: Fitted) -> list[Content]:
    """Return the first common effects on the mean."""
    family, predictors = fitted.specification.family, fitted.specification.predictors
    means = [each for each in predictors if family.parameter(each.parameter).role == "mean"]
    table = estimates(fitted).of({each.name("beta") for each in means})
    if table.empty:
        return []
    shown = Facts(tuple((quoted(str(row["name"])), _told(row)) for _, row in table.head(MOST).iterrows()))
    left_out = len(table) - MOST
    more = f"{counted(left_out, 'more coefficient')} in the table of coefficients."
    return [Heading("What the data say"), shown, *([Paragraph(more)] if left_out > 0 else [])]


def _told(row: pd.Series) -> str:
    if row["ratio_kind"]:
        value, low, high, kind = row["ratio"], row[RATIO_LOW], row[RATIO_HIGH], row["ratio_kind"]
    else:
        value, low, high, kind = row["mean"], row[LOW], row[HIGH], f"effect on the {row['scale']} scale"
    value, low, high = (number(each, f",.{decimals((value, low, high))}f") for each in (value, low, high))
    return (f"{kind} {value}, {PERCENT} interval {low} to {high} ({row['reading']}); {POSITIVE} "
            f"{_equals(number(row[POSITIVE], 'probability'))}")


def _equals(text: str) -> str:
    return text if text[0] in "<>" else f"= {text}"


MEMBER = Section(name="asked", title="In short", place=10, content=_content)
