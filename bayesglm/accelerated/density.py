"""Density: the posterior in transported coordinates q = (tau, z, y) on JAX, with its gradient; see `bayesglm.latent.density`.

    t = t at the mode + turn tau        (w, v) = transport(t, z, y)
    log p(q) = log likelihood + log prior of the field + log prior of t + log |d(w, v) / d(z, y)| + log |turn|

Everything is float64, on whatever device JAX has. What is compiled depends on the family's form and the shapes of the arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesglm.accelerated.blocks import Blocks, blocks_of
from bayesglm.accelerated.field import forward, log_prior, predictors, whole
from bayesglm.accelerated.hyper import evaluate
from bayesglm.accelerated.likelihood import LogLikelihood, log_likelihood
from bayesglm.errors import EngineError
from bayesglm.latent.density import Transported
from bayesglm.latent.graph import Form
from bayesglm.latent.mode import Posterior

if TYPE_CHECKING:
    from jax import Array as Tensor

Array = NDArray[np.float64]
PIECE = 64  # draws that are moved by one call
AGREE = 1e-7  # relative difference of the log density from that of the processor, which has digits to spare


@dataclass(frozen=True, slots=True, eq=False)
class Accelerated:
    """The log density of a posterior in transported coordinates, on JAX.

    Attributes
    ----------
    posterior : Posterior
        The posterior.
    blocks : Blocks
        Field and reference, on the device.
    data : tuple of array
        The data of the likelihood, on the device.
    device : str
        What computes.
    """

    posterior: Posterior
    blocks: Blocks
    data: tuple[Any, ...]
    device: str

    def __call__(self, q: Array) -> tuple[float, Array]:
        """Return the log density and its gradient; minus infinity where a parameter overflows."""
        with _double():
            found = np.asarray(_value_and_gradient(self.posterior.likelihood.form)(q, self.blocks, self.data))
        if not np.isfinite(found).all():
            return -np.inf, np.zeros(len(q))
        return float(found[0]), found[1:]

    def fields(self, q: Array) -> tuple[Array, Array, Array]:
        """Return t, w and v at many q, shape (draws, size)."""
        theta, _, size = self.posterior.field.sizes
        moved = self.moved(q)
        return moved[:, :theta], moved[:, theta:theta + size], moved[:, theta + size:-1]

    def moved(self, q: Array) -> Array:
        """Return t, w, v and the log Jacobian determinant of the map from q, shape (draws, size + 1)."""
        out = np.empty((len(q), q.shape[1] + 1))
        with _double():
            for begin in range(0, len(q), PIECE):
                piece = q[begin:begin + PIECE]
                filled = np.concatenate([piece, np.zeros((PIECE - len(piece), q.shape[1]))])
                out[begin:begin + PIECE] = np.asarray(_moved()(filled, self.blocks))[:len(piece)]
        return out


def accelerate(transported: Transported) -> Accelerated:
    """Put a density on JAX's device, and compile it.

    Parameters
    ----------
    transported : Transported
        The same density as the processor computes it.

    Raises
    ------
    EngineError
        The family or the field has something that JAX or the dense blocks do not know, or the device computes another density.
    """
    import jax

    posterior = transported.posterior
    likelihood, field = posterior.likelihood, posterior.field
    blocks = blocks_of(posterior.layout, field.hyper, transported.reference, likelihood.pattern)
    device = jax.devices()[0]
    with _double():
        there, data = jax.device_put((blocks, likelihood.data), device)
    found = Accelerated(posterior, there, data, f"{device.platform} ({device.device_kind})")
    _hold_to_the_processor(found, transported.size)
    return found


def _hold_to_the_processor(found: Accelerated, size: int) -> None:
    """Hold the density, less its Jacobian, to the one that is compiled for the processor."""
    q = 0.3 * np.cos(np.arange(size, dtype=np.float64))[None]
    t, w, v = (each[0] for each in found.fields(q))
    value, expected = found(q[0])[0] - found.moved(q)[0, -1], found.posterior.log_joint(t, w, v)
    if not abs(value - expected) <= AGREE * (1.0 + abs(expected)):
        raise EngineError(
            f"the log density is {value:.10g} on {found.device} and {expected:.10g} on the processor", value=value,
            rule="both are the same but for rounding in double precision", fix="Use engine='nuts'.")


def _double() -> AbstractContextManager[Any]:
    """Return what sets JAX to double precision in this thread, for as long as it is entered."""
    import jax

    found: AbstractContextManager[Any] = jax.enable_x64(new_val=True)
    return found


@lru_cache(maxsize=128)
def _value_and_gradient(form: Form) -> Callable[..., Tensor]:
    """Return the function of (q, blocks, data) to the log density and its gradient, one array."""
    import jax
    import jax.numpy as jnp

    likelihood = log_likelihood(form)

    def log_density(q: Tensor, blocks: Blocks, data: tuple[Tensor, ...]) -> Tensor:
        return _log_density(q, blocks, data, likelihood)

    def both(q: Tensor, blocks: Blocks, data: tuple[Tensor, ...]) -> Tensor:
        value, gradient = jax.value_and_grad(log_density)(q, blocks, data)
        return jnp.concatenate([value[None], gradient])

    found: Callable[..., Tensor] = jax.jit(both)
    return found


@lru_cache(maxsize=1)
def _moved() -> Callable[..., Tensor]:
    """Return the function of (q, blocks) to t, w, v and the log Jacobian determinant at many q."""
    import jax
    import jax.numpy as jnp

    def one(q: Tensor, blocks: Blocks) -> Tensor:
        t, turned = _turned(q, blocks)
        moved = forward(blocks, t, evaluate(t, blocks.hyper)[0], q[len(t):])
        w = whole(moved)
        return jnp.concatenate([t, w[blocks.place_sparse], w[blocks.place_core], (moved.log_jacobian + turned)[None]])

    found: Callable[..., Tensor] = jax.jit(lambda q, blocks: jax.lax.map(lambda each: one(each, blocks), q))
    return found


def _log_density(q: Tensor, blocks: Blocks, data: tuple[Tensor, ...], likelihood: LogLikelihood) -> Tensor:
    t, turned = _turned(q, blocks)
    theta, hyperprior = evaluate(t, blocks.hyper)
    moved = forward(blocks, t, theta, q[len(t):])
    eta = predictors(blocks, moved)[:, blocks.pattern]
    value: Tensor = likelihood(eta, theta[blocks.constant_theta], data)
    return value + hyperprior + log_prior(blocks, theta, moved) + moved.log_jacobian + turned


def _turned(q: Tensor, blocks: Blocks) -> tuple[Tensor, Tensor]:
    """Return the hyperparameters on the real line, and log |turn|."""
    import jax.numpy as jnp

    t: Tensor = blocks.t + blocks.turn @ q[:len(blocks.t)]
    return t, jnp.sum(jnp.log(jnp.diagonal(blocks.turn)))
