"""Engine: the contract of a way to draw from the posterior.

To add an engine:

1. Write one file in ``bayesglm/engines/`` with a frozen dataclass that inherits `Engine`: its fields are the settings users
   give, ``run`` draws. End the file with ``MEMBER = YourEngine()``.
2. Run ``pytest tests/engines``: the laws run over every member, so they run over yours.
3. Use it by name, ``model.fit(engine="your_engine")``, or with settings, ``model.fit(engine=YourEngine(draws=2000))``.

A run that went badly is a value: the draws come back with what happened, and the checks say what to think of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar

import numpy as np
import xarray as xr

from bayesglm.engines.verdict import Verdict
from bayesglm.errors import EngineError
from bayesglm.specification import Problem

# The least that makes sense of the settings that are whole numbers.
LEAST = {"draws": 1, "tune": 1, "chains": 1, "cores": 1, "max_treedepth": 1, "iterations": 1, "starts": 1, "points": 20,
         "proposals": 1_000, "batch": 100, "passes": 1}


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What an engine returns.

    Attributes
    ----------
    draws : xarray.DataTree
        Groups ``posterior`` and ``sample_stats``, dims chain, draw and those of the model, in the model's own parameters.
    seconds : mapping
        Where the time went: ``compile`` (and loading compiled code), ``sample``, ``expand``.
    complete : bool
        False if the run was stopped before it had all its draws.
    notes : tuple of str
        What the user should know of the run.
    verdict : Verdict, optional
        Whether the draws of an approximation may be read as the posterior; every approximation has one.
    modes : int
        How many different modes of the posterior were found; draws around one of several are no draws of the posterior.
    """

    draws: xr.DataTree
    seconds: Mapping[str, float] = field(default_factory=dict)
    complete: bool = True
    notes: tuple[str, ...] = ()
    verdict: Verdict | None = None
    modes: int = 1


@dataclass(frozen=True, slots=True)
class Engine:
    """A way to draw from the posterior; subclasses add settings as fields.

    Attributes
    ----------
    name : str
        The name users write.
    exact : bool
        Whether its draws converge to the posterior; False for an approximation.
    kind : str
        What its draws are called where they do not.
    in_pieces : bool
        Whether it fits a table that is read in pieces; the others need all rows in memory.
    stats : tuple of str
        What ``sample_stats`` of its draws holds.
    source : str
        Where the method stands.
    """

    name: ClassVar[str] = ""
    exact: ClassVar[bool] = True
    kind: ClassVar[str] = "an approximation"
    in_pieces: ClassVar[bool] = False
    stats: ClassVar[tuple[str, ...]] = ("diverging", "energy", "tree_depth", "acceptance_rate", "reached_max_treedepth", "lp")
    source: ClassVar[str] = ""

    def __post_init__(self) -> None:
        """Hold the settings that engines share to their rules."""
        settings = {each.name: getattr(self, each.name) for each in fields(self)}
        for name, least in LEAST.items():
            value = settings.get(name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least):
                raise EngineError(f"{name}={value!r}", column=name, value=value, fix=f"Give {name} >= {least}.",
                                  rule=f"{name} is a whole number, at least {least}")
        accept = settings.get("target_accept")
        if accept is not None and not 0 < accept < 1:
            raise EngineError(f"target_accept={accept!r}", column="target_accept", value=accept,
                              rule="target_accept lies between 0 and 1", fix="0.8 to 0.99 are usual.")

    def reason_against(self, problem: Problem) -> str:
        """Return why the engine cannot fit this problem, empty if it can."""
        del problem
        return ""

    def run(self, problem: Problem, *, seed: int, progress: bool) -> Run:
        """Draw from the posterior.

        Parameters
        ----------
        problem : Problem
            Specification and data.
        seed : int
            The same seed gives the same draws.
        progress : bool
            Whether to show a progress bar.
        """
        raise NotImplementedError

    def settings(self) -> dict[str, Any]:
        """Return the settings for the manifest of a fit."""
        return asdict(self)
