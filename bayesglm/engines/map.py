"""Mode: the counterpart of maximum likelihood, with standard errors from the curvature.

Without groups and curves it is the joint mode of coefficients and constant parameters, each on its own scale: with flat priors
the maximum likelihood estimate, with normal priors ridge regression, with Laplace priors the lasso (`bayesglm.latent.penalised`).

With them a joint mode says little, for it depends on how effects are written, in their units or in sds. There, hyperparameters
and constant parameters are at the mode of their Laplace marginal, on their own scale, and coefficients and effects at their mode
given these: with flat priors, restricted maximum likelihood.

The draws are normal around the mode with the curvature's covariance, on the real line for what is positive or between bounds.
They are not the posterior, and the verdict says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import optimize

from bayesglm.engines.approximation import dataset, posterior_tree
from bayesglm.engines.engine import Engine, Run
from bayesglm.engines.evaluations import evaluate
from bayesglm.engines.laps import laps
from bayesglm.engines.native import native
from bayesglm.engines.variational import numbers
from bayesglm.engines.verdict import Verdict, judge, smooth
from bayesglm.latent.density import Transported, packed, reference_at
from bayesglm.latent.hyper import thetas
from bayesglm.latent.layout import Field, field_of, reason_against
from bayesglm.latent.likelihood import compile_likelihood
from bayesglm.latent.marginal import Marginal, Optimum, centre, marginal
from bayesglm.latent.mode import Posterior
from bayesglm.latent.penalised import log_speed, penalised_mode
from bayesglm.latent.variables import expand
from bayesglm.specification import Problem

Array = NDArray[np.float64]
Fields = Callable[[Array], tuple[Array, Array, Array]]
NOT_THE_POSTERIOR = "it is a mode with its curvature, not the posterior"
TOLERANCE = 1e-3  # sds
NEWTON_STEPS = 20
STEP = 1e-3
ROWS_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class MAP(Engine):
    """The mode of the posterior, its standard errors, and normal draws around it.

    Parameters
    ----------
    draws, chains : int
        Normal draws around the mode come as so many chains of so many draws each.

    Notes
    -----
    The draws have two more groups: ``mode``, every variable of the model at the mode, and ``standard_error``, by the curvature
    there; NaN for a coefficient that a Laplace prior holds at exactly 0.

    Examples
    --------
    >>> import bayesglm as bg
    >>> table = {"errors": [3, 0, 2, 5], "requests": [10.0, 5.0, 10.0, 20.0]}
    >>> flat = {"Intercept": bg.priors.Normal(0, 1000)}
    >>> model = bg.Model("errors ~ 1", table, "poisson", exposure="requests", priors=flat)
    >>> found = MAP().run(model.problem, seed=1, progress=False).draws
    >>> float(np.exp(found["mode"]["Intercept"])).__round__(6), float(found["standard_error"]["Intercept"]).__round__(6)
    (0.222222, 0.316228)
    """

    draws: int = 250
    chains: int = 4
    name: ClassVar[str] = "map"
    exact: ClassVar[bool] = False
    stats: ClassVar[tuple[str, ...]] = ("lp",)
    source: ClassVar[str] = (
        "Friedman, Hastie and Tibshirani (2010), Journal of Statistical Software 33(1); Kristensen et al. (2016), Journal of "
        "Statistical Software 70(5)")

    def reason_against(self, problem: Problem) -> str:
        """Return why the engine cannot fit this problem; see `Engine.reason_against`."""
        reason = reason_against(problem)
        blocks = [block.name for predictor in problem.specification.predictors for block in predictor.blocks]
        if reason or not blocks:
            return reason
        for predictor in problem.specification.predictors:
            priors = problem.specification.priors.predictors[predictor.parameter]
            other = next((each for each in priors.coef if not each.log_density().gaussian), None)
            if other is not None:
                return f"beside {blocks[0]} the mode needs normal priors of coefficients, and there is {other}"
        return ""

    def run(self, problem: Problem, *, seed: int, progress: bool) -> Run:
        """Find the mode; see `Engine.run`."""
        del progress
        with laps() as clock:
            likelihood = compile_likelihood(problem)
            posterior = Posterior(field_of(problem), likelihood)
            found = marginal_mode(posterior) if posterior.field.placed else joint_mode(posterior)
            clock.end("optimise")
            tree, verdict = self._drawn(found, posterior.field, seed)
            clock.end("expand")
        return Run(tree, clock.seconds, notes=(found.kind,), verdict=verdict)

    def _drawn(self, found: Mode, field: Field, seed: int) -> tuple[xr.DataTree, Verdict]:
        """Return draws of the normal distribution at the mode, with the mode and standard errors, and what to think of them."""
        size = sum(field.sizes)
        count = self.draws * self.chains
        even = count + count % 2
        z = numbers(size, even, np.arange(size if 4 * size <= even else 0), seed)[:count]
        z = np.random.default_rng([seed, 1]).permutation(z)
        t, w, v = found.fields(z)
        lp = found.log_density(z)
        weights = smooth(lp + 0.5 * (z[:, found.varies] ** 2).sum(axis=1))
        verdict = judge(weights, None, correction="", against=(NOT_THE_POSTERIOR, *found.against))
        tree = posterior_tree(field, expand(field, thetas(t, field.hyper), w, v), lp, self.chains)
        mode, error = standard_errors(found.fields, field)
        tree["mode"], tree["standard_error"] = dataset(field, mode), dataset(field, error)
        return tree, verdict


@dataclass(frozen=True, slots=True, eq=False)
class Mode:
    """A mode with its normal approximation.

    Attributes
    ----------
    fields : callable
        Standard normal numbers, shape (draw, size), to t, w and v; at 0 the mode.
    log_density : callable
        The same to the log density of the posterior, shape (draw,).
    varies : bool array, shape (size,)
        Which of the numbers make a difference.
    kind : str
        Which mode it is, in words.
    against : tuple of str
        What went wrong on the way.
    """

    fields: Fields
    log_density: Callable[[Array], Array]
    varies: NDArray[np.bool_]
    kind: str
    against: tuple[str, ...]


def joint_mode(posterior: Posterior) -> Mode:
    """Return the joint mode of coefficients and constant parameters."""
    found = penalised_mode(posterior)
    size = len(found.t)
    values, vectors = np.linalg.eigh(found.covariance)
    against = () if found.distance < TOLERANCE and values[0] > -1e-8 * values[-1] else ("the search did not end at a mode",)
    turn = vectors * np.sqrt(np.maximum(values, 0.0))

    def fields(z: Array) -> tuple[Array, Array, Array]:
        moved = z @ turn.T
        v = found.v + moved[:, size:]
        v[:, found.held] = 0.0
        return found.t + moved[:, :size], np.zeros((len(z), 0)), v

    def log_density(z: Array) -> Array:
        return np.array([posterior.log_joint(*each) for each in zip(*fields(z), strict=True)])

    varies = values > 1e-12 * values[-1]
    return Mode(fields, log_density, varies, "joint mode of coefficients and constant parameters, each on its own scale", against)


def marginal_mode(posterior: Posterior) -> Mode:
    """Return the mode of the Laplace marginal of hyperparameters on their own scale, and of the field given these."""
    hyper = posterior.field.hyper
    _, wide, size = posterior.field.sizes
    last = [(np.zeros(size), np.zeros(wide))]

    def climbed(t: Array) -> tuple[float, Array, Marginal]:
        found = marginal(posterior, t, last[0])
        if np.isfinite(found.value):
            last[0] = (found.point.w, found.point.v)
        jacobian, slope = log_speed(t, hyper)
        return found.value - jacobian, found.gradient - slope, found

    def objective(t: Array) -> tuple[float, Array]:
        value, gradient, _ = climbed(t)
        return -value, -gradient

    t = optimize.minimize(objective, centre(posterior.field), jac=True, method="BFGS", options={"gtol": 1e-4, "maxiter": 300}).x
    value, gradient, found = climbed(t)
    for _ in range(NEWTON_STEPS):
        covariance = _inverse(_hessian(climbed, t))
        step = covariance @ gradient
        distance = float(np.sqrt(max(float(gradient @ step), 0.0)))
        if distance < TOLERANCE:
            break
        new_value, new_gradient, new = climbed(t + step * min(1.0, 2.0 / distance))
        if not new_value > value:
            break
        t, value, gradient, found = new.point.t, new_value, new_gradient, new
    transported = Transported(posterior, reference_at(Optimum(found, covariance, distance)))
    reasons = [] if distance < TOLERANCE else [f"the search ended {distance:.2g} sds away from a mode"]
    if not found.definite:
        reasons.append("the curvature of the posterior is not positive definite at the mode")
    density = native(packed, transported.arrays)
    kind = ("hyperparameters at the mode of their Laplace marginal on their own scale; coefficients and effects at their mode "
            "given these")
    return Mode(transported.fields, lambda z: evaluate(density, z), np.ones(transported.size, np.bool_), kind, tuple(reasons))


def _hessian(climbed: Callable[[Array], tuple[float, Array, Marginal]], t: Array) -> Array:
    """Return minus the Hessian by differences of the gradient."""
    found = np.empty((len(t), len(t)))
    for k in range(len(t)):
        move = np.zeros(len(t))
        move[k] = STEP
        found[k] = (climbed(t - move)[1] - climbed(t + move)[1]) / (2 * STEP)
    return (found + found.T) / 2


def _inverse(hessian: Array) -> Array:
    """Return the inverse with curvatures that are not positive, or far too small, counted as 1."""
    values, vectors = np.linalg.eigh(hessian)
    return np.asarray(vectors / np.where(values > 1e-6, values, 1.0) @ vectors.T)


def standard_errors(fields: Fields, field: Field) -> tuple[Mapping[str, Array], Mapping[str, Array]]:
    """Return every variable of the model at the mode, and its standard error by the delta method.

    se^2 = sum over coordinates of (d variable / d z)^2, by central differences; NaN where a variable that may vary is held.
    """
    def values(z: Array) -> dict[str, Array]:
        t, w, v = fields(z)
        return expand(field, thetas(t, field.hyper), w, v)

    size, step = sum(field.sizes), 1e-4
    mode = {name: each[0] for name, each in values(np.zeros((1, size))).items()}
    squares = {name: np.zeros(each.shape) for name, each in mode.items()}
    for first in range(0, size, ROWS_AT_ONCE):
        some = np.arange(first, min(first + ROWS_AT_ONCE, size))
        moves = np.zeros((len(some), size))
        moves[np.arange(len(some)), some] = step
        ahead, behind = values(moves), values(-moves)
        for name, total in squares.items():
            total += (((ahead[name] - behind[name]) / (2 * step)) ** 2).sum(axis=0)
    return mode, {name: np.where(total > 0, np.sqrt(total), np.nan) for name, total in squares.items()}


MEMBER = MAP()
