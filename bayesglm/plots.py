"""Plots of a fit, drawn by ArviZ: each takes a fit and returns an arviz-plots collection; `svg` makes it text.

Intervals are 90 % unless said otherwise, axes carry the names of the data. Plots against the data use the rows of the
likelihood, rows with a weight repeated by it.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesglm.checks.convergence import diagnostics, entries
from bayesglm.checks.replicates import collect, units_of
from bayesglm.errors import OptionError, unknown
from bayesglm.fitted import Fitted
from bayesglm.predict import LEVEL, check_level

if TYPE_CHECKING:
    from arviz_plots import PlotCollection
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
SAMPLES = 200
MOST_NUMBERS = 2**24  # predictive draws times rows in one tree
FEWEST_SAMPLES = 50
MOST_BARS = 40  # of a rootogram
MOST_TRACES = 8
MOST_LEVELS = 40  # of a forest of group effects
INNER = 0.5  # thick part of an interval


def posterior_predictive_tree(fitted: Fitted, *, seed: int = 0, samples: int = SAMPLES) -> xr.DataTree:
    """Return observed responses and predictive draws of them, as ArviZ's predictive plots want them.

    Parameters
    ----------
    fitted : Fitted
        The posterior, with its data.
    seed : int
        The same seed gives the same draws.
    samples : int
        Number of posterior draws; fewer where the rows are very many.

    Returns
    -------
    xarray.DataTree
        Groups ``posterior_predictive`` (dims chain, draw, obs; one chain) and ``observed_data`` (dim obs).

    Examples
    --------
    >>> import bayesglm as bg
    >>> pumps = bg.load_dataset("pump_failures")
    >>> model = bg.Model("failures ~ 1", pumps, family="poisson", exposure="operation_time")
    >>> fit = model.fit(seed=1, draws=50, tune=200, progress=False)
    >>> posterior_predictive_tree(fit, samples=100)["posterior_predictive"]["failures"].shape
    (1, 100, 10)
    """
    units, name = units_of(fitted.data()), fitted.specification.roles.response
    most = max(FEWEST_SAMPLES, MOST_NUMBERS // max(units.size, 1))
    drawn = collect(fitted, units, seed, lambda each: {"y": each.drawn}, samples=min(samples, most))["y"]
    kind = np.int64 if fitted.specification.family.support.discrete else np.float64
    return _tree(name, units.observed.astype(kind), drawn.astype(kind))


def _tree(name: str, observed: NDArray[Any], drawn: NDArray[Any]) -> xr.DataTree:
    obs = np.arange(len(observed))
    return xr.DataTree.from_dict({
        "posterior_predictive": xr.Dataset({name: (("chain", "draw", "obs"), drawn[None])},
                                           {"chain": [0], "draw": np.arange(len(drawn)), "obs": obs}),
        "observed_data": xr.Dataset({name: ("obs", observed)}, {"obs": obs}),
    })


def rootogram(fitted: Fitted, *, seed: int = 0, samples: int = SAMPLES, level: float = LEVEL) -> PlotCollection:
    """Plot how often each count was observed, against how often it is predicted, on the square root scale.

    Where counts are large, neighbouring ones are put together in steps of equal width.

    Parameters
    ----------
    fitted : Fitted
        The posterior of a count model, with its data.
    seed, samples : int
        Of the predictive draws.
    level : float
        Probability of the predictive intervals.

    Raises
    ------
    OptionError
        The response is no count.
    """
    import arviz_plots as azp

    check_level(level)
    name, kind = fitted.specification.roles.response, fitted.specification.family.support.kind
    if kind not in ("count", "successes"):
        raise OptionError(f"a rootogram of a {kind} response", column=name, value=kind,
                          rule="a rootogram compares frequencies of counts", fix="Use pit() or calibration().")
    tree = posterior_predictive_tree(fitted, seed=seed, samples=samples)
    observed, drawn = tree["observed_data"][name].to_numpy(), tree["posterior_predictive"][name].to_numpy()[0]
    low = int(min(observed.min(), drawn.min()))
    high = int(max(observed.max(), np.quantile(drawn.max(axis=1), (1 + level) / 2)))
    step = max(1, -(-(high - low + 1) // MOST_BARS))
    binned = _tree(name, _floor(observed, low, step), _floor(np.minimum(drawn, high), low, step))
    return azp.plot_ppc_rootogram(
        binned, ci_prob=level, backend="matplotlib",
        visuals={"title": False, "xlabel": {"text": name if step == 1 else f"{name}, in steps of {step}"},
                 "ylabel": {"text": f"rows (dots observed, bars {level:.0%} predicted)"}},
        figure_kwargs={"figsize": (7.0, 3.6)},
    )


def _floor(values: NDArray[Any], low: int, step: int) -> NDArray[Any]:
    """Return the lower end of each value's step."""
    return low + (values - low) // step * step


