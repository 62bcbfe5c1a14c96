"""LastingMixture: a fitted mixture that goes on: it learns from new rows, keeps ids and names, is saved and loaded.

Every method is one call of a function that stands elsewhere; what it returns is a new fit.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import pandas as pd

from bayesglm.data.batches import batches_of, piece_rows, survey
from bayesglm.errors import OptionError
from bayesglm.mixtures import proposals, saving
from bayesglm.mixtures.ascent import Climb
from bayesglm.mixtures.fitted import FittedMixture
from bayesglm.mixtures.identity import Standing, check_ids, follow
from bayesglm.mixtures.learning import SAMPLE, Source, source_of, tables_of
from bayesglm.mixtures.projection import Projection
from bayesglm.mixtures.update import Policy, pooled, refresh
from bayesglm.predict import check_seed


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LastingMixture(FittedMixture):
    """A fitted mixture that goes on."""

    @property
    def changes(self) -> pd.DataFrame:
        """One line for each component and refresh: kept, new, split (from ``other``), merged (into it), retired or pruned.

        ``weight_before`` and ``weight_after`` are mean weights, ``distance`` is the Bhattacharyya distance of a component to
        what it was before (nats), ``rows`` are those of the refresh in it.
        """
        return self.identity.change_table()

    @property
    def refreshes(self) -> pd.DataFrame:
        """One line for each refresh: rows, effective rows, their mean age in refreshes, mean log density before and after."""
        return self.identity.refresh_table()

    @property
    def standing(self) -> Standing:
        """What ids are matched by."""
        return Standing(self.parts, self.posterior, self.weights)

    def update(
        self, data: Any, *, forgetting: float = 1.0, floor: float = 0.0, patience: int = 3, protect: Collection[int] = (),
        seed: int | None = None,
    ) -> Self:
        """Return the fit after new rows: the posterior so far is their prior.

        Components are born (by a split of new rows from one that stays), merged and deleted where that raises the bound of
        the new rows and the kept sums together. Ids stay with their components; `changes` says what happened.

        Parameters
        ----------
        data : data frame, path, dataset, lazy frame or list of data frames
            New rows with the columns of the fit.
        forgetting : float
            What earlier rows count from now on, in (0, 1]: with 0.9 at each refresh, weights and means lag about ten refreshes
            behind and vary as little as a mean over them; with 1 nothing is forgotten.
        floor : float
            Weight below which a component is pruned after ``patience`` refreshes in a row; 0 prunes none.
        patience : int
            How many refreshes.
        protect : collection of int
            Ids that are never pruned.
        seed : int, optional
            For the subsample, the splits and the matching; the fit's seed if left out.

        Raises
        ------
        BayesGLMError
            Rows that the fit's schema refuses, or a number out of its range.

        Notes
        -----
        The bound of the new fit is that of the new rows and the kept sums, up to a constant of the rows that are gone.

        Examples
        --------
        >>> import numpy as np
        >>> from bayesglm.mixtures import Mixture
        >>> rng = np.random.default_rng(1)
        >>> fit = Mixture(["x"], {"x": rng.normal(0, 1, 500)}).fit(seed=1)
        >>> later = fit.update({"x": np.concatenate([rng.normal(0, 1, 480), rng.normal(12, 1, 20)])})
        >>> later.changes[["action", "id", "rows"]].round().to_dict("records")
        [{'action': 'kept', 'id': 1, 'rows': 480.0}, {'action': 'new', 'id': 2, 'rows': 20.0}]
        """
        policy = _policy(forgetting, floor, patience, protect)
        check_ids(policy.protect, self.ids)
        source = self._source(data)
        found, identity = refresh(self.priors, self.parts, self.posterior, self.identity, source, policy,
                                  self.seed if seed is None else check_seed(seed))
        schema = replace(self.schema, rows=self.schema.rows + source.rows)
        return replace(self, schema=schema, found=found, identity=identity, sampled=None,
                       table=source.table if source.tables is None else None)

    def named(self, names: Mapping[int, str], *, runbook: Mapping[int, str] | None = None) -> Self:
        """Return the fit with names of components, and links that say what to do; both follow the ids.

        Parameters
        ----------
        names : mapping
            Id to name; an empty name takes it away.
        runbook : mapping, optional
            Id to link.

        Raises
        ------
        OptionError
            An id that no component has.
        """
        return replace(self, identity=self.identity.named(names, runbook or {}))

    def merged(self, id: int, into: int) -> Self:
        """Return the fit with one component added to another: the moments of the pair are those of the rows of both.

        Nothing is climbed after it, and the bound falls where the two differ: it is a decision about what they mean. A later
        `update` may split what was merged where its rows ask for it.

        Parameters
        ----------
        id : int
            The component that goes.
        into : int
            The one that stays, with its id, name and runbook.

        Raises
        ------
        BayesGLMError
            An id that no component has, or the same one twice.

        Examples
        --------
        >>> import numpy as np
        >>> from bayesglm.mixtures import Mixture
        >>> rng = np.random.default_rng(1)
        >>> fit = Mixture(["x"], {"x": np.concatenate([rng.normal(0, 1, 300), rng.normal(9, 1, 100)])}).fit(seed=1)
        >>> one = fit.merged(2, 1)
        >>> one.ids, one.components["x_mean"].round(2).tolist(), one.changes[["action", "id", "other"]].values.tolist()
        ((1,), [2.17], [['merged', 2, 1]])
        """
        posterior, bound, identity = proposals.merged(self, id, into)
        climb = Climb(posterior, (bound,), converged=True)
        return replace(self, found=replace(self.found, climb=climb), identity=identity, sampled=None)

    def identified(self, before: LastingMixture, *, seed: int = 1) -> Self:
        """Return this fit with the ids and names of an earlier one, where components are the same.

        Components are matched by the Bhattacharyya coefficients of their predictive densities; those of neither fit's partner
        get ids that were never given, and `changes` says which are new, split, merged or retired.

        Parameters
        ----------
        before : MixtureFit
            A fit of the same columns, described by the same components.
        seed : int
            For the rows that are simulated to compare.

        Raises
        ------
        OptionError
            The earlier fit has other columns, components or transforms.
        """
        described = [sorted((name, part.component.name, how.name) for part in fit.parts
                            for name, how in zip(part.layout.names, part.layout.transforms, strict=True))
                     for fit in (before, self)]
        if described[0] != described[1]:
            raise OptionError(f"the earlier fit describes {described[0]}", value=described[0],
                              rule=f"ids are matched where both describe the same, here {described[1]}",
                              fix="Fit with the same columns, components and transforms.")
        if not _same_projection(before.projection, self.projection):
            raise OptionError("the earlier fit projects its columns otherwise", rule="ids are matched on the same scores",
                              fix="Fit with projection=earlier.projection.")
        number = max((each.refresh for each in before.identity.changes), default=0) + 1
        identity = follow(before.identity, before.standing, self.standing, check_seed(seed), number, self.posterior.counts)
        return replace(self, identity=identity)

    def pooled(self, updates: Sequence[LastingMixture]) -> Self:
        """Return the fit of all rows that several updates of this one saw, from their sums; no row is exchanged.

        Parameters
        ----------
        updates : sequence of MixtureFit
            What each place made of this fit by `update` with nothing forgotten.

        Raises
        ------
        OptionError
            An update of another fit, or one with other components.
        """
        for each in updates:
            rows = float(each.posterior.counts.sum() - self.posterior.counts.sum())
            kept = abs(rows - (each.schema.rows - self.schema.rows)) < 1e-6 * each.schema.rows
            if set(each.ids) != set(self.ids) or not kept:
                raise OptionError(f"an update with the components {each.ids}", value=each.ids,
                                  rule=f"each comes from this fit, with its components {self.ids} and nothing forgotten",
                                  fix="Update this fit in each place with forgetting=1, and pool before components change.")
        found, order = pooled(self.priors, self.posterior, self.ids, [(each.posterior, each.ids) for each in updates])
        rows = self.schema.rows + sum(each.schema.rows - self.schema.rows for each in updates)
        identity = replace(self.identity, ids=tuple(self.ids[k] for k in order))
        return replace(self, found=found, identity=identity, sampled=None, table=None, schema=replace(self.schema, rows=rows))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fit to one sealed file that holds no row and no code: see `saving.save`."""
        saving.save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Return the fit that `save` wrote; it scores, draws and is updated as before, and has no rows at hand.

        Raises
        ------
        StorageError
            The file is damaged, foreign or from a newer version, or names a component that is not known here.
        """
        return cls(**saving.read(path))

    def export(self, path: str | os.PathLike[str]) -> None:
        """Write weights, means and Cholesky factors for `bayesglm.mixtures.scorer.Scorer`: see `saving.export`."""
        saving.export(self, path)

    def _source(self, data: Any) -> Source:
        names = self.columns
        rows = piece_rows(1 + sum(part.width for part in self.parts))
        batches = batches_of(data, names)
        if batches is None:
            return source_of(self.read(data), 1 + sum(part.width for part in self.parts), rows)
        surveyed = survey(batches, names, SAMPLE, seed=0)
        return Source(self.read(surveyed.sample), surveyed.rows, tables_of(batches, names, self.schema, rows, self.projection))


def _same_projection(first: Projection | None, second: Projection | None) -> bool:
    if first is None or second is None:
        return first is second
    return all(np.array_equal(getattr(first, each.name), getattr(second, each.name)) for each in fields(Projection))


def _policy(forgetting: float, floor: float, patience: int, protect: Collection[int]) -> Policy:
    if not 0 < forgetting <= 1:
        raise OptionError(f"forgetting={forgetting!r}", value=forgetting, rule="it is above 0 and at most 1",
                          fix="Give 1 to forget nothing, 0.9 for about ten refreshes.")
    if not 0 <= floor < 1:
        raise OptionError(f"floor={floor!r}", value=floor, rule="it is a weight: at least 0 and below 1", fix="Give 0.01, say.")
    if patience < 1:
        raise OptionError(f"patience={patience!r}", value=patience, rule="it is a whole number >= 1", fix="Leave it out for 3.")
    return Policy(float(forgetting), float(floor), int(patience), frozenset(protect))
