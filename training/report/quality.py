"""Quality: every stage and every baseline on the same test events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from training.baselines import Lists, baseline_lists
from training.evaluation import Catalogue, Examination
from training.report.run import Run
from training.significance import paired_comparison

# Users x items. A baseline scores and sorts the whole catalogue for each user: this many take about a minute.
MOST_SCORES = 500_000_000


@dataclass(frozen=True, slots=True)
class Lead:
    """By which share the served stage stands above (or below) the best baseline, and the p-value of that."""

    baseline: str
    share: float
    p_value: float


@dataclass(frozen=True, slots=True)
class Quality:
    """What was measured of each row, by label: the stages in their order, then the baselines."""

    metric: str
    stages: Mapping[str, Examination]
    baselines: Mapping[str, Examination]

    @classmethod
    def of(cls, run: Run) -> Quality | None:
        """Measure everything; None without test events."""
        if not len(run.test):
            return None
        catalogue = Catalogue.of(run.bundle)
        stages = {run.label(stage): lists for stage, lists in run.lists.items()}
        examine = run.test.examine_lists
        return cls(
            run.config.metric,
            {label: examine(lists, catalogue) for label, lists in stages.items()},
            {label: examine(lists, catalogue) for label, lists in _baselines(run).items()},
        )

    @property
    def rows(self) -> dict[str, Examination]:
        """All rows."""
        return {**self.stages, **self.baselines}

    @property
    def served(self) -> Examination:
        """The stage that the service answers with: the last."""
        return self.stages[self.served_label]

    @property
    def served_label(self) -> str:
        """The label of that stage."""
        return list(self.stages)[-1]

    @property
    def best(self) -> str:
        """The label of the row with the highest metric."""
        return max(self.rows, key=lambda label: self.rows[label].means[self.metric])

    def p_values(self) -> dict[str, float]:
        """Return for each row but the best how likely chance alone sets it so far from the best, paired over users."""
        return {label: self._p_value(self.best, label) for label in self.rows if label != self.best}

    def lead(self) -> Lead | None:
        """Compare what is served with the best baseline; None without a baseline that hits anything."""
        if not self.baselines:
            return None
        strongest = max(self.baselines, key=lambda label: self.baselines[label].means[self.metric])
        reached = self.baselines[strongest].means[self.metric]
        if not reached:
            return None
        share = self.served.means[self.metric] / reached - 1.0
        return Lead(strongest, share, self._p_value(self.served_label, strongest))

    def _p_value(self, one: str, other: str) -> float:
        first, second = (self.rows[label].per_user[self.metric] for label in (one, other))
        return paired_comparison(first, second).p_value


def _baselines(run: Run) -> dict[str, Lists]:
    preparation, config = run.preparation, run.config
    if len(run.test) * len(preparation.vocabulary) > MOST_SCORES:
        return {}
    return baseline_lists(preparation, run.test, config)
