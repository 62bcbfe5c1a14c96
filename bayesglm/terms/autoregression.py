"""Autoregression: a stationary AR(1), errors that remember the last one.

    x_t = rho x_{t-1} + e_t,      e_t ~ Normal(0, sd^2 (1 - rho^2)),      x_1 ~ Normal(0, sd^2)

over a regular grid with gaps as latent nodes; sd is the standard deviation of x itself. The precision of a path is
tridiagonal. A level of ``by`` that the fit has not seen starts from the stationary distribution.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytensor.tensor as pt
import scipy.sparse as sp
from pytensor.tensor.variable import TensorVariable

from bayesglm.data.table import Table
from bayesglm.formula import Call, Option, Signature
from bayesglm.priors import HalfNormal, Uniform
from bayesglm.terms.curves import scale_of
from bayesglm.terms.paths import code_paths, continue_paths, grid_of, learn_paths, path_labels
from bayesglm.terms.term import Array, Block, Coded, Context, Hyperparameter, Path, State, Term, Theta

AUTOREGRESSION = Signature(
    "ar", "structured", nests=False, note="a stationary autoregression of order 1 over time",
    options=(Option("by", ("column",), default=None),),
)


def learn_autoregression(node: Call, table: Table, context: Context) -> State:  # noqa: ARG001
    """Learn the grid of times and the levels."""
    return learn_paths(node, table, by=AUTOREGRESSION.settings(node)["by"], least=2)


def autoregression_block(state: State) -> Block:
    """Return the prior of the autoregressive paths."""
    name, nodes, paths = str(state["name"]), grid_of(state).nodes, len(state["levels"])
    return Block(
        name=name, levels=path_labels(state), effects=("value",),
        level_dim=f"{name}_level", effect_dim=f"{name}_effect", role="walk", innovations=(paths * nodes, 1),
        path=Path(paths, nodes, order=0),
        hyperparameters=(
            scale_of(name, HalfNormal(1.0)), Hyperparameter("rho", f"rho_{name}", "rho", (), Uniform(-1.0, 1.0)),
        ),
        state=lambda z, theta: autoregression_state(z, theta, paths, nodes),
        precision=lambda theta: sp.kron(sp.eye_array(paths), path_precision(theta, nodes), format="csc"),
        extend=lambda rng, x, theta, added: extend(rng, x, theta, added, state),
    )


def autoregression_state(z: TensorVariable, theta: Theta, paths: int, nodes: int) -> TensorVariable:
    """Return x = Lambda z by doubling.

    The sum x_t = sum_{j < t} rho^j e_{t-j} is the product of all (1 + rho^(2^k) B^(2^k)), k = 0, 1, ..., with B the
    shift back in time: exact, in as many vector operations as the number of nodes has binary digits.
    """
    spread = np.ones(nodes)
    spread[0] = 0.0
    innovation = pt.sqrt(1.0 - spread * theta["rho"] ** 2)
    path = z.reshape((paths, nodes)) * innovation
    for k, power in enumerate(doubled_powers(theta["rho"], nodes)):
        path = pt.inc_subtensor(path[:, 2**k :], power * path[:, : -(2**k)])
    return (theta["sd"] * path).reshape((paths * nodes, 1))


def doubled_powers(rho: TensorVariable, nodes: int) -> list[TensorVariable]:
    """Return rho^(2^k) for 2^k below the number of nodes.

    Squares of squares would be rewritten into one product of thousands of factors, which numba cannot compile. The
    first two are no powers because the second derivative of a power is 0/0 at rho = 0.
    """
    steps = (nodes - 1).bit_length()
    high = pt.power(rho, 2.0 ** np.arange(2, max(steps, 3)))
    return [rho, rho * rho, *(high[i] for i in range(steps - 2))][:steps]


def path_precision(theta: Mapping[str, Array], nodes: int) -> sp.dia_array:
    """Return the tridiagonal precision of one path."""
    sd, rho = np.asarray(theta["sd"]).item(), np.asarray(theta["rho"]).item()
    middle = [1.0, *[1 + rho**2] * (nodes - 2), 1.0]
    beside = [-rho] * (nodes - 1)
    return sp.diags_array([beside, middle, beside], offsets=[-1, 0, 1]) / (sd**2 * (1 - rho**2))


def extend(
    rng: np.random.Generator, x: Array, theta: Mapping[str, Array], added: tuple[str, ...], state: State
) -> Array:
    """Draw x_{t+m} given x_t ~ Normal(rho^m x_t, sd^2 (1 - rho^(2m))), one after the other."""
    sd, rho = (np.asarray(theta[key])[:, None, None] for key in ("sd", "rho"))

    def jump(rng: np.random.Generator, current: Array, steps: int) -> Array:
        return rho**steps * current + sd * np.sqrt(1 - rho ** (2 * steps)) * rng.standard_normal(current.shape)

    def start(rng: np.random.Generator, draws: int, paths: int) -> Array:
        return sd * rng.standard_normal((draws, paths, 1))

    return continue_paths(rng, x, added, state, order=1, jump=jump, start=start)


MEMBER = Term(
    name="ar", learn=learn_autoregression, code=lambda state, table: Coded(bases=(code_paths(state, table),)),
    blocks=lambda state: (autoregression_block(state),), signatures=(AUTOREGRESSION,),
    source="Rue and Held (2005), Gaussian Markov Random Fields, section 1.1.1",
)
