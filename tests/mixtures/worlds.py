"""Simulated tables whose components are known."""

from __future__ import annotations

import numpy as np


def separated(count, size, rows, seed, distance=5.0):
    """Return a table of Gaussian components at least ``distance`` apart (Mahalanobis), with weights of at least 0.02."""
    table, labels, _, _ = known(count, size, rows, seed, distance)
    return table, labels


def known(count, size, rows, seed, distance=5.0):
    """Return such a table with the labels of its rows, and the weights and means behind it."""
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(count, 3.0)) * (1 - 0.02 * count) + 0.02
    turned = [np.linalg.qr(rng.normal(size=(size, size)))[0] for _ in range(count)]
    roots = [each * rng.uniform(0.3, 1, size) for each in turned]
    side, means = distance * count ** (1 / size) * 1.3, []
    while len(means) < count:
        mean = rng.uniform(0, side, size)
        if all(np.linalg.norm(mean - other) >= distance for other in means):
            means.append(mean)
        side *= 1.002
    labels = rng.choice(count, rows, p=weights / weights.sum())
    x = np.array(means)[labels] + np.einsum("nij,nj->ni", np.array(roots)[labels], rng.normal(size=(rows, size)))
    return {f"x{j}": x[:, j] for j in range(size)}, labels, weights, np.array(means)


def mixed(rows, seed):
    """Return a table with two kinds of rows in a Gaussian, a count, a boolean and a string column."""
    rng = np.random.default_rng(seed)
    slow = rng.random(rows) < 0.3
    return {"latency_ms": np.exp(rng.normal(np.where(slow, 6.0, 3.0), 0.3)), "restarts": rng.poisson(np.where(slow, 8.0, 1.0)),
            "cold": rng.random(rows) < np.where(slow, 0.9, 0.1),
            "zone": np.array(["a", "b", "c"])[rng.integers(0, 3, rows)]}, slow
