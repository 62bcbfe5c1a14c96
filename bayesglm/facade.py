"""Model and Fit: what users hold. Every method is one call of a pure function that stands elsewhere.

A `Model` is what is believed, a `Fit` is what was learnt; both are values, and neither changes after it is made.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr

from bayesglm import storage
from bayesglm.agreement import Agreement, agreement
from bayesglm.checks.check import Check, CheckResult, Checks
from bayesglm.contrast import Contrast, contrast_rows
from bayesglm.data.audit import Audit
from bayesglm.data.schema import Schema
from bayesglm.describe import describe_fit, describe_model
from bayesglm.engines.engine import Engine
from bayesglm.errors import EngineError, OptionError, unknown
from bayesglm.families.family import Family
from bayesglm.fitted import Fitted
from bayesglm.formulation import Words, formulate
from bayesglm.model import build, likelihood_units
from bayesglm.newdata import read_new_rows
from bayesglm.pointwise import log_likelihood, loo, to_dataset
from bayesglm.predict import LEVEL, QUANTITIES, Prediction, check_seed, predict_rows
from bayesglm.prior_predictive import draw_prior_predictive
from bayesglm.priors import Prior
from bayesglm.registry import discover
from bayesglm.report.page import write_report
from bayesglm.report.section import Material
from bayesglm.rows import Groups, Rows, rows_of
from bayesglm.specification import Problem
from bayesglm.summary import Summary, summarise_fit
from bayesglm.versions import installed_versions

if TYPE_CHECKING:
    from arviz_stats.utils import ELPDData


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Model:
    """A hierarchical generalised linear model of a table: formula, family, priors.

    Parameters
    ----------
    formula : str
        ``"errors ~ deploy + (1 | service)"``; see the formula page for the grammar.
    data : data frame, path, pyarrow Dataset or list of data frames
        pandas, Polars, PyArrow, or anything narwhals reads; only the columns that are named are read. A path (Parquet, CSV,
        Feather, ORC; a file or a folder), a dataset and a list are read in pieces, in memory that does not grow with the rows;
        ``fit(engine="minibatch_advi")`` learns from them all, and the model holds a sample, always the same.
    family : str or Family
        ``"poisson"``, ``"negative_binomial"``, ... or a record of your own.
    exposure : str, optional
        Column that multiplies the mean: requests, hours, service months. For counts, gamma and gaussian.
    exposure_unit : str, optional
        What one unit of it is; checked again when predicting.
    weights : str, optional
        Column of whole numbers: w stands for w identical rows.
    time, id : str, optional
        Columns that order and name the rows.
    context : sequence of str
        Label columns carried through to predictions and reports.
    zero, dispersion : str, optional
        One-sided formulas of the zero part and of the dispersion: ``"~ deploy"``.
    formulas : mapping, optional
        One-sided formulas of other parameters, by name.
    links : mapping, optional
        Parameter to link, where it is not the default.
    priors : mapping, optional
        Name or class of parameters to prior; see `bayesglm.priors`.
    dispersion_scaling : {"constant", "exposure"}
        Whether the NB2 concentration grows with exposure relative to its median.
    missing : mapping, optional
        Column to what happens to its missing cells: ``"refuse"`` (default), ``"impute"``, or a value.

    Raises
    ------
    BayesGLMError
        One of its kinds for each fault, with the column, the value, the rule and the fix.

    Examples
    --------
    >>> import bayesglm as bg
    >>> data = bg.load_dataset("ship_incidents")
    >>> model = bg.Model("incidents ~ period + (1 | ship_type)", data, family="negative_binomial", exposure="service_months")
    >>> sorted(model.pymc.named_vars_to_dims)[:2]
    ['X', 'beta']
    """

    problem: Problem
    schema: Schema
    audit: Audit
    formula: str

    def __init__(
        self,
        formula: str,
        data: Any,
        family: str | Family,
        *,
        exposure: str | None = None,
        exposure_unit: str | None = None,
        weights: str | None = None,
        time: str | None = None,
        id: str | None = None,
        context: Sequence[str] = (),
        zero: str | None = None,
        dispersion: str | None = None,
        formulas: Mapping[str, str] | None = None,
        links: Mapping[str, str] | None = None,
        priors: Mapping[str, Prior] | None = None,
        dispersion_scaling: Literal["constant", "exposure"] = "constant",
        missing: Mapping[str, Any] | None = None,
    ) -> None:
        words = Words(
            formula=formula, family=family, exposure=exposure, exposure_unit=exposure_unit, weights=weights, time=time, id=id,
            context=context, zero=zero, dispersion=dispersion, formulas=formulas or {}, links=links or {},
            priors=priors or {}, dispersion_scaling=dispersion_scaling, missing=missing or {},
        )
        problem, schema, audit = formulate(words, data)
        for name, value in (("problem", problem), ("schema", schema), ("audit", audit),
                            ("formula", problem.specification.predictors[0].formula)):
            object.__setattr__(self, name, value)

    @property
    def pymc(self) -> pm.Model:
        """A new ``pm.Model`` over the original rows; changing it changes nothing here."""
        if self.problem.source is not None:
            raise OptionError("the table is read in pieces", value=self.problem.source.rows,
                              rule="a pm.Model holds all its rows", fix="Make the model of a data frame.")
        return build(self.problem)

    @property
    def priors(self) -> pd.DataFrame:
        """The prior of every parameter, where it comes from, and what it is on."""
        lines = self.problem.specification.priors.lines
        return pd.DataFrame({"prior": [str(line.prior) for line in lines], "source": [line.source for line in lines],
                             "on": [line.reading for line in lines]}, index=pd.Index([line.name for line in lines], name="name"))

    def prior_predictive(self, *, seed: int, draws: int = 500) -> xr.DataTree:
        """Draw parameters from the priors and responses from them.

        Parameters
        ----------
        seed : int
            The same seed gives the same draws.
        draws : int
            Number of draws.

        Returns
        -------
        xarray.DataTree
            Groups ``prior``, ``prior_predictive`` and ``observed_data``; dims chain, draw and obs (rows of the likelihood).
        """
        return draw_prior_predictive(self.problem, self.schema, self.audit, seed=seed, draws=draws)

    def fit(
        self, engine: str | Engine = "nuts", *, seed: int | None = None, progress: bool | None = None, **settings: Any,
    ) -> Fit:
        """Learn from the data.

        Parameters
        ----------
        engine : str or Engine
            ``"nuts"``, ``"laplace"``, ``"pymc"``, or a record such as ``bg.engines.Nuts(draws=2000)``.
        seed : int, optional
            The same seed gives the same draws; without one, a seed is taken from the system and recorded.
        progress : bool, optional
            Whether to show progress; by default where somebody is looking (a terminal or a notebook).
        **settings
            Settings of the engine: ``draws``, ``tune``, ``chains``, ``target_accept``.

        Returns
        -------
        Fit
            The posterior. A fit that went badly is a fit whose `Fit.check` says so.
        """
        chosen = _configured(engine, settings)
        reason = chosen.reason_against(self.problem)
        if reason:
            raise EngineError(f"{chosen.name} is not applicable", value=chosen.name, rule=reason, fix="Use engine='nuts'.")
        if self.problem.source is not None and not chosen.in_pieces:
            raise EngineError(f"{chosen.name} for a table that is read in pieces", value=chosen.name,
                              rule="it needs all rows in memory",
                              fix="Use engine='minibatch_advi', or make the model of a data frame.")
        number = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else check_seed(seed)
        run = chosen.run(self.problem, seed=number, progress=_somebody_looks() if progress is None else progress)
        return Fit(
            specification=self.problem.specification, schema=self.schema, audit=self.audit,
            draws=with_data(run.draws, self.problem), problem=self.problem, engine=chosen.name, exact=chosen.exact,
            kind=chosen.kind, settings=chosen.settings(), seed=number, seconds=dict(run.seconds), complete=run.complete,
            notes=run.notes, verdict=run.verdict, modes=run.modes, versions=installed_versions(),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def __repr__(self) -> str:
        return describe_model(self.problem, self.audit)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"


def _configured(engine: str | Engine, settings: Mapping[str, Any]) -> Engine:
    known = discover("bayesglm.engines", Engine)
    if isinstance(engine, str) and engine not in known:
        raise unknown("engine", engine, known)
    chosen: Engine = known[engine] if isinstance(engine, str) else engine
    options = {each.name for each in fields(chosen)}
    for name in settings:
        if name not in options:
            raise unknown(f"setting of {chosen.name}", name, options)
    return replace(chosen, **settings)


def _somebody_looks() -> bool:
    return "ipykernel" in sys.modules or sys.stderr.isatty()


def with_data(draws: xr.DataTree, problem: Problem) -> xr.DataTree:
    """Return the draws with ``observed_data`` and ``constant_data`` over the rows of the likelihood, repeated by weight."""
    units, name = likelihood_units(problem, "obs"), problem.specification.roles.response
    coords = {"obs": units.label}
    constants = {key: ("obs", values) for key, values in (("exposure", units.exposure), ("trials", units.trials))
                 if values is not None}
    return xr.DataTree.from_dict({
        **{key: group.to_dataset() for key, group in draws.children.items()},
        "observed_data": xr.Dataset({name: ("obs", units.response)}, coords),
        "constant_data": xr.Dataset(constants, coords),
    })


def run_checks(fitted: Fitted, seed: int) -> tuple[CheckResult, ...]:
    """Put every check to a fit, the decisive ones first."""
    members = sorted(discover("bayesglm.checks", Check).values(), key=lambda check: (not check.decisive, check.name))
    return tuple(check.run(fitted, seed) for check in members)


@dataclass(frozen=True, slots=True, eq=False)
class Fit(Fitted):
    """A posterior, with the verbs that use it; made by `Model.fit` and `load`."""

    def summary(self, *, level: float = LEVEL) -> Summary:
        """Return the coefficient table; see `bayesglm.summary.summarise_fit`."""
        return Summary(summarise_fit(self, level=level), describe_fit(self))

    def check(self, *, seed: int = 0) -> Checks:
        """Put every check to the fit: convergence, posterior predictive statistics, dispersion, zeros."""
        return Checks(run_checks(self, seed))

    def predict(
        self, new_data: Any = None, *, quantities: Sequence[str] = QUANTITIES, groups: Groups = "conditional", seed: int = 0,
        samples: int | None = None, per: float = 1.0, exposure: Any = None, exposure_unit: str | None = None,
    ) -> Prediction:
        """Predict rates, expected and predicted responses.

        Parameters
        ----------
        new_data : data frame, optional
            Rows to predict; the fitted rows without it.
        quantities : sequence of {"rate", "expected", "predicted"}
            ``rate`` is mu per unit of exposure, ``expected`` the mean of the recorded response, ``predicted`` a draw of it.
        groups : {"conditional", "population", "typical"}
            With each group's effects, integrated over their distribution, or with effects 0.
        seed : int
            For new levels and predicted responses.
        samples : int, optional
            Number of posterior draws to use.
        per : float
            Rates are per this much exposure: 1000 for events per 1,000 requests.
        exposure : float, array of shape (obs,) or (sample, obs), optional
            Exposure of the rows, in place of the column; with draws in front when it is uncertain itself.
        exposure_unit : str, optional
            Unit of the exposure of the new rows; must be the fit's.
        """
        rows = self._rows(new_data, exposure, exposure_unit, needs_exposure=any(q != "rate" for q in quantities), samples=samples)
        return predict_rows(self, rows, quantities=quantities, groups=groups, seed=seed, samples=samples, per=per)

    def contrast(
        self, first: Mapping[str, Any], second: Mapping[str, Any], new_data: Any = None, *, quantity: str = "rate",
        groups: Groups = "conditional", seed: int = 0, per: float = 1.0,
    ) -> Contrast:
        """Compare the average response under two settings, ``{"deploy": 0}`` against ``{"deploy": 1}``."""
        rows = self._rows(new_data, None, None, needs_exposure=quantity != "rate", samples=None)
        return contrast_rows(self, rows, first, second, quantity=quantity, groups=groups, seed=seed, per=per)

    def _rows(self, new_data: Any, exposure: Any, unit: str | None, *, needs_exposure: bool, samples: int | None) -> Rows:
        if new_data is None and exposure is None:
            return rows_of(self, self.data())
        if new_data is None:
            raise OptionError("exposure= without new_data", rule="the fitted rows have their own exposure",
                              fix="Give the rows as new_data.")
        return read_new_rows(self, new_data, exposure=exposure, unit=unit, needs_exposure=needs_exposure, samples=samples)

    def with_log_likelihood(self, *, over: Literal["obs", "cell"] = "obs") -> Fit:
        """Return the fit with a group ``log_likelihood``: one entry for each row, or for each distinct row with its frequency."""
        pointwise = to_dataset(self, log_likelihood(self), expanded=over == "obs")
        tree = {name: group.to_dataset() for name, group in self.draws.children.items()}
        return replace(self, draws=xr.DataTree.from_dict({**tree, "log_likelihood": pointwise}))

    def loo(self) -> ELPDData:
        """Return the leave-one-out expected log predictive density by PSIS, one row left out at a time, from distinct rows."""
        return loo(self)

    def agreement(self, reference: Fit, *, level: float = LEVEL) -> Agreement:
        """Return how far means and intervals are from those of another fit of the same model, such as NUTS.

        Examples
        --------
        >>> import bayesglm as bg
        >>> table = {"errors": [3, 0, 2, 5], "requests": [10.0, 5.0, 10.0, 20.0]}
        >>> model = bg.Model("errors ~ 1", table, "poisson", exposure="requests")
        >>> found = model.fit("advi", seed=1).agreement(model.fit("laplace", seed=2))
        >>> found.shift < 0.2, 0.8 < found.narrowest
        (True, True)
        """
        return agreement(self, reference, level=level)

    def report(self, path: str | Path, *, title: str = "", question: str = "", seed: int = 0) -> Path:
        """Write one self-contained HTML page and return its path."""
        return write_report(Material(self, run_checks(self, seed), seed, title, question), Path(path))

    def save(self, path: str | os.PathLike[str], *, data: bool = False) -> Path:
        """Write the fit to one file, without its data unless asked."""
        storage.save(self, path, data=data)
        return Path(path)

    def __repr__(self) -> str:
        return describe_fit(self)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"


def load(path: str | os.PathLike[str], *, family: Family | None = None) -> Fit:
    """Read a fit that `Fit.save` wrote.

    Parameters
    ----------
    path : path
        The file.
    family : Family, optional
        The family record, for a fit made with one of your own.

    Raises
    ------
    StorageError
        The file is damaged, foreign, or from a newer version.
    """
    stored = storage.load(path, family=family)
    return Fit(**{each.name: getattr(stored, each.name) for each in fields(stored)})
