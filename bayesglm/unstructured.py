"""Unstructured: draws from a user's own ``pm.Model``, of whose structure nothing is known.

A `bayesglm.Model` is sampled by its own engines, which know its structure; whatever lies outside that class comes here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pymc as pm
import xarray as xr
from numpy.typing import NDArray

from bayesglm.engines.continuation import continuation, last_draws
from bayesglm.engines.density import Density, compile_density
from bayesglm.engines.identity import density_identity
from bayesglm.engines.plain import plain_target
from bayesglm.engines.sampling import Adaptation
from bayesglm.engines.sampling import sample as draw
from bayesglm.errors import EngineError
from bayesglm.versions import installed_versions

Array = NDArray[np.float64]
JITTER = 1.0  # around PyMC's initial point, on the unconstrained scale, as pm.sample has it
TRIES = 20
FORMS: tuple[Literal["low_rank", "diag"], ...] = ("low_rank", "diag")
TUNE = 400


def sample(
    model: pm.Model, *, seed: int, draws: int | None = None, tune: int | None = None, chains: int = 4, effective: float = 400,
    most_draws: int = 5_000, cores: int | None = None, target_accept: float = 0.8, max_seconds: float | None = None,
    progress: bool = True, store: str | Path | None = None,
) -> xr.DataTree:
    """Draw from the posterior of any continuous ``pm.Model`` by nutpie's No-U-Turn sampler.

    A diagonal and a low-rank mass matrix are tried side by side in the warm-up; the one whose draws are worth more per evaluation
    of the density goes on, and ``attrs["notes"]`` says which. Fewer than 20 draws do not tell; they take the low-rank one.

    Parameters
    ----------
    model : pm.Model
        Continuous free variables only.
    seed : int
        The same seed gives the same draws, however many cores there are.
    draws : int, optional
        Kept draws of each chain. By default as many blocks of 250 as it takes until every element of every free variable has
        ``effective`` effective draws in bulk and tails, and R-hat is low.
    tune : int
        Warm-up draws of each chain, for each of the two mass matrices; by default 400, and 200 where chains continue those of a
        store.
    chains : int
        Number of chains.
    effective : float
        Effective draws that each element of a free variable should have.
    most_draws : int
        Where to stop if it has not.
    cores : int, optional
        How many chains run at the same time.
    target_accept : float
        Mean acceptance the step size aims at; raise it towards 1 when there are divergences.
    max_seconds : float, optional
        When to stop with the draws that all chains have; so does a keyboard interrupt.
    progress : bool
        Whether to print a line after every block.
    store : str or Path, optional
        Directory where draws are written as they come; see `bayesglm.engines.store.read_run`. Where it holds a run of the same
        model, this one continues it: from its last draws, with its step size and its form of the mass matrix, and with a seed of
        its own, as a run of its own.

    Returns
    -------
    xarray.DataTree
        Groups ``posterior`` (dims chain, draw and the model's own) and ``sample_stats``; attributes ``notes``, ``complete`` (1,
        or 0 if it was stopped early), ``seconds`` of sampling, ``mass_matrix``, ``warm_up_gradients`` and ``gradients``,
        evaluations of the density, ``seed``, and as JSON texts ``settings`` and ``versions`` of the libraries. netCDF holds them
        all.

    Raises
    ------
    EngineError
        The model has a discrete free variable, or none at all, or no start with a finite density can be found; the store is of
        another model, or has draws of this seed.

    Examples
    --------
    >>> with pm.Model() as model:
    ...     mu = pm.Normal("mu")
    ...     _ = pm.Normal("y", mu, 1.0, observed=[0.5, 1.5])
    >>> tree = sample(model, seed=1, draws=100, tune=100, progress=False)
    >>> tree["posterior"]["mu"].shape
    (4, 100)
    """
    _check(model)
    density = compile_density(model)
    before = None if store is None else continuation(store, density_identity(density), seed=seed, chains=chains)
    warm = None if before is None else before.warm
    starts = _starts(model, density, chains, seed) if warm is None else last_draws(warm, density)
    target = plain_target(density, starts, {each.name: effective for each in model.free_RVs})
    forms = [Adaptation(tune=tune or TUNE, form=form, target_accept=target_accept, initial_step=0.1) for form in FORMS]
    if before is not None:
        forms = [before.adaptation(each, tune) for each in forms if warm is None or each.form == warm.adaptation["form"]]
    found = draw(
        target, seed=seed, adaptation=forms, draws=draws, most_draws=most_draws, cores=cores, max_seconds=max_seconds,
        progress=progress, store=None if before is None else before.begin(target, seed=seed, adaptation=forms),
    )
    settings = {"draws": draws, "tune": forms[0].tune, "chains": chains, "effective": effective, "most_draws": most_draws,
                "cores": cores, "target_accept": target_accept, "max_seconds": max_seconds,
                "store": None if store is None else str(store)}
    tree = found.tree(target)
    tree.attrs = {
        "notes": [*(() if before is None else before.notes), *found.notes], "complete": int(found.complete),
        "seconds": found.seconds,
        "mass_matrix": found.form, "warm_up_gradients": found.gradients["tune"], "gradients": found.gradients["draws"],
        "seed": seed, "settings": json.dumps(settings), "versions": json.dumps(installed_versions()),
    }
    return tree


def _check(model: pm.Model) -> None:
    discrete = [each.name for each in model.free_RVs if not np.issubdtype(np.dtype(each.dtype), np.floating)]
    if discrete:
        raise EngineError(
            f"{', '.join(discrete)} {'is' if len(discrete) == 1 else 'are'} discrete", column=discrete[0], value=discrete[0],
            rule="the No-U-Turn sampler moves along gradients, so every free variable is continuous",
            fix="Sum it out (pm.Mixture, pm.ZeroInflatedPoisson, pymc_extras.marginalize), or use pm.sample(model=model).")
    if not model.free_RVs:
        raise EngineError("the model has no free variable", value=model.name, rule="there is something to learn",
                          fix="Give at least one variable a prior and leave it unobserved.")


def _starts(model: pm.Model, density: Density, chains: int, seed: int) -> Array:
    """Return a start for each chain: PyMC's initial point and a uniform jitter, drawn again where the density is not finite."""
    point: Mapping[str, Any] = model.initial_point(random_seed=seed)
    centre = np.concatenate([np.ravel(point[name]).astype(np.float64) for name in density.shapes])
    rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(1)[0])
    starts: list[Array] = []
    for _ in range(TRIES * chains):
        start = centre + rng.uniform(-JITTER, JITTER, centre.size)
        value, gradient = density(start)
        if np.isfinite(value) and np.isfinite(gradient).all():
            starts.append(start)
        if len(starts) == chains:
            return np.array(starts)
    raise EngineError(f"no start with a finite log density in {TRIES * chains} tries", value=float(density(centre)[0]),
                      rule="sampling starts where the density and its gradient are finite",
                      fix="Look at model.point_logps(), and give the variables at fault an initval.")
