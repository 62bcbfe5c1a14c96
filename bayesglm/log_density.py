"""Log densities of single parameters as sums of elementary functions: what compiled code needs to know of a prior."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

LOG_ROOT_TWO_PI = float(0.5 * np.log(2 * np.pi))


class LogDensity(NamedTuple):
    """The log density of a scalar prior as a sum of elementary functions, for compiled code that must know no names.

    log p(x) = constant + linear x + quadratic d^2 + absolute |d| + log log(x) + complement log(1 - x)
    + tail log(1 + (d / tail_scale)^2), with d = x - location.
    """

    constant: float
    location: float = 0.0
    linear: float = 0.0
    quadratic: float = 0.0
    absolute: float = 0.0
    log: float = 0.0
    complement: float = 0.0
    tail: float = 0.0
    tail_scale: float = 1.0

    @property
    def gaussian(self) -> bool:
        """Whether this is a normal density on the whole line."""
        return self.quadratic < 0 and not any((self.linear, self.absolute, self.log, self.complement, self.tail))

    @property
    def reference_sd(self) -> float:
        """The sd of a normal density that resembles it near its location, or of an exponential one where it has no curvature."""
        curvature = -2 * self.quadratic + self.absolute**2 / 2 - 2 * self.tail / self.tail_scale**2
        return float(1 / np.sqrt(curvature) if curvature > 0 else 1 / abs(self.linear or 1.0))


def student_t(nu: float, mu: float, sigma: float) -> LogDensity:
    """Return the log density of Student's t."""
    constant = special.gammaln((nu + 1) / 2) - special.gammaln(nu / 2) - np.log(nu * np.pi) / 2 - np.log(sigma)
    return LogDensity(float(constant), location=mu, tail=-(nu + 1) / 2, tail_scale=sigma * float(np.sqrt(nu)))