def pit(fitted: Fitted, *, seed: int = 0, samples: int = SAMPLES, level: float = LEVEL) -> PlotCollection:
    """Plot the distribution of the observed responses' ranks among their predictions (probability integral transform).

    They are uniform under the model, and the line stays near 0; where it does not, points mark what is off. Ranks of
    whole numbers are drawn at random between ties.

    Parameters
    ----------
    fitted : Fitted
        The posterior, with its data.
    seed, samples : int
        Of the predictive draws and of the ties.
    level : float
        One minus the probability of marking anything under the model.

    Raises
    ------
    OptionError
        The response is yes or no, or a category, whose ranks are ties throughout.
    """
    import arviz_plots as azp

    check_level(level)
    name, kind = fitted.specification.roles.response, fitted.specification.family.support.kind
    if kind in ("binary", "category"):
        raise OptionError(f"ranks of a {kind} response", column=name, value=kind,
                          rule="ranks need a response with several ordered values", fix="Use calibration().")
    units = units_of(fitted.data())
    ranks = collect(fitted, units, seed, lambda each: {
        "below": (each.drawn < units.observed).astype(np.float64),
        "ties": (each.drawn == units.observed).astype(np.float64),
    }, samples=samples)
    below, ties = ranks["below"].mean(axis=0), ranks["ties"].mean(axis=0)
    value = below + ties * np.random.default_rng(seed).uniform(size=units.size)
    tree = xr.DataTree.from_dict({"pit": xr.Dataset({name: ("obs", np.clip(value, 0.0, 1.0))},
                                                    {"obs": np.arange(units.size)})})
    return azp.plot_ecdf_pit(
        tree, group="pit", sample_dims=["obs"], method="pot_c", envelope_prob=level, backend="matplotlib",
        visuals={"title": False, "xlabel": {"text": f"rank of {name} among its predictions (PIT)"},
                 "ylabel": {"text": "cumulative share minus expected"}, "remove_axis": False, "p_value_text": False},
        figure_kwargs={"figsize": (7.0, 3.2)},
    )


def calibration(fitted: Fitted, *, seed: int = 0, samples: int = SAMPLES, level: float = LEVEL) -> PlotCollection:
    """Plot how often the event happened against its predicted probability, by isotonic regression.

    Parameters
    ----------
    fitted : Fitted
        The posterior of a yes or no response, with its data.
    seed, samples : int
        Of the predictive draws.
    level : float
        Probability of the band.

    Raises
    ------
    OptionError
        The response is not yes or no.
    """
    import arviz_plots as azp

    check_level(level)
    name, kind = fitted.specification.roles.response, fitted.specification.family.support.kind
    if kind != "binary":
        raise OptionError(f"calibration of a {kind} response", column=name, value=kind,
                          rule="predicted probabilities belong to a yes or no response", fix="Use pit().")
    tree = posterior_predictive_tree(fitted, seed=seed, samples=samples)
    return azp.plot_ppc_pava(
        tree, data_type="binary", ci_prob=level, backend="matplotlib",
        visuals={"title": False, "xlabel": {"text": f"predicted probability of {name}"},
                 "ylabel": {"text": f"share of {name} observed"}},
        figure_kwargs={"figsize": (4.5, 4.0)},
    )


def forest(fitted: Fitted, *, group: str | None = None, level: float = LEVEL) -> PlotCollection:
    """Plot posterior intervals of coefficients, or of the effects of a group, on the link scale.

    Parameters
    ----------
    fitted : Fitted
        The posterior.
    group : str, optional
        Name of a block (``"service"``) whose effects are shown, sorted by the mean of the first of them; of very many
        levels the ones furthest from 0. The common coefficients without it.
    level : float
        Probability of the outer intervals; the inner ones hold half.

    Raises
    ------
    OptionError
        There is nothing of the kind to plot.
    """
    check_level(level)
    parts = _coefficients(fitted) if group is None else _effects(fitted, group)
    return _forest(parts, level)


def _coefficients(fitted: Fitted) -> dict[str, Array]:
    found: dict[str, Array] = {}
    for predictor in fitted.specification.predictors:
        if predictor.coef:
            labels, values = entries(fitted, predictor.name("beta"))
            start = len(predictor.name("beta")) + 1
            prefix = f"{predictor.parameter}: " if predictor.prefix else ""
            found |= {prefix + label[start:-1]: values[:, :, j] for j, label in enumerate(labels)}
    if not found:
        raise OptionError("no common coefficients", rule="a forest shows coefficients", fix="Name a group with group=.")
    return found


