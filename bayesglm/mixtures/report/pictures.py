"""Pictures: plots of a mixture as SVG text of the page."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from bayesglm.plots import figure_svg
from bayesglm.report.figures import STYLE

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def picture(make: Callable[[], Figure]) -> str:
    """Draw a plot as SVG text, without warnings of characters that the font lacks."""
    from matplotlib import rc_context

    with warnings.catch_warnings(), rc_context(dict(STYLE)):
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        return figure_svg(make())
