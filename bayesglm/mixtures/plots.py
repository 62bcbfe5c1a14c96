"""Plots of a fitted mixture: each takes a fit and returns a matplotlib figure; `bayesglm.plots.figure_svg` makes it text.

Every component has one colour in all of them, by its id.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import stats

from bayesglm.errors import unknown
from bayesglm.mixtures.component import Array
from bayesglm.mixtures.fitted import FittedMixture
from bayesglm.mixtures.scorer.transforms import IDENTITY, Transform, inverse
from bayesglm.mixtures.shapes import Shape, ellipse, shapes
from bayesglm.predict import LEVEL, interval_names
from bayesglm.report.figures import LONGEST_LABEL, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#3b6fb6", "#d1762b", "#3f9a5a", "#c0504d", "#8064a2", "#8c6d31", "#c75b9b", "#5f8f8f", "#a2a83a", "#2aa5b8")
MOST_ROWS = 500
_TICKS, _FEW_TICKS, _SMALLEST_TICK = 12, 3, 1e-9  # on an axis: at most, too few to help, the least beside the largest
INK, GREY = "#000000", "#808080"


def colour(id: int) -> str:
    """Return the colour of a component, the same in every plot."""
    return COLOURS[(id - 1) % len(COLOURS)]


def label_of(fit: FittedMixture, id: int) -> str:
    """Return what a component is called: its id, and its name where it has one."""
    name = fit.identity.names.get(id, "")
    return shortened(f"{id} {name}", LONGEST_LABEL) if name else str(id)


def weights(fit: FittedMixture, data: Any = None) -> Figure:
    """Plot long-term weights with 90 % intervals, and the shares of rows where there are any.

    Parameters
    ----------
    fit : FittedMixture
        The fit.
    data : data frame, optional
        Rows whose shares are drawn as open circles; the fitted ones without it, where they are at hand.
    """
    from matplotlib.figure import Figure

    table = fit.components
    low, high = interval_names("weight", LEVEL)
    place = np.arange(len(table))
    figure = Figure(figsize=(6.4, 0.9 + 0.32 * len(table)), layout="constrained")
    axes: Axes = figure.add_subplot()
    for y, (_, line) in zip(place, table.iterrows(), strict=True):
        axes.plot([line[low], line[high]], [y, y], color=colour(line["id"]), linewidth=5, alpha=0.35, solid_capstyle="butt")
        axes.plot(line["weight"], y, "o", color=colour(line["id"]), markersize=6)
    if data is not None or fit.table is not None:
        axes.plot(fit.responsibilities(data).mean(axis=0), place, "o", markerfacecolor="none", color=INK, markersize=10)
    axes.set_yticks(place, [label_of(fit, id) for id in table["id"]])
    axes.set_xlim(left=0)
    axes.set_ylim(len(table) - 0.4, -0.6)
    axes.set_xlabel("weight")
    return figure


def _shape_of(fit: FittedMixture, names: Sequence[str]) -> tuple[Shape, list[int]]:
    for shape in shapes(fit):
        if set(names) <= set(shape.names):
            return shape, [shape.names.index(name) for name in names]
    raise unknown("columns with one shape", ", ".join(names), [", ".join(shape.names) for shape in shapes(fit)])


def ellipses(fit: FittedMixture, x: str, y: str, data: Any = None) -> Figure:
    """Plot two columns: rows as dots, each component as the ellipse that holds 90 % of it.

    The half axes of an ellipse are the eigenvectors of the component's covariance of the two columns, sqrt(eigenvalue) times 2.15
    long; axes are on the scales of the columns' transforms.

    Parameters
    ----------
    fit : FittedMixture
        The fit.
    x, y : str
        Two columns that one component describes together.
    data : data frame, optional
        Rows to draw; the fitted ones without it, where they are at hand.
    """
    from matplotlib.figure import Figure

    shape, (i, j) = _shape_of(fit, (x, y))
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    axes: Axes = figure.add_subplot()
    scales = shape.transforms[i], shape.transforms[j]
    if data is not None or fit.table is not None:
        _dots(axes, fit, x, y, data)
    for k, id in enumerate(fit.ids):
        drawn = ellipse(shape.center[k, [i, j]], shape.covariance[k][np.ix_([i, j], [i, j])], LEVEL)
        outline = inverse(scales, drawn.outline())
        axes.plot(outline[:, 0], outline[:, 1], color=colour(id), linewidth=1.8)
        middle = inverse(scales, drawn.center)
        axes.text(middle[0], middle[1], str(id), color=INK, ha="center", va="center", fontweight="bold",
                  bbox={"boxstyle": "round,pad=0.2", "facecolor": "#ffffff", "edgecolor": colour(id), "linewidth": 1.2})
    _scaled(axes, "x", scales[0])
    _scaled(axes, "y", scales[1])
    axes.set_xlabel(shortened(x, LONGEST_LABEL))
    axes.set_ylabel(shortened(y, LONGEST_LABEL))
    return figure


def _dots(axes: Axes, fit: FittedMixture, x: str, y: str, data: Any) -> None:
    table = fit.read(data)
    rows = np.linspace(0, table.rows - 1, min(MOST_ROWS, table.rows)).astype(int)
    member = fit.responsibilities(data).argmax(axis=1)[rows]
    for k, id in enumerate(fit.ids):
        held = rows[member == k]
        axes.plot(table[x].values[held], table[y].values[held], ".", color=colour(id), markersize=3, alpha=0.5, zorder=1)


def ticks(transform: Transform, low: float, high: float) -> Array:
    """Return round numbers that stand apart on the scale of a transform, those that are 1, 5 and 2 times a power of ten.

    Examples
    --------
    >>> from bayesglm.mixtures.scorer.transforms import LOG, SQRT
    >>> ticks(LOG, 0.5, 200.0).tolist()
    [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0]
    >>> ticks(SQRT, 0.0, 120.0).tolist()
    [0.0, 1.0, 5.0, 10.0, 20.0, 50.0, 100.0]
    """
    largest = max(abs(low), abs(high))
    smallest = low if low > 0 else largest * _SMALLEST_TICK
    decades = 10.0 ** np.arange(np.floor(np.log10(smallest)), np.ceil(np.log10(largest)) + 1)
    round_ones = np.concatenate([[0.0], *(sign * times * decades for times in (1, 5, 2) for sign in (1, -1))])
    shown = round_ones[(round_ones >= low) & (round_ones <= high)]
    at, (start, end) = transform.forward(shown), transform.forward(np.array([low, high]))
    found: list[int] = []
    for place in range(len(shown)):
        if (np.abs(at[found] - at[place]) >= (end - start) / _TICKS).all():
            found.append(place)
    return np.sort(shown[found])


def _scaled(axes: Axes, which: Literal["x", "y"], transform: Transform) -> None:
    """Put an axis on the scale of its column's transform, with plain numbers as labels."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    if transform is IDENTITY:
        return
    least = np.nextafter(transform.low, np.inf)
    put = axes.set_xscale if which == "x" else axes.set_yscale
    put("function", functions=(lambda x: transform.forward(np.maximum(x, least)), transform.inverse))
    axis, (low, high) = (axes.xaxis, axes.get_xlim()) if which == "x" else (axes.yaxis, axes.get_ylim())
    found = ticks(transform, max(low, least), high)
    if len(found) >= _FEW_TICKS:
        axis.set_ticks(found)
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1e3 else f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def marginal(fit: FittedMixture, name: str, data: Any = None) -> Figure:
    """Plot one column: a histogram of rows, the components' densities times their weights, and their sum.

    Components are Gaussian here, by center and variance, on the scale of the column's transform.

    Parameters
    ----------
    fit : FittedMixture
        The fit.
    name : str
        A column with a center and a spread.
    data : data frame, optional
        Rows for the histogram; the fitted ones without it, where they are at hand.
    """
    from matplotlib.figure import Figure

    shape, (i,) = _shape_of(fit, (name,))
    center, sd = shape.center[:, i], np.sqrt(shape.covariance[:, i, i])
    grid = np.linspace((center - 4 * sd).min(), (center + 4 * sd).max(), 400)
    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    axes: Axes = figure.add_subplot()
    scale = shape.transforms[i]
    shown = scale.inverse(grid)
    if data is not None or fit.table is not None:
        values = fit.read(data)[name].values.astype(np.float64)
        values = values[~np.isnan(values)]
        edges = np.linspace(grid[0], grid[-1], 50)
        height, _ = np.histogram(scale.forward(values), edges)
        axes.stairs(height / (len(values) * np.diff(edges)), scale.inverse(edges), fill=True, color=GREY,
                    alpha=0.25)
    each = fit.weights * stats.norm.pdf(grid[:, None], center, sd)
    axes.plot(shown, each.sum(axis=1), color=INK, linewidth=1)
    for k, id in enumerate(fit.ids):
        axes.plot(shown, each[:, k], color=colour(id), linewidth=2, label=label_of(fit, id))
    _scaled(axes, "x", scale)
    axes.set_xlabel(shortened(name, LONGEST_LABEL))
    axes.set_yticks([])
    axes.set_ylim(bottom=0)
    return figure
