"""Measure: what a run is worth, counted the same way for everybody.

ESS is the smallest over intercepts, coefficients, standard deviations, correlations and dispersion, of rank-normalised bulk, of
the 5% and 95% quantiles (tail) and of squares. More than the number of draws counts as the number of draws: draws that are
negatively correlated help the mean and not the interval.
Source: Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021), Bayesian Analysis 16, 667.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
KINDS: Mapping[str, Mapping[str, Any]] = {
    "bulk": {"method": "bulk"}, "tail": {"method": "tail", "prob": (0.05, 0.95)}, "squares": {"method": "sd"},
}
LEAST_ESS, MOST_R_HAT = 400.0, 1.01


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a contender hands back.

    Attributes
    ----------
    draws : mapping
        Counted variable to draws of shape (chain, draw, element); empty for a point estimate.
    compile, sample : float
        Seconds of compiling, and of mode finding, tuning and sampling.
    sample_cpu : float, optional
        CPU seconds of all threads in ``sample``, where they can be told apart.
    dimension : int, optional
        Unconstrained coordinates.
    gradients : array, shape (chain, draw), optional
        Gradient evaluations of each kept draw.
    notes : str
        What should stand beside the figures.
    settings : mapping
        Draws, tune, chains, as the run had them.
    course : sequence of mapping
        Of an approximation: seconds, means and sds on the way.
    """

    draws: Mapping[str, Array]
    compile: float
    sample: float
    sample_cpu: float | None = None
    dimension: int | None = None
    gradients: Array | None = None
    notes: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    course: Sequence[Mapping[str, Any]] = ()


def elements(draws: Mapping[str, Array]) -> dict[str, Array]:
    """Return each number that varies as an array of shape (chain, draw), by name and position.

    Examples
    --------
    >>> sorted(elements({"beta": np.random.default_rng(1).normal(size=(2, 4, 2)), "fixed": np.ones((2, 4, 1))}))
    ['beta[0]', 'beta[1]']
    """
    found = {}
    for name, values in draws.items():
        flat = values.reshape(*values.shape[:2], -1)
        found.update({f"{name}[{j}]": flat[..., j] for j in range(flat.shape[2]) if np.ptp(flat[..., j]) > 0})
    return found


def quality(draws: Mapping[str, Array]) -> dict[str, Any]:
    """Return ESS of each kind, where it is smallest, the largest R-hat, means and sds.

    Parameters
    ----------
    draws : mapping
        Variable to draws of shape (chain, draw, element).
    """
    from arviz_stats.base import array_stats

    single = elements(draws)
    if not single:
        return {}
    most = float(next(iter(single.values())).size)
    result: dict[str, Any] = {"draws_kept": int(most), "ess": {}, "worst": {}}
    for kind, words in KINDS.items():
        ess = {name: float(array_stats.ess(values, chain_axis=0, draw_axis=1, **words)) for name, values in single.items()}
        worst = min(ess, key=lambda name: ess[name])
        result["ess"][kind], result["worst"][kind] = min(ess[worst], most), worst
    r_hat = {name: float(array_stats.rhat(values, chain_axis=0, draw_axis=1)) for name, values in single.items()}
    result["r_hat"] = max(r_hat.values()) if next(iter(single.values())).shape[0] > 1 else None
    result["means"] = {name: float(values.mean()) for name, values in single.items()}
    result["sds"] = {name: float(values.std()) for name, values in single.items()}
    return result


def smallest(ess: Mapping[str, float]) -> float:
    """Return the ESS that counts: the smaller of bulk and tail."""
    return min(ess["bulk"], ess["tail"])


def converged(found: Mapping[str, Any]) -> bool:
    """Whether a run counts."""
    return bool(found.get("ess")) and found["r_hat"] is not None and (
        found["r_hat"] < MOST_R_HAT and smallest(found["ess"]) >= LEAST_ESS)


def peak_mib() -> float:
    """Return the peak resident memory of this process and of its largest child, MiB.

    Linux hands the peak of the process that started this one down to it, so its own is read where Linux keeps that.
    """
    unit = 2**20 if sys.platform == "darwin" else 2**10
    status = Path("/proc/self/status")
    own = ([int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
           if status.exists() else [])
    mine = own[0] if own else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (mine + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / unit


def cpu_seconds() -> float:
    """Return the CPU seconds of all threads of this process and of its children: what a busy machine changes least."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def load() -> float:
    """Return the load average of the last minute."""
    return os.getloadavg()[0]


def gradients_on_standard_normal(dimension: int, settings: Mapping[str, Any]) -> float:
    """Return nutpie's mean gradients a draw on N(0, I) with the same settings: the floor of any transformed density.

    Parameters
    ----------
    dimension : int
        Of the density.
    settings : mapping
        ``tune``, ``draws``, ``chains`` and ``target_accept`` of the run that it stands beside.
    """
    import nutpie
    from nutpie.compiled_pyfunc import from_pyfunc

    target = from_pyfunc(
        dimension, lambda: lambda q: (-0.5 * float(q @ q), -q), lambda *_: lambda q: {"first": q[:1].copy()},
        [np.dtype("float64")], [(1,)], ["first"],
        make_initial_point_fn=lambda seed: np.random.default_rng(seed).normal(size=dimension),
    )
    chosen = {name: settings[name] for name in ("tune", "draws", "chains", "target_accept") if settings.get(name) is not None}
    trace = nutpie.sample(target, seed=1, cores=1, progress_bar=False, save_warmup=False, **chosen)
    return float(np.asarray(trace["sample_stats"]["n_steps"]).mean())
