"""How the gallery is made: the order of its examples, whole pictures, and the report that one of them writes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from sphinx_gallery.scrapers import matplotlib_scraper

ORDER = ("ship_incidents", "overdispersion", "zero_inflation", "hospitals", "orings", "prior_predictive", "postmortem")
REPORT = "ship_incidents_report.html"


class Order:
    """Sorts examples as they build on each other; what is not in the list comes last, by name."""

    def __init__(self, source: str) -> None:
        self.source = source

    def __call__(self, filename: str) -> tuple[int, str]:
        """Return the place of an example."""
        name = Path(filename).stem
        return ORDER.index(name) if name in ORDER else len(ORDER), name


def whole_figures(block: Any, variables: dict[str, Any], settings: dict[str, Any]) -> str:
    """Keep labels that stand outside the figure."""
    return str(matplotlib_scraper(block, variables, settings, bbox_inches="tight"))


def arguments(settings: dict[str, Any], variables: dict[str, Any]) -> list[str]:
    """Let the example that writes a report write it beside the gallery."""
    name = Path(variables["src_file"]).stem
    return ["--report", str(Path(settings["src_dir"]) / "gallery" / REPORT)] if REPORT.startswith(name) else []


def copy_report(app: Any, error: Exception | None) -> None:
    """Put the report where the page that links it looks."""
    report = Path(app.srcdir) / "gallery" / REPORT
    if error is None and report.exists():
        shutil.copy(report, Path(app.outdir) / "gallery" / REPORT)


def setup(app: Any) -> dict[str, bool]:
    """Copy the report when everything is built."""
    app.connect("build-finished", copy_report)
    return {"parallel_read_safe": True}
