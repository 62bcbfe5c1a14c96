"""Figures: plots of a fit as pictures of the page."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from bayesglm import plots
from bayesglm.checks.convergence import diagnostics
from bayesglm.design import Predictor
from bayesglm.fitted import Fitted
from bayesglm.report.section import Figure
from bayesglm.report.wording import PERCENT, counted, quoted
from bayesglm.terms.term import Block

if TYPE_CHECKING:
    from arviz_plots import PlotCollection
    from matplotlib.axes import Axes

LONGEST_LABEL, LONGEST_TITLE = 40, 90
TRACES = 4
# A dollar sign in a name is no mathematics; axes stay quiet.
STYLE: Mapping[Any, Any] = {"text.parse_math": False, "axes.spines.top": False, "axes.spines.right": False, "font.size": 10.0}


def picture(make: Callable[[], PlotCollection]) -> str:
    """Draw a plot as SVG text, with long labels cut and without warnings of characters that the font lacks."""
    from matplotlib import rc_context
    from matplotlib.text import Text

    with warnings.catch_warnings(), rc_context(dict(STYLE)):
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        plot = make()
        for axes in plot.viz["figure"].item().axes:
            for text in axes.findobj(Text):
                text.set_text(shortened(text.get_text(), LONGEST_LABEL if text in axes.texts else LONGEST_TITLE))
            if len(axes.get_xticks()) == 0:
                _set_labels(axes)
        return plots.svg(plot)


def _set_labels(axes: Axes) -> None:
    """Let the labels of a forest end where the plot begins, whatever their length."""
    axes.spines[:].set_visible(False)
    for text in axes.texts:
        text.set_horizontalalignment("right")
        text.set_x(axes.get_xlim()[1])
        text.set_clip_on(False)


def shortened(label: str, longest: int) -> str:
    """Return a label, its middle left out where it is too long to draw.

    Examples
    --------
    >>> shortened("service[checkout-eu-west]", 15)
    'service…eu-west]'
    """
    if len(label) <= longest:
        return label
    half = longest // 2
    return f"{label[:half]}…{label[-(longest - half):]}"


def coefficients(fitted: Fitted) -> list[Figure]:
    """Return the forest of the common coefficients; none where there are none."""
    count = sum(len(each.coef) for each in fitted.specification.predictors)
    if not count:
        return []
    return [Figure(
        picture(lambda: plots.forest(fitted)),
        f"Coefficients on the link scale: mean (dot), 50% interval (thick) and {PERCENT} interval (thin). Right of 0 the "
        "parameter rises with the column.",
        f"Interval plot of {counted(count, 'coefficient')} against 0, with the numbers of the table above.",
    )]


def departures(fitted: Fitted, predictor: Predictor, block: Block) -> Figure:
    """Return the forest of a group's effects."""
    return Figure(
        picture(lambda: plots.forest(fitted, group=predictor.name(block.name))),
        f"Departures by {quoted(block.name)} on the link scale, sorted: mean (dot), 50% interval (thick) and {PERCENT} "
        "interval (thin).",
        f"Interval plot of the departures of {counted(len(block.levels), 'level')} of {block.name}, with the numbers of the "
        "tables below.",
    )


def predictive(fitted: Fitted, seed: int) -> list[Figure]:
    """Return what compares the observed responses with predicted ones, as far as the kind of response allows it."""
    if fitted.problem is None or not fitted.problem.observations.informative.any():
        return []
    kind, response = fitted.specification.family.support.kind, fitted.specification.roles.response
    found = []
    if kind in ("count", "successes"):
        found.append(Figure(
            picture(lambda: plots.rootogram(fitted, seed=seed)),
            f"Rootogram: how often each value of {quoted(response)} was observed (black dots), and how often the model predicts "
            f"it (diamonds: mean, bars: {PERCENT}). Heights are on the square root scale, so that rare values can be seen. Dots "
            "should lie in their bars.",
            f"Rootogram of {response}: observed frequencies against predicted intervals.",
        ))
    if kind not in ("binary", "category"):
        found.append(Figure(
            picture(lambda: plots.pit(fitted, seed=seed)),
            "Ranks of the observed responses among their predictions (PIT), as the difference from even ranks. The line should "
            "wander near 0; a slope or an arch means predictions that are off to one side, too narrow or too wide.",
            f"Cumulative distribution of the ranks of {response} minus the uniform one.",
        ))
    if kind == "binary":
        found.append(Figure(
            picture(lambda: plots.calibration(fitted, seed=seed)),
            f"Calibration: how often {quoted(response)} happened, against its predicted probability. The line should follow the "
            f"diagonal within the band ({PERCENT}).",
            f"Calibration curve of {response}: observed share against predicted probability.",
        ))
    return found


def traces(fitted: Fitted) -> list[Figure]:
    """Return densities and traces of the parameters that mixed worst."""
    table = diagnostics(fitted)
    table = table[~table["state"].astype(bool) & table["finite"].astype(bool)]
    worst = table.sort_values("ess_bulk", kind="stable")["parameter"].head(TRACES).tolist()
    if not worst:
        return []
    return [Figure(
        picture(lambda: plots.trace(fitted, names=worst)),
        "The parameters with the fewest effective draws. Left: density of each chain; they should lie on each other. Right: the "
        "draws in order; chains should mix, without drifts or long stays.",
        "Densities and traces of the parameters that mixed worst, chain by chain.",
    )]
