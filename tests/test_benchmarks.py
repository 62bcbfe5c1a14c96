"""The benchmarks compare like with like: peers' models have our model's density, and the arithmetic of the table is right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pymc as pm
import pytest

from benchmarks.handwritten import write
from benchmarks.prepared import Ingredients, LinearPredictor, ingredients
from benchmarks.workloads import WORKLOADS

# One of each kind, with fewer rows.
KINDS = {"telemetry-nb-2000": 300, "zero-inflated-nb": 300, "crossed-logistic": 300, "random-walk-1000": 30, "horseshoe-200": 300}


def density(model: pm.Model, point: dict[str, np.ndarray]) -> float:
    """Log density of the parameters themselves, without the Jacobians of their transforms, which differ in name only."""
    value = {name: model.rvs_to_values[model[name]] for name in point}
    inputs = [value[name] for name in point]
    transformed = {name: model.rvs_to_transforms[model[name]] for name in point}
    arguments = [
        np.asarray(point[name] if transformed[name] is None
                   else transformed[name].forward(point[name], *model[name].owner.inputs).eval(mode="FAST_COMPILE"))
        for name in point
    ]
    return float(model.compile_fn(model.logp(jacobian=False), inputs=inputs, point_fn=False, mode="FAST_COMPILE")(*arguments))


def same_point(parts: Ingredients, rng: np.random.Generator, form: str) -> tuple[dict, dict, float]:
    """Return one point in the coordinates of our model and of a handwritten one, and log |d ours / d theirs|."""
    ours, theirs = {}, {}
    for name in parts.constants:
        ours[name] = theirs[name] = np.array(rng.uniform(1, 2))
    jacobian = sum(_predictor_point(each, rng, form, ours, theirs) for each in parts.predictors)
    return ours, theirs, jacobian


def _predictor_point(each: LinearPredictor, rng: np.random.Generator, form: str, ours: dict, theirs: dict) -> float:
    p, jacobian = each.prefix, 0.0
    centre, scale = np.array(each.centre), np.array(each.scale)
    level = rng.normal()
    ours[f"{p}Intercept_centered" if each.coef else f"{p}Intercept"] = np.array(level)
    moved = [e for e in {e for b in each.blocks if b.role == "group" for e in b.effects} if form == "hierarchical"]
    scaled = rng.normal(size=len(each.coef)) * 0.3
    kept = [j for j, name in enumerate(each.coef) if name not in moved]
    population = {name: scaled[j] / scale[j] for j, name in enumerate(each.coef)}
    for j, name in enumerate(each.coef):
        if name in moved:  # the slope per unit of its column, where ours is per sd
            theirs[f"{p}slope_{name}"] = np.array(population[name])
            jacobian += np.log(scale[j])
            level = level - centre[j] * population[name]
    population["Intercept"] = level
    if each.coef and each.priors[0]["prior"] == "horseshoe":
        jacobian += _horseshoe_point(f"{p}beta_scaled", each, rng, form, ours, theirs)
    elif each.coef:
        ours[f"{p}beta_scaled"] = scaled
        theirs[f"{p}beta_scaled"] = scaled[kept]
    walks = [block for block in each.blocks if block.role == "walk"]
    if not (walks and form == "hierarchical"):
        theirs[f"{p}level"] = np.array(level)
    claimed: set[str] = set()
    for block in sorted(each.blocks, key=lambda b: b.levels):
        sd, rows = rng.uniform(0.5, 1.5, len(block.effects)), block.levels - (block.role == "walk")
        z = rng.normal(size=(rows, len(block.effects)))
        ours[f"{p}z_{block.name}"] = z
        ours[f"{p}{block.sd}"] = sd if block.role == "group" else sd[0]
        if block.role == "walk":
            theirs[f"{p}{block.sd}"] = sd[0]
            path = np.concatenate([[0.0], sd[0] * np.cumsum(z[:, 0])])
            theirs |= {f"{p}{block.name}_w": level + path - path.mean()} if form == "hierarchical" else {
                f"{p}{block.name}_z": z[:, 0]}
            jacobian -= rows * np.log(sd[0]) * (form == "hierarchical")
            continue
        for q, effect in enumerate(block.effects):
            theirs[f"{p}{block.sd}_{effect}"] = sd[q]
            mean = population[effect] if effect in moved and effect not in claimed else 0.0
            claimed.add(effect)
            theirs |= {f"{p}{block.name}_z_{effect}": z[:, q]} if form == "noncentred" else {
                f"{p}{block.name}_u_{effect}": mean + sd[q] * z[:, q]}
            jacobian -= rows * np.log(sd[q]) * (form != "noncentred")
    return float(jacobian)


def _horseshoe_point(name: str, each: LinearPredictor, rng: np.random.Generator, form: str, ours: dict, theirs: dict) -> float:
    tau, local, slab, z = 0.2, rng.uniform(0.5, 2, len(each.coef)), 1.5, rng.normal(size=len(each.coef))
    shared = {f"{name}_tau": np.array(tau), f"{name}_lambda": local, f"{name}_slab": np.array(slab)}
    width = tau * local * np.sqrt(slab / (slab + (tau * local) ** 2))
    ours |= {**shared, f"{name}_z": z}
    theirs |= {**shared, **({f"{name}_z": z} if form == "noncentred" else {name: z * width})}
    return 0.0 if form == "noncentred" else -float(np.log(width).sum())


@pytest.mark.parametrize("name", KINDS)
def test_peers_models_have_our_models_density(name):
    workload = replace(WORKLOADS[name], rows=KINDS[name])
    model = workload.model(workload.table())
    parts = ingredients(model)
    for form in ("noncentred", "hierarchical"):
        ours, theirs, jacobian = same_point(parts, np.random.default_rng(5), form)
        expected = density(model.pymc, ours) + jacobian
        np.testing.assert_allclose(density(write(parts, form), theirs), expected, rtol=1e-9)


def test_a_peers_model_with_another_prior_has_another_density():
    workload = replace(WORKLOADS["small"])
    parts = ingredients(workload.model(workload.table()))
    ours, theirs, _ = same_point(parts, np.random.default_rng(5), "noncentred")
    expected = density(workload.model(workload.table()).pymc, ours)
    wider = replace(parts, constants={"concentration": {**parts.constants["concentration"], "sigma": 20.0}})
    assert density(write(parts, "noncentred"), theirs) == pytest.approx(expected, rel=1e-9)
    assert abs(density(write(wider, "noncentred"), theirs) - expected) > 0.1
