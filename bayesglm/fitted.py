"""Fitted: what was learnt, as a value. Predictions, checks, reports and storage are functions of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesglm.data.audit import Audit
from bayesglm.data.schema import Schema
from bayesglm.engines.verdict import Verdict
from bayesglm.errors import OptionError
from bayesglm.specification import Problem, Specification

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A posterior with everything needed to use it.

    Attributes
    ----------
    specification : Specification
        The model.
    schema : Schema
        What the columns looked like; new data are held against it.
    audit : Audit
        What the data door found.
    draws : xarray.DataTree
        ``posterior`` and ``sample_stats``, after a fit also ``observed_data`` and ``constant_data``.
    problem : Problem or None
        The data; None in a fit that was saved without them.
    engine : str
        Name of the engine.
    exact : bool
        Whether the engine's draws converge to the posterior.
    kind : str
        What they are called where they do not.
    settings : mapping
        The engine's settings.
    seed : int
        The seed of the draws.
    seconds : mapping
        Where the time went.
    complete : bool
        Whether the run had all its draws.
    notes : tuple of str
        What the engine says of its run.
    verdict : Verdict, optional
        Whether the draws of an approximation may be read as the posterior, with the evidence.
    modes : int
        How many different modes of the posterior the engine found; several are never passed by the convergence check.
    versions : mapping
        Versions of the libraries.
    created : str
        When, in UTC, ISO 8601.
    """

    specification: Specification
    schema: Schema
    audit: Audit
    draws: xr.DataTree
    problem: Problem | None
    engine: str
    exact: bool
    settings: Mapping[str, Any]
    seed: int
    seconds: Mapping[str, float] = field(default_factory=dict)
    complete: bool = True
    notes: tuple[str, ...] = ()
    verdict: Verdict | None = None
    modes: int = 1
    kind: str = "an approximation"
    versions: Mapping[str, str] = field(default_factory=dict)
    created: str = ""

    @property
    def shape(self) -> tuple[int, int]:
        """Number of chains and of draws in each."""
        sizes = self.draws["posterior"].sizes
        return int(sizes["chain"]), int(sizes["draw"])

    @property
    def label(self) -> str:
        """What reports say of its draws: "variational: intervals may be narrow"."""
        return "draws converge to the posterior" if self.exact else f"{self.kind}: intervals may be narrow"

    def stacked(self, name: str) -> Array:
        """Return the draws of a variable with chains and draws as one leading axis, shape (sample, ...)."""
        values = self.draws["posterior"][name].transpose("chain", "draw", ...).to_numpy()
        return np.asarray(values.reshape(-1, *values.shape[2:]), dtype=np.float64)

    def data(self) -> Problem:
        """Return the data of the fit.

        Raises
        ------
        OptionError
            The fit was saved without its data.
        """
        if self.problem is None:
            raise OptionError("the fit was saved without its data", rule="this needs the rows the model was fitted to",
                              fix="Save with save(path, data=True), or give the rows as an argument.")
        return self.problem
