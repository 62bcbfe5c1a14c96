"""No-U-Turn sampling of the transported density on JAX: on a graphics card where JAX finds one, else on the processor."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bayesglm.accelerated.density import Accelerated, accelerate
from bayesglm.engines.continuation import starts_of
from bayesglm.engines.engine import Run
from bayesglm.engines.laps import laps
from bayesglm.engines.nuts import Nuts
from bayesglm.engines.structured import goals_of, large_states
from bayesglm.engines.target import Target
from bayesglm.errors import EngineError
from bayesglm.latent.hyper import thetas
from bayesglm.latent.variables import dims_of, expand
from bayesglm.specification import Problem

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class JAX(Nuts):
    """The No-U-Turn sampler on a density that JAX evaluates; it needs the extra ``bayesglm[jax]``.

    The settings are those of `Nuts`. Mode, transport, starts and stopping are the same as there, and so is the posterior; only
    the log density and its gradient come from JAX, in dense blocks of double precision, on its first device, which the fit's
    notes name. On one processor `Nuts` is faster.

    Examples
    --------
    >>> JAX(draws=2000).settings()["draws"]
    2000
    """

    name: ClassVar[str] = "jax"

    def run(self, problem: Problem, *, seed: int, progress: bool) -> Run:
        """Draw from the posterior; see `Engine.run`."""
        hold_to_be_installed()
        prepared, before = self._prepared(problem, seed)
        with laps(prepared.seconds) as clock:
            accelerated = accelerate(prepared.transported)
            clock.end("compile")
            target = target_of(accelerated, starts_of(accelerated, before, chains=self.chains, seed=seed))
            run = self._transported(prepared, before, target, clock, seed=seed, progress=progress)
        notes = (f"the log density was evaluated by JAX on {accelerated.device}", *run.notes)
        return replace(run, notes=notes)


def hold_to_be_installed() -> None:
    """Say how to install JAX where it is not.

    Raises
    ------
    EngineError
        JAX cannot be imported.
    """
    try:
        import jax  # noqa: F401
    except ImportError as error:
        raise EngineError("jax is not installed", value="jax", rule="engine='jax' evaluates the log density with JAX",
                          fix='Install it with pip install "bayesglm[jax]", on a machine with an NVIDIA card with '
                              'pip install "bayesglm[jax]" "jax[cuda13]", or use engine=\'nuts\'.') from error


def target_of(accelerated: Accelerated, starts: Array) -> Target:
    """Return the target of a density on JAX, with chains that begin at these coordinates, shape (chain, size)."""
    field = accelerated.posterior.field
    dims, coords = dims_of(field)

    def expanded(flat: Array) -> dict[str, Array]:
        t, w, v = accelerated.fields(flat)
        return expand(field, thetas(t, field.hyper), w, v)

    return Target(starts.shape[1], lambda: accelerated, starts, expanded, dims, coords,
                  goals_of(field.problem.specification), large_states(field))


MEMBER = JAX()
