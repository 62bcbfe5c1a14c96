"""Scales: the scales of single coefficients as functions of the hyperparameters, and the way back.

    s_j = a_j / sqrt(1 + slab a_j^2),      log a_j = constant_j + sum_k power_jk log theta_k + other_jk log(1 - theta_k)

See `bayesglm.own_scales.OwnScales`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesglm.latent.kernel import kernel
from bayesglm.latent.layout import Layout

Array = NDArray[np.float64]


@kernel
def own_scales(layout: Layout, theta: Array) -> Array:
    """Return s, shape (A,)."""
    found = _before_slab(layout, theta)
    for j in range(len(found)):
        if layout.own_slab[j] >= 0:
            found[j] /= np.sqrt(1.0 + theta[layout.own_slab[j]] * found[j] * found[j])
    return found


@kernel
def own_scales_back(layout: Layout, theta: Array, d_scales: Array, d_theta: Array) -> None:
    """Add the gradient in theta, given the one in s."""
    if not len(d_scales):
        return
    a = _before_slab(layout, theta)
    for j in range(len(a)):
        along = d_scales[j] * a[j]  # d_scales s, and then the slope in log a
        if layout.own_slab[j] >= 0:
            slab = layout.own_slab[j]
            left = 1.0 / (1.0 + theta[slab] * a[j] * a[j])
            along *= np.sqrt(left)
            d_theta[slab] -= 0.5 * along * a[j] * a[j] * left
            along *= left
        for k in range(layout.own_begin[j], layout.own_end[j]):
            x = theta[layout.own_theta[k]]
            slope = layout.own_power[k] / x
            if layout.own_other[k] != 0.0:
                slope -= layout.own_other[k] / (1.0 - x)
            d_theta[layout.own_theta[k]] += along * slope


@kernel
def _before_slab(layout: Layout, theta: Array) -> Array:
    """Return a."""
    found = np.exp(layout.own_constant)
    if not len(found):
        return found
    powers, others = np.zeros(len(theta)), np.zeros(len(theta))
    for k in range(len(layout.own_theta)):
        i = layout.own_theta[k]
        if powers[i] == 0.0:
            powers[i] = np.log(theta[i])
        if layout.own_other[k] != 0.0 and others[i] == 0.0:
            others[i] = np.log1p(-theta[i])
    for j in range(len(found)):
        total = layout.own_constant[j]
        for k in range(layout.own_begin[j], layout.own_end[j]):
            total += layout.own_power[k] * powers[layout.own_theta[k]] + layout.own_other[k] * others[layout.own_theta[k]]
        found[j] = np.exp(total)
    return found
