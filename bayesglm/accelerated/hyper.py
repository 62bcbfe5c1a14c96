"""Hyper: the hyperparameters theta and their log prior on JAX; the derivation stands in `bayesglm.latent.hyper`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bayesglm.latent.hyper import INTERVAL, LOGARITHM, SIGNED

if TYPE_CHECKING:
    from jax import Array


def log_density(x: Array, terms: Array) -> Array:
    """Return log densities at x, shape (n,), for a `bayesglm.log_density.LogDensity` in each row of the terms, (n, 9)."""
    import jax.numpy as jnp

    constant, location, linear, quadratic, absolute, log, complement, tail, tail_scale = terms.T
    d = x - location
    # A logarithm that a density does not have is taken of 1, so that it has no derivative either.
    of_log, of_complement = jnp.where(log == 0.0, 1.0, x), jnp.where(complement == 0.0, 0.0, x)
    of_tail = jnp.where(tail == 0.0, 0.0, d / tail_scale)
    return (constant + linear * x + quadratic * d * d + absolute * jnp.abs(d) + log * jnp.log(of_log)
            + complement * jnp.log1p(-of_complement) + tail * jnp.log1p(of_tail**2))


def evaluate(t: Array, hyper: Any) -> tuple[Array, Array]:
    """Return theta, shape (theta,), and the log prior of t, Jacobians included; `Hyper` stands on the device."""
    import jax.numpy as jnp

    logarithm, interval = hyper.way == LOGARITHM, hyper.way == INTERVAL
    positive = jnp.exp(jnp.where(logarithm, t, 0.0))
    inside, log_inside = _interval(jnp.where(interval, t, 0.0), hyper)
    signed = hyper.unit * t
    theta = jnp.where(interval, inside, jnp.where(logarithm, positive, signed))
    on_line = log_density(jnp.where(hyper.way == SIGNED, jnp.abs(signed), positive), hyper.density) + jnp.where(logarithm, t, 0.0)
    return theta, jnp.sum(jnp.where(interval, log_inside, on_line))


def _interval(t: Array, hyper: Any) -> tuple[Array, Array]:
    """Return theta on an interval and the log prior of t; the beta densities stand on (0, 1)."""
    import jax
    import jax.numpy as jnp

    constant, log, complement = hyper.density.T[jnp.array([0, 5, 6])]
    log_share, log_other, width = jax.nn.log_sigmoid(t), jax.nn.log_sigmoid(-t), hyper.upper - hyper.lower
    value = constant + (log + 1.0) * log_share + (complement + 1.0) * log_other + jnp.log(width)
    return hyper.lower + width * jax.nn.sigmoid(t), value
