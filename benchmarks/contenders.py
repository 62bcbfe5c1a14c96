"""Contenders: who is measured, by name, and in which capacity.

``ours``           an engine of this package with its own defaults
``best``           nutpie, NumPyro: the same posterior, in the parametrisation and adaptation that an expert would try
``default``        what packages and tutorials write, with the package's defaults
``approximation``  ADVI, for time to a given accuracy
``point``          maximum likelihood, for its wall time
"""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, Literal

from benchmarks.measure import Outcome
from benchmarks.task import Task
from benchmarks.workloads import Workload

Capacity = Literal["ours", "best", "default", "approximation", "point"]


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to fit a workload.

    Attributes
    ----------
    name : str
        What the command line and the tables call it.
    capacity : str
        As what it runs.
    module, function : str
        Where its run stands.
    arguments : mapping
        What the run is given by name.
    needs : str
        Python package that must be installed, ``R:package``, or ``device`` for one that JAX has beside the processor; empty for
        none.
    lengthens : bool
        Whether more draws can be asked for when a run has not converged.
    """

    name: str
    capacity: Capacity
    module: str
    function: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    needs: str = ""
    lengthens: bool = True

    @property
    def compiles(self) -> bool:
        """Whether it keeps compiled code on disk, which one run must fill before others are timed."""
        return self.function != "in_r"

    def run(self, task: Task, done: Callable[[], None]) -> Outcome:
        """Run it in this process."""
        outcome: Outcome = getattr(importlib.import_module(f"benchmarks.{self.module}"), self.function)(
            task, done, **self.arguments)
        return outcome

    def reason_against(self, workload: Workload) -> str:
        """Return why it cannot run, empty if it can."""
        if self.module == "packages" and not workload.elsewhere:
            return "its formulas cannot say this model"
        if workload.elsewhere_zero and self.arguments.get("package") == "rstanarm":
            return "it has no zero-inflated family"
        return missing(self.needs)


@cache
def missing(needs: str) -> str:
    """Return what is not installed, in words."""
    if needs == "device":
        return "" if accelerated() else "JAX has no device here but the processor"
    if needs.startswith("R:"):
        from benchmarks.packages import r_has

        package = needs.removeprefix("R:")
        return "" if r_has(package) else f"R or its package {package} is not installed"
    return "" if not needs or importlib.util.find_spec(needs) else f"{needs} is not installed"


def accelerated() -> bool:
    """Return whether JAX has a device beside the processor; asked in a process of its own, which does not keep its memory."""
    asked = "import jax; print(any(each.platform != 'cpu' for each in jax.devices()))"
    return subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=False).stdout.strip() == "True"


NEEDS = {"jax": "device"}  # of our engines


def our_engines() -> tuple[Contender, ...]:
    """Return every engine of this package; plain ``pm.sample`` stands among the peers."""
    from bayesglm.engines import Engine
    from bayesglm.registry import discover

    return tuple(
        Contender(f"bayesglm:{name}", "ours", "ours", "fit", {"engine": name}, NEEDS.get(name, ""), lengthens=engine.exact)
        for name, engine in discover("bayesglm.engines", Engine).items() if name != "pymc"
    )


PEERS: tuple[Contender, ...] = (
    *(Contender(f"nutpie:{adaptation}:{form}", "best", "peers", "nutpie", {"adaptation": adaptation, "form": form}, "nutpie")
      for adaptation in ("low_rank", "diag") for form in ("noncentred", "hierarchical")),
    *(Contender(f"numpyro:{form}", "best", "peers", "pm_sample", {"sampler": "numpyro", "form": form}, "numpyro")
      for form in ("noncentred", "hierarchical")),
    Contender("pm.sample", "default", "peers", "pm_sample", {"sampler": None, "form": "noncentred"}),
    Contender("pm.sample:zero-centred", "default", "peers", "pm_sample", {"sampler": None, "form": "zero_centred"}),
    Contender("pm.sample:pymc", "default", "peers", "pm_sample", {"sampler": "pymc", "form": "noncentred"}),
    Contender("bambi", "default", "packages", "bambi", needs="bambi"),
    Contender("rstanarm", "default", "packages", "in_r", {"package": "rstanarm"}, "R:rstanarm"),
    Contender("brms", "default", "packages", "in_r", {"package": "brms"}, "R:brms"),
    Contender("glmmTMB", "point", "packages", "in_r", {"package": "glmmTMB"}, "R:glmmTMB", lengthens=False),
    Contender("advi", "approximation", "peers", "advi", {"optimizer": None, "form": "noncentred"}, lengthens=False),
    *(Contender(f"advi-adam:{form}", "approximation", "peers", "advi", {"optimizer": {"learning_rate": 0.02}, "form": form},
                lengthens=False) for form in ("noncentred", "hierarchical")),
)


def contender(name: str) -> Contender:
    """Return a contender by name, without importing this package for a peer."""
    if name.startswith("bayesglm:"):
        return next(each for each in our_engines() if each.name == name)
    return next(each for each in PEERS if each.name == name)


def matching[T](patterns: Sequence[str], known: Mapping[str, T], classes: Mapping[str, str] | None = None) -> list[T]:
    """Return the members whose name matches a shell pattern, or whose class is named, in their own order.

    Raises
    ------
    SystemExit
        A pattern that nothing answers to.

    Examples
    --------
    >>> matching(["t*", "odd"], {"one": 1, "two": 2, "three": 3}, {"one": "odd", "two": "even", "three": "odd"})
    [1, 2, 3]
    """
    classes = classes or {}
    found: set[str] = set()
    for pattern in patterns:
        hits = {name for name in known if fnmatchcase(name, pattern) or classes.get(name) == pattern}
        if not hits:
            raise SystemExit(f"{pattern!r} is none of: {', '.join([*sorted(set(classes.values())), *known])}")
        found |= hits
    return [each for name, each in known.items() if name in found]