def _effects(fitted: Fitted, group: str) -> dict[str, Array]:
    blocks = {predictor.name(block.name): (predictor.name(f"effect_{block.name}"), block)
              for predictor in fitted.specification.predictors for block in predictor.blocks}
    if group not in blocks:
        raise unknown("group", group, blocks)
    name, block = blocks[group]
    draws = fitted.draws["posterior"][name].transpose("chain", "draw", ...).to_numpy()
    means = draws[..., 0].mean(axis=(0, 1))
    order = np.argsort(means, kind="stable")
    if len(order) > MOST_LEVELS:
        far = set(np.argsort(-np.abs(means), kind="stable")[:MOST_LEVELS].tolist())
        order = np.array([each for each in order if int(each) in far])
    several = len(block.effects) > 1
    return {f"{block.levels[i]}: {effect}" if several else block.levels[i]: draws[:, :, i, j]
            for j, effect in enumerate(block.effects) for i in order}


def _forest(parts: Mapping[str, Array], level: float) -> PlotCollection:
    import arviz_plots as azp

    labels = list(parts)
    values = np.stack([parts[label] for label in labels], axis=-1)
    effects = xr.Dataset({"effect": (("chain", "draw", "of"), values)}, {"of": labels})
    tree = xr.DataTree.from_dict({"posterior": effects})
    made = azp.plot_forest(
        tree, combined=True, ci_kind="eti", ci_probs=(INNER, level), point_estimate="mean", backend="matplotlib",
        labels=["of"], aes={"color": False}, figure_kwargs={"figsize": (7.0, 1.0 + 0.26 * len(labels))},
    )
    names, axes = made.viz["figure"].item().axes
    names.set_xticks([])
    names.spines["bottom"].set_visible(False)
    axes.axvline(0.0, color="0.6", linewidth=1.0, zorder=0)
    axes.set_xlabel(f"effect on the link scale (mean, {INNER:.0%} and {level:.0%})")
    return made


def trace(fitted: Fitted, *, names: Sequence[str] | None = None) -> PlotCollection:
    """Plot densities and traces of parameters, chain by chain.

    Parameters
    ----------
    fitted : Fitted
        The posterior.
    names : sequence of str, optional
        Entries such as ``"Intercept"`` or ``"beta[deploy]"``; without it the worst by ESS, at most 8.

    Raises
    ------
    OptionError
        A name the fit does not have.
    """
    import arviz_plots as azp

    found: dict[str, Array] = {}
    for variable, state in fitted.specification.reported().items():
        if names is not None or not state:
            labels, values = entries(fitted, variable)
            found |= {label: values[:, :, j] for j, label in enumerate(labels)}
    for name in names or ():
        if name not in found:
            raise unknown("parameter", name, found)
    chosen = list(names) if names is not None else _worst(fitted, list(found))
    chains, draws = fitted.shape
    tree = xr.DataTree.from_dict({"posterior": xr.Dataset(
        {name.replace("/", "\u2215"): (("chain", "draw"), found[name]) for name in chosen},  # a tree has no slash in a name
        {"chain": np.arange(chains), "draw": np.arange(draws)},
    )})
    return azp.plot_trace_dist(tree, backend="matplotlib", compact=True,
                               figure_kwargs={"figsize": (8.0, 1.5 * len(chosen) + 0.4), "layout": "constrained"})


def _worst(fitted: Fitted, labels: Sequence[str]) -> list[str]:
    table = diagnostics(fitted).set_index("parameter").loc[list(labels)]
    order = np.argsort(table["ess_bulk"].to_numpy(), kind="stable")[:MOST_TRACES]
    return [label for i, label in enumerate(labels) if i in set(order.tolist())]


def svg(plot: PlotCollection) -> str:
    """Return a plot as SVG text and close it; the same plot gives the same text each time.

    Parameters
    ----------
    plot : PlotCollection
        From one of the functions here, or from arviz-plots with the matplotlib backend.
    """
    import matplotlib.pyplot as plt

    figure: Figure = plot.viz["figure"].item()
    text = figure_svg(figure)
    plt.close(figure)
    return text


def figure_svg(figure: Figure) -> str:
    """Return a matplotlib figure as SVG text; the same figure gives the same text each time."""
    from matplotlib import rc_context

    buffer = io.StringIO()
    with rc_context({"svg.hashsalt": "bayesglm", "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg"):]
