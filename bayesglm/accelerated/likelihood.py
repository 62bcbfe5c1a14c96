"""Likelihood: the family's log likelihood on cells and its gradient on JAX, from the same PyTensor graph as everywhere.

PyTensor turns the graph of `bayesglm.latent.graph` to JAX operation by operation; its derivatives are PyTensor's. Importing
PyTensor's JAX backend sets JAX to double precision for the whole process; what is computed here does not depend on it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, reduce
from operator import mul
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.compile.mode import get_mode
from pytensor.graph.rewriting.basic import in2out, node_rewriter
from pytensor.raise_op import CheckAndRaise

from bayesglm.errors import EngineError
from bayesglm.families.gamma_ratio import BERNOULLI, LOG_TERMS, SERIES, LogRising
from bayesglm.latent.graph import Form, graph_of

if TYPE_CHECKING:
    from jax import Array

LogLikelihood = Callable[..., Any]


@lru_cache(maxsize=128)
def log_likelihood(form: Form) -> LogLikelihood:
    """Return the log likelihood as a function ``(eta, constants, data)`` that JAX can differentiate in the first two.

    Parameters
    ----------
    form : Form
        Family, links and names of the data.

    Raises
    ------
    EngineError
        JAX has no counterpart of an operation in the family's graph.
    """
    import jax

    first = first_of(form)

    def value(eta: Array, constants: Array, data: tuple[Array, ...]) -> Array:
        return first(eta, constants, *data)[0]

    def ahead(eta: Array, constants: Array, data: tuple[Array, ...]) -> tuple[Array, tuple[Array, Array]]:
        total, d_eta, d_constants = first(eta, constants, *data)
        return total, (d_eta, d_constants)

    def behind(kept: tuple[Array, Array], slope: Array) -> tuple[Array, Array, None]:
        return slope * kept[0], slope * kept[1], None

    known = jax.custom_vjp(value)
    known.defvjp(ahead, behind)
    found: LogLikelihood = known
    return found


def jax_mode() -> Any:
    """Return PyTensor's mode for JAX, with what the likelihoods of this package need."""
    from pytensor.link.jax.dispatch import jax_funcify

    jax_funcify.register(LogRising)(_log_rising)
    return get_mode("JAX").register((not_a_number, 0.1))


def first_of(form: Form) -> Callable[..., tuple[Array, Array, Array]]:
    """Return value and gradient of a form on JAX; see `log_likelihood`."""
    inputs, outputs = graph_of(form, "first")
    try:
        function = pytensor.function(inputs, outputs, mode=jax_mode(), on_unused_input="ignore")
    except NotImplementedError as missing:
        raise EngineError(
            f"the likelihood of {form.family.label} cannot run on JAX: {missing}", value=form.family.name,
            rule="every operation of the likelihood has a counterpart in JAX", fix="Use engine='nuts'.") from missing
    found: Callable[..., tuple[Array, Array, Array]] = function.vm.jit_fn
    return found


def _checked(fgraph: Any, node: Any) -> Any:  # noqa: ARG001
    """Put a density that is no number where a check of its parameters would raise, which compiled code on a device cannot."""
    value, *conditions = node.inputs
    valid = pt.all([pt.all(each) for each in conditions])
    return [pt.switch(valid, value, np.float64(np.nan)).astype(value.dtype)]


not_a_number = in2out(node_rewriter([CheckAndRaise])(_checked), name="check_gives_not_a_number")


def _log_rising(op: LogRising, node: Any = None, **kwargs: object) -> Callable[[Array, Array], Array]:  # noqa: ARG001
    """Tell PyTensor's JAX backend how to run log Gamma(a + y) - log Gamma(a), or its first derivative in a."""
    if op.order not in RISING:
        raise NotImplementedError(f"No JAX conversion for the given `Op`: {op}")
    return RISING[op.order]


def _shifted(a: Array, y: Array) -> tuple[Array, Array, Array, Array]:
    """Return a and a + y, and both brought above `SERIES` by whole steps where they are below."""
    import jax.numpy as jnp

    end = a + y
    return a, end, jnp.where(a < SERIES, a + SERIES, a), jnp.where(end < SERIES, end + SERIES, end)


def _rising(a: Array, y: Array) -> Array:
    """Stirling's series of the difference, less what the steps have added: log of a (a + 1) ... (a + 15)."""
    import jax.numpy as jnp

    start, end, low, high = _shifted(a, y)
    products = [reduce(mul, (jnp.minimum(x, SERIES) + j for j in range(int(SERIES)))) for x in (start, end)]
    steps = [jnp.where(x < SERIES, jnp.log(product), 0.0) for x, product in zip((start, end), products, strict=True)]
    apart = _apart(start, end, y)
    tails = [sum(c * (1.0 / x) ** (2 * k + 1) for k, c in enumerate(LOG_TERMS)) for x in (low, high)]
    return (steps[0] - steps[1] + (low - 0.5) * jnp.log1p(apart / low) + apart * (jnp.log(high) - 1.0) + tails[1] - tails[0])


def _rising_slope(a: Array, y: Array) -> Array:
    """Asymptotic series of psi(a + y) - psi(a), less what the steps have added: the sum of 1 / (a + j)."""
    import jax.numpy as jnp

    start, end, low, high = _shifted(a, y)
    steps = [jnp.where(x < SERIES, sum(1.0 / (x + j) for j in range(int(SERIES))), 0.0) for x in (start, end)]
    tails = [0.5 / x + sum(b / (2 * k) * (1.0 / x) ** (2 * k) for k, b in enumerate(BERNOULLI, start=1)) for x in (low, high)]
    return steps[0] - steps[1] + jnp.log1p(_apart(start, end, y) / low) + tails[0] - tails[1]


def _apart(start: Array, end: Array, y: Array) -> Array:
    """Return how far both are apart after the steps, without taking the difference of large numbers."""
    import jax.numpy as jnp

    return y - jnp.where((start < SERIES) & (end >= SERIES), SERIES, 0.0)


RISING = {0: _rising, 1: _rising_slope}
