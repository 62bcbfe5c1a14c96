"""The truth behind the simulated data set ``service_errors``.

`simulate_service_errors` draws the table from it, and a study of a method holds its estimates against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from types import MappingProxyType

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class ServiceErrorsTruth:
    r"""The parameters from which ``service_errors`` was drawn.

    For service s in hour t, with ``requests`` as the exposure::

        errors ~ NegativeBinomial(mean mu, variance mu + mu^2 / concentration)
        log mu = log requests + log_rate + service_log_rate[s] + season(hour)
                 + deploy log deploy_ratio + incident log incident_ratio
        season(hour) = sum_k  season_cos[k] cos(2 pi k hour / 24) + season_sin[k] sin(2 pi k hour / 24)

    ``region`` has no effect of its own on the rate.

    Parameters
    ----------
    log_rate : float
        Log of errors per request of an average service, averaged over the hours of the day on the log scale.
    service_sd : float
        Standard deviation, on the log scale, of the normal population that the services come from.
    service_log_rate : mapping of str to float
        What each service adds on the log scale; drawn once from that population.
    season_cos, season_sin : tuple of float
        Harmonics k = 1, 2, ... of the hour of day, on the log scale. They sum to zero over the day.
    deploy_ratio : float
        Factor on the rate in an hour with ``deploy`` = 1, the same for every service.
    incident_ratio : float
        Factor on the rate in a row with ``incident`` = 1.
    incident_region : str
        The region whose services all take part in the incident.
    incident_start, incident_end : str
        First hour of the incident, and the first hour after it.
    incident_trigger : str
        The service that deployed in the incident's first hour.
    concentration : float
        Concentration of the negative binomial.
    seed : int
        Seed of the draw.
    """

    log_rate: float
    service_sd: float
    service_log_rate: Mapping[str, float]
    season_cos: tuple[float, ...]
    season_sin: tuple[float, ...]
    deploy_ratio: float
    incident_ratio: float
    incident_region: str
    incident_start: str
    incident_end: str
    incident_trigger: str
    concentration: float
    seed: int

    def season(self, hour: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Give the seasonal effect on the log scale.

        Parameters
        ----------
        hour : array_like
            Hour of day, 0 to 23.

        Returns
        -------
        ndarray
            The effect at each hour.

        Examples
        --------
        >>> TRUTH.season([3, 15]).round(2)
        array([-0.27,  0.43])
        """
        angle = 2.0 * np.pi * np.asarray(hour, dtype=np.float64) / 24.0
        effect = np.zeros_like(angle)
        for k, (cos, sin) in enumerate(zip(self.season_cos, self.season_sin, strict=True), start=1):
            effect += cos * np.cos(k * angle) + sin * np.sin(k * angle)
        return effect

    def log_expected(
        self,
        service: npt.ArrayLike,
        hour: npt.ArrayLike,
        deploy: npt.ArrayLike,
        incident: npt.ArrayLike,
        requests: npt.ArrayLike,
    ) -> npt.NDArray[np.float64]:
        """Give the log of the expected number of errors of each row.

        Parameters
        ----------
        service : array_like of str
            Names of services, shape (obs,).
        hour, deploy, incident, requests : array_like
            The columns of the table, shape (obs,).

        Returns
        -------
        ndarray
            Log of the mean count, shape (obs,).

        Examples
        --------
        >>> TRUTH.log_expected(["search"], [0], [0], [0], [10_000]).round(2)
        array([2.75])
        """
        own = np.array([self.service_log_rate[str(name)] for name in np.asarray(service)], dtype=np.float64)
        return (
            np.log(np.asarray(requests, dtype=np.float64))
            + self.log_rate
            + own
            + self.season(hour)
            + np.asarray(deploy, dtype=np.float64) * log(self.deploy_ratio)
            + np.asarray(incident, dtype=np.float64) * log(self.incident_ratio)
        )


TRUTH = ServiceErrorsTruth(
    log_rate=log(0.003),
    service_sd=0.5,
    service_log_rate=MappingProxyType(
        {
            "billing": -0.199,
            "catalog": 0.069,
            "checkout": -0.156,
            "email": 0.224,
            "gateway": -0.293,
            "login": 0.415,
            "media": 0.542,
            "search": -0.452,
        }
    ),
    season_cos=(-0.30, 0.10),
    season_sin=(-0.20, 0.08),
    deploy_ratio=1.6,
    incident_ratio=3.5,
    incident_region="eu",
    incident_start="2026-03-18T13:00",
    incident_end="2026-03-18T20:00",
    incident_trigger="checkout",
    concentration=8.0,
    seed=20260302,
)
