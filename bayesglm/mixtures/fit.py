"""MixtureFit: a fitted mixture with the questions people put to it; each method is one call of a function that stands elsewhere.

Made by `Mixture.fit`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import ArrayLike

from bayesglm.errors import OptionError
from bayesglm.mixtures import comparison, explain, injection, membership, proposals, thresholds
from bayesglm.mixtures.association import Association, enrichment, outcome_rates
from bayesglm.mixtures.check import Checks, run_checks
from bayesglm.mixtures.lasting import LastingMixture
from bayesglm.mixtures.report import page
from bayesglm.predict import check_seed


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MixtureFit(LastingMixture):
    """What a mixture learnt of a table, and what can be asked of it.

    Where ``data`` may be left out, the rows it was fitted to are meant.

    Examples
    --------
    >>> import numpy as np
    >>> from bayesglm.mixtures import Mixture
    >>> rng = np.random.default_rng(1)
    >>> data = {"x": np.concatenate([rng.normal(0, 1, 200), rng.normal(9, 1, 100)])}
    >>> fit = Mixture(["x"], data).fit(seed=1)
    >>> new = {"x": [0.0, 9.0, 100.0]}
    >>> fit.responsibilities(new).round(2).tolist()
    [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
    >>> (fit.tail_probability(new, seed=1) < 0.01).tolist()
    [False, False, True]
    """

    def assign(self, data: Any = None) -> pd.DataFrame:
        """Return one line a row: the id of its most probable component, its probability, the second one's, and the entropy.

        Rows far from every component are assigned too, often with probability 1: see `tail_probability`.
        """
        return membership.assignments(self.ids, self.responsibilities(data))

    def kmeans_agreement(self, data: Any = None, *, seed: int) -> float:
        """Return the adjusted Rand index with k-means of as many groups: 1 where both find the same."""
        return membership.kmeans_agreement(self, data, check_seed(seed))

    def examples(self, data: Any = None, *, per: int = 3) -> pd.DataFrame:
        """Return the rows that show each component best, by their position: sure members, the densest first.

        Parameters
        ----------
        data : data frame, optional
            Where to look for them.
        per : int
            Most rows a component.
        """
        return membership.examples(self, data, per)

    def shares(self, data: Any = None, *, by: str | None = None, floor: float = 0.01,
               protected: Sequence[int] = ()) -> pd.DataFrame:
        """Return long-term weights beside the shares of rows in a window.

        The weight is the posterior's; ``share`` is the mean responsibility in these rows, ``assigned`` the share of rows whose
        most probable component it is. They differ where the window differs from what was learnt, or where components overlap.

        Parameters
        ----------
        data : data frame, optional
            The window.
        by : str, optional
            A column of windows, such as the day: one line a window and component, with the interval of each share.
        floor : float
            Components with a lower long-term weight are flagged.
        protected : sequence of int
            Ids that may be rare: their flag says so.
        """
        return membership.shares(self, data, by, floor, protected)

    def costs(self, data: Any, cost: str) -> pd.DataFrame:
        """Return the cost of each component, its share, an interval for the doubt about memberships, and the mean cost a row.

        Parameters
        ----------
        data : data frame
            Rows with the columns of the fit and the cost.
        cost : str
            The column to sum; totals of components sum to its sum.
        """
        return membership.costs(self.ids, self.responsibilities(data), membership.numbers_in(data, cost))

    def association(self, data: Any, label: str) -> Association:
        """Return which components rows with a label, such as a deployment, belong to more often than rows as a whole.

        Probabilities are shrunk over labels: see `bayesglm.mixtures.association`.

        Parameters
        ----------
        data : data frame
            Rows with the columns of the fit and the label.
        label : str
            The column of labels.
        """
        labels = membership.read_column(data, label).labels()
        return enrichment(self.ids, self.responsibilities(data), labels, label)

    def outcome_rates(self, data: Any, outcome: str) -> Association:
        """Return how often an outcome, such as an error, happens in each component, with the probability of more than usual.

        Parameters
        ----------
        data : data frame
            Rows with the columns of the fit and the outcome.
        outcome : str
            A column of booleans, or of 0 and 1.
        """
        return outcome_rates(self.ids, self.responsibilities(data), membership.numbers_in(data, outcome))

    def threshold(self, data: Any = None, *, rate: float | None = None, labels: ArrayLike | None = None,
                  precision: float = 0.8, gap: int = 0, rows_per_day: float | None = None, seed: int = 1) -> thresholds.Threshold:
        """Return the tail probability at which rows are flagged, by a target rate or by labelled events.

        Ask again at each refresh: the threshold belongs to the fit and to the window.

        Parameters
        ----------
        data : data frame, optional
            A reference window: of clean rows for a rate, in the order of time for labels.
        rate : float, optional
            Target share of flagged rows; 0.005 where neither it nor labels are given.
        labels : array, shape (row,), optional
            True in rows of an event, or the number of the event and 0 for none.
        precision : float
            With labels: least share of true alerts; among such thresholds the one that finds most events is taken.
        gap : int
            With labels: alerts this many rows apart are one.
        rows_per_day : float, optional
            For the expected volume.
        seed : int
            For the tail probabilities.
        """
        if rate is not None and labels is not None:
            raise OptionError(f"rate={rate!r} and labels", value=rate, rule="a threshold is chosen by one of them",
                              fix="Leave one out; with labels, precision= says how sure an alert should be.")
        tails = self.tail_probability(data, seed=seed)
        if labels is None:
            return thresholds.by_rate(tails, 0.005 if rate is None else rate, rows_per_day)
        return thresholds.by_labels(tails, labels, precision=precision, gap=gap, rows_per_day=rows_per_day)

    def detection_rates(self, data: Any = None, *, sizes: Sequence[float] = (1, 2, 3, 4, 6),
                        kinds: Sequence[str] = tuple(injection.KINDS), rate: float = 0.005, seed: int = 1,
                        rows: int | None = None) -> pd.DataFrame:
        """Return which share of synthetic anomalies is flagged, by kind and size in sds, with intervals.

        Parameters
        ----------
        data : data frame, optional
            Clean rows.
        sizes : sequence of float
            Sizes in sds of each numeric column.
        kinds : sequence of str
            See `bayesglm.mixtures.injection.KINDS`.
        rate : float
            The threshold flags this share of the clean rows.
        seed : int
            For rows, directions and tail probabilities.
        rows : int, optional
            How many rows are changed; one in a hundred without it.
        """
        return injection.detection_rates(self, data, sizes=sizes, kinds=kinds, rate=rate, seed=check_seed(seed), rows=rows)

    def explain(self, data: Any) -> pd.DataFrame:
        """Return what makes rows unusual, column by column, the largest contribution first.

        Each value is held against its distribution given the others in its row; see `bayesglm.mixtures.explain`.

        Parameters
        ----------
        data : data frame, mapping or series
            Rows, or one row as a mapping of values.

        Returns
        -------
        pandas.DataFrame
            For each row and column the value, the median and 90 % interval to expect given the others, the probability of a
            value at most as dense, and the contribution in nats.
        """
        return explain.explain(self, data)

    def score_change(self, window: Any, baseline: Any = None) -> comparison.ScoreChange:
        """Return how the mean log density of a window differs from the baseline's, with a standard error.

        Parameters
        ----------
        window : data frame
            New rows.
        baseline : data frame, optional
            Rows to hold them against; the fitted ones without it.
        """
        return comparison.score_change(self.score(baseline), self.score(window))

    def proposals(self, data: Any = None, *, seed: int = 1, held_out: float = 0.3) -> pd.DataFrame:
        """Return what splitting each component, and merging it with the one most like it, would do.

        The search has made every move that raised the bound of its rows; rows that were left out are a second opinion. To merge
        two components nevertheless, because they are one kind to whoever reads them, see `merged`.

        Parameters
        ----------
        data : data frame, optional
            New rows, with all that was learnt so far kept; the fitted ones without it. At most 4,000 are taken.
        seed : int
            For the rows that are left out, the splits and the simulated rows of ``alike``.
        held_out : float
            Share of the rows that is left out and scored.

        Returns
        -------
        pandas.DataFrame
            One line a move: ``action``, ``id`` and ``other``; for a merge how ``alike`` the two are (Bhattacharyya
            coefficient, 0 to 1) and their symmetric Kullback-Leibler ``divergence`` (nats), both of predictive densities; the
            change of the ``bound`` of the rows learnt from (nats) and of the mean log density of rows left out, ``score`` (nats
            a row) with its paired standard error ``score_se``; ``proposed`` where a split raises both, or a merge lowers
            neither.
        """
        return proposals.proposals(self, data, seed=check_seed(seed), held_out=held_out)

    def check(self, data: Any = None, *, seed: int = 0) -> Checks:
        """Put every check to the fit: convergence, predictive statistics, covariances, components, flagged rows, names.

        Parameters
        ----------
        data : data frame, optional
            Rows to hold the fit against, such as the last window.
        seed : int
            For replicates and restarts.
        """
        return Checks(run_checks(self, data, check_seed(seed)))

    def report(self, path: str | Path, data: Any = None, *, title: str = "", question: str = "",
               seed: int = 0) -> Path:
        """Write one self-contained HTML page and return its path.

        Parameters
        ----------
        path : str or Path
            Where to; the folder must exist.
        data : data frame, optional
            Rows to hold the fit against and to take examples from.
        title, question : str
            Above the page.
        seed : int
            For replicates and restarts.
        """
        return page.write_report(self, data, Path(path), title=title, question=question, seed=check_seed(seed))
