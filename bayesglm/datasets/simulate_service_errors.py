"""Draws the data set ``service_errors`` from its truth: ``python -m bayesglm.datasets.simulate_service_errors``.

Run as a module it writes ``service_errors.csv`` beside itself, the same file every time.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayesglm.datasets.service_errors import TRUTH, ServiceErrorsTruth

DAYS = 21
FIRST_HOUR = "2026-03-02T00:00"  # a Monday
DEPLOY_HOURS = 4  # how long a deployment is flagged
DEPLOYS_PER_SERVICE = 12

# Mean requests per hour, and the region that a service runs in.
TRAFFIC = {
    "billing": (2_000.0, "us"),
    "catalog": (12_000.0, "eu"),
    "checkout": (4_000.0, "eu"),
    "email": (1_500.0, "us"),
    "gateway": (20_000.0, "ap"),
    "login": (6_000.0, "eu"),
    "media": (9_000.0, "ap"),
    "search": (15_000.0, "us"),
}
# The hour of day, in UTC, at which a region's traffic peaks, and its amplitude on the log scale.
PEAK_HOUR = {"ap": 6, "eu": 13, "us": 20}
TRAFFIC_SWING = 0.8
WEEKEND_FACTOR = 0.7


def simulate(truth: ServiceErrorsTruth = TRUTH, *, seed: int | None = None) -> pd.DataFrame:
    """Draw the table of hourly error counts.

    Parameters
    ----------
    truth : ServiceErrorsTruth
        The parameters to draw from.
    seed : int, optional
        Seed of the draw; by default the truth's own, which gives the data set as it ships.

    Returns
    -------
    pandas.DataFrame
        One row for each hour and service, hours outermost.

    Examples
    --------
    >>> simulate().shape
    (4032, 8)
    """
    rng = np.random.default_rng(truth.seed if seed is None else seed)
    hours = pd.date_range(FIRST_HOUR, periods=24 * DAYS, freq="h", unit="ns")
    frame = pd.concat([_service_hours(service, hours, truth, rng) for service in sorted(TRAFFIC)], ignore_index=True)
    frame["errors"] = _errors(frame, truth, rng)
    return frame.sort_values(["timestamp", "service"], ignore_index=True)


def _service_hours(
    service: str, hours: pd.DatetimeIndex, truth: ServiceErrorsTruth, rng: np.random.Generator
) -> pd.DataFrame:
    mean_requests, region = TRAFFIC[service]
    swing = TRAFFIC_SWING * np.cos(2.0 * np.pi * (hours.hour.to_numpy() - PEAK_HOUR[region]) / 24.0)
    weekend = np.where(hours.day_of_week.to_numpy() >= 5, WEEKEND_FACTOR, 1.0)
    requests = rng.poisson(mean_requests * np.exp(swing) * weekend)
    in_window = (hours >= pd.Timestamp(truth.incident_start)) & (hours < pd.Timestamp(truth.incident_end))
    return pd.DataFrame(
        {
            "timestamp": hours,
            "service": service,
            "region": region,
            "hour": hours.hour.to_numpy().astype(np.int64),
            "deploy": _deploys(service, hours, truth, rng),
            "incident": (in_window & (region == truth.incident_region)).astype(np.int64),
            "requests": requests.astype(np.int64),
        }
    )


def _deploys(
    service: str, hours: pd.DatetimeIndex, truth: ServiceErrorsTruth, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    flags = np.zeros(len(hours), dtype=np.int64)
    starts = list(rng.integers(0, len(hours) - DEPLOY_HOURS, size=DEPLOYS_PER_SERVICE))
    if service == truth.incident_trigger:
        starts.append(np.flatnonzero(hours == pd.Timestamp(truth.incident_start))[0])
    for start in starts:
        flags[start : start + DEPLOY_HOURS] = 1
    return flags


def _errors(frame: pd.DataFrame, truth: ServiceErrorsTruth, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    mu = np.exp(
        truth.log_expected(
            frame["service"].to_numpy(),
            frame["hour"].to_numpy(),
            frame["deploy"].to_numpy(),
            frame["incident"].to_numpy(),
            frame["requests"].to_numpy(),
        )
    )
    k = truth.concentration
    return rng.negative_binomial(k, k / (k + mu)).astype(np.int64)


def write(path: Path) -> None:
    """Write the data set as it ships.

    Parameters
    ----------
    path : pathlib.Path
        Where the CSV file goes.
    """
    simulate().to_csv(path, index=False, date_format="%Y-%m-%dT%H:%M", lineterminator="\n", encoding="utf-8")


if __name__ == "__main__":
    write(Path(__file__).with_name("service_errors.csv"))
