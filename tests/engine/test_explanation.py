"""What items are recommended for: worlds where each cause and each drop is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import exported
import numpy as np
import pytest
from live_world import CONTENT, ITEMS, WIDTH, HalvingTower, liked, live, network_source, ring_table, table

from engine.events import Event, History
from engine.explanation import MOST_CAUSES, RECENT, Cause, Explainer
from engine.features import Candidates
from engine.neighbour_source import NeighbourSource
from engine.popularity_source import PopularitySource
from engine.ranking import NetworkRanker, Ranked, Ranker, rerank
from engine.recommender import Query, Recommender
from engine.runtime import Network
from engine.source import Source
from engine.window import HistoryWindow

FEATURES = ("retrieval_score", "retrieval_rank", "item_knn", "history_length")
RANKERS = ("ncf", "target_attention")
EXACTLY = pytest.mark.parametrize("counterfactual", [True, False])


class RingAlone:
    """A ranker that adds to the first stage's score what the ring says, ten times."""

    def rank(self, candidates: Candidates) -> Ranked:
        linked = ring_table().scores(candidates.rows.indices, candidates.indices)
        return Ranked(candidates.scores + 10 * linked)


def world(kind: str, window: HistoryWindow | None = None, depth: int = ITEMS) -> Recommender:
    """Twelve items, all of them candidates: the mean encoder, the ring, or both with a ranker."""
    items, vectors = table({"item_knn": ring_table()}), network_source(depth)
    ring = NeighbourSource("item_knn", items.neighbours["item_knn"], depth)
    sources: list[Source] = [ring] if kind == "ring" else [vectors]
    ranker: Ranker | None = None
    if kind in RANKERS:
        network = Network(exported.exported_ranker(kind), kind)
        ranker, sources = NetworkRanker(network, FEATURES, items, vectors.vectors), [vectors, ring]
    if kind == "linear":
        ranker = RingAlone()
    towers = {"mean": HalvingTower()} if kind != "ring" else None
    return Recommender(items, window or HistoryWindow(), sources, ranker=ranker, towers=towers, content_vectors=CONTENT)


def explainer(recommender: Recommender) -> Explainer:
    return Explainer(recommender.items, recommender.window, recommender.sources, recommender._ranker)


def found(recommender: Recommender, history: History) -> Candidates:
    candidates = recommender.candidates_for([history])
    return candidates if recommender._ranker is None else rerank(recommender._ranker, candidates)


def because(
    recommender: Recommender, history: History, item_ids: Sequence[str], *, counterfactual: bool = True
) -> list[tuple[Cause, ...]]:
    indices = recommender.items.vocabulary.indices_of(item_ids)
    given = found(recommender, history)
    return explainer(recommender).explain(history, given, indices, counterfactual=counterfactual)


def without(history: History, item_id: str) -> History:
    return History(tuple(event for event in history.events if event.item_id != item_id))


def asked(recommender: Recommender, history: History, excluded: str) -> dict[str, float]:
    """The scores that an answer gives, when one seen item is out of the history but still not wanted."""
    answer = recommender.recommend([Query(history, ITEMS, exclude=frozenset({excluded}))])[0]
    return {item.item_id: item.score for item in answer.items if item.reason != ("popular",)}


@EXACTLY
def test_on_a_ring_the_predecessors_are_the_causes(counterfactual: bool) -> None:
    history = liked("3", "7", "4")
    causes = because(world("ring"), history, ["5", "8", "9", "6"], counterfactual=counterfactual)
    drops = [1.0, 0.5] if counterfactual else [None, None]
    assert causes[0] == (Cause("4", pytest.approx(2 / 3), drops[0]), Cause("3", pytest.approx(1 / 3), drops[1]))
    assert causes[1] == (Cause("7", 1.0, drops[0]),)
    assert causes[2] == (Cause("7", 1.0, drops[1]),)
    assert causes[3] == (Cause("4", 1.0, drops[1]),)


def test_drops_of_a_mean_are_those_computed_by_hand() -> None:
    history = liked("3", "7", "4")
    [causes] = because(world("mean"), history, ["9"])
    gains = CONTENT[[3, 7, 4], :WIDTH] @ CONTENT[9, WIDTH:]
    expected = {item: gains.mean() - np.delete(gains, place).mean() for place, item in enumerate(("3", "7", "4"))}
    assert {cause.item_id for cause in causes} == {item for item, drop in expected.items() if drop > 0}
    for cause in causes:
        assert cause.drop == pytest.approx(expected[cause.item_id], abs=1e-5)
    assert sum(cause.weight for cause in causes) == pytest.approx(1)


@pytest.mark.parametrize("kind", ["ring", "mean", "linear", *RANKERS])
def test_drops_are_those_of_really_asking_without_the_item(kind: str) -> None:
    recommender, history = world(kind), liked("3", "7", "4", "11", "0")
    before = asked(recommender, history, "none")
    wanted = sorted(before)
    indices = recommender.items.vocabulary.indices_of(wanted)
    drops = explainer(recommender).drops(history, found(recommender, history), indices)
    names = [recommender.items.vocabulary.id_of(int(cause)) for cause in drops.causes]
    assert names == ["0", "11", "4", "7", "3"]
    for name, own in zip(names, drops.drops, strict=True):
        after = asked(recommender, without(history, name), name)
        known = [place for place, item in enumerate(wanted) if item in after]
        assert len(known) > 1
        expected = np.array([before[wanted[place]] - after[wanted[place]] for place in known])
        np.testing.assert_allclose(own[known], expected, atol=1e-4)
    assert np.abs(drops.drops).max() > 0.01


def test_an_older_event_moves_into_the_window_where_one_is_taken_out() -> None:
    recommender, history = world("ring", HistoryWindow(max_length=2)), liked("3", "7", "5", "0")
    [causes] = because(recommender, history, ["6"])
    assert causes == (Cause("5", 1.0, 1.0),)
    # Without 0, the 7 is read again, which speaks for 8.
    drops = explainer(recommender).drops(history, found(recommender, liked("7")), np.array([8]))
    assert drops.causes.tolist() == [0, 5, 7, 3]
    np.testing.assert_allclose(drops.drops[:, 0], [-1.0, -1.0, 0.0, 0.0])


@pytest.mark.parametrize("kind", ["mean", *RANKERS])
@EXACTLY
def test_many_items_are_explained_as_each_alone(kind: str, counterfactual: bool) -> None:
    recommender, history = world(kind), liked("3", "7", "4", "11", "0")
    item_ids = ["9", "1", "5", "10"]
    together = because(recommender, history, item_ids, counterfactual=counterfactual)
    for item_id, causes in zip(item_ids, together, strict=True):
        [alone] = because(recommender, history, [item_id], counterfactual=counterfactual)
        assert [cause.item_id for cause in causes] == [cause.item_id for cause in alone]
        np.testing.assert_allclose([each.weight for each in causes], [each.weight for each in alone], atol=1e-5)


@pytest.mark.parametrize("kind", ["mean", *RANKERS])
def test_an_estimate_that_reads_the_whole_history_is_exact(kind: str) -> None:
    recommender, history = world(kind), liked("3", "7", "4", "11", "0")
    given, indices = found(recommender, history), np.array([9, 1, 5])
    measured = explainer(recommender).drops(history, given, indices)
    for recent in (5, RECENT):
        estimated = explainer(recommender).drops(history, given, indices, recent)
        np.testing.assert_allclose(estimated.drops, measured.drops, atol=1e-5)
    assert np.abs(explainer(recommender).drops(history, given, indices, 2).drops - measured.drops).max() > 1e-3


def test_an_estimate_leaves_what_networks_do_not_reread_to_the_rest() -> None:
    recommender, history = world("linear"), liked("3", "7", "4")
    estimated = explainer(recommender).drops(history, found(recommender, history), np.array([8, 5]), 0)
    np.testing.assert_allclose(estimated.drops, [[0, 10], [10, 0], [0, 5]], atol=1e-5)


@pytest.mark.parametrize("kind", ["ring", "mean", "linear", *RANKERS])
@EXACTLY
def test_a_history_of_one_item_may_get_empty(kind: str, counterfactual: bool) -> None:
    recommender, history = world(kind), liked("3")
    drops = explainer(recommender).drops(
        history, found(recommender, history), np.array([4]), None if counterfactual else RECENT
    )
    assert drops.causes.tolist() == [3]
    assert np.isfinite(drops.drops).all()
    if kind != "ring":
        return
    assert because(recommender, history, ["4"], counterfactual=counterfactual) == [
        (Cause("3", 1.0, 1.0 if counterfactual else None),)
    ]


@EXACTLY
def test_nothing_is_the_cause_where_there_is_no_history(counterfactual: bool) -> None:
    recommender = world("ncf")
    given = found(recommender, liked("3"))
    for history in (History(), liked("unknown")):
        causes = explainer(recommender).explain(history, given, np.array([4, 5]), counterfactual=counterfactual)
        assert causes == [(), ()]


@EXACTLY
def test_what_no_network_chose_has_no_cause(counterfactual: bool) -> None:
    recommender, history = world("linear", depth=3), liked("3", "7")
    given = found(recommender, history)
    inside = int(given.indices[0, 0])
    outside = next(item for item in range(ITEMS) if item not in given.indices[0])
    causes = explainer(recommender).explain(
        history, given, np.array([outside, inside, -1]), counterfactual=counterfactual
    )
    assert (causes[0], causes[2]) == ((), ())
    assert causes[1]
    popular = replace(recommender.items)
    alone = Recommender(popular, HistoryWindow(), [PopularitySource("popularity", popular, ITEMS)])
    assert because(alone, history, ["0"], counterfactual=counterfactual) == [()]


def test_all_events_of_an_item_are_taken_out_together() -> None:
    events = [Event("u", item, kind, value, float(step)) for step, (item, kind, value) in enumerate(
        [("3", "view", None), ("7", "rating", 5.0), ("3", "rating", 4.0), ("3", "view", None)]
    )]  # fmt: skip
    [causes] = because(world("ring"), History(tuple(events)), ["4"])
    assert causes == (Cause("3", 1.0, 3.0),)


@EXACTLY
def test_live_items_are_causes_and_have_causes(counterfactual: bool) -> None:
    recommender = world("mean")
    recommender.catalogue.put([live("new", 50), live("other", 51), live("bare", None)])
    history = liked("3", "new", "bare")
    answers = because(recommender, history, ["other", "9"], counterfactual=counterfactual)
    vectors = recommender.sources[0].vectors
    rows = recommender.items.vocabulary.indices_of(["3", "new"])
    for item_id, causes in zip(("other", "9"), answers, strict=True):
        output = vectors.outputs_of(recommender.items.vocabulary.indices_of([item_id]))[0]
        gains = vectors.inputs_of(rows) @ output
        better = ("3", "new")[int(np.argmax(gains))]
        assert [cause.item_id for cause in causes] == [better]
        if counterfactual:
            assert causes[0].drop == pytest.approx(gains.mean() - gains.min(), abs=1e-5)


def test_at_most_five_causes_of_the_newest_fifty_events_the_largest_first() -> None:
    window = HistoryWindow(max_length=100)
    recommender = world("linear", window)
    old, new = liked("2", *["9"] * 10, *["8"] * 45), ["1", "3", "4", "5", "6"]
    kinds = [event._replace(kind="view", value=None) for event in old.events]
    history = History((*kinds, *(Event("u", item, "view", None, 1_000.0 + step) for step, item in enumerate(new))))
    drops = explainer(recommender).drops(history, found(recommender, history), np.array([0, 7, 10]))
    assert drops.causes.tolist() == [6, 5, 4, 3, 1, 8]
    for causes in because(recommender, history, ["0", "7", "10"]):
        assert len(causes) <= MOST_CAUSES
        assert [each.drop for each in causes] == sorted((each.drop for each in causes), reverse=True)
        assert all(0 < each.weight <= 1 for each in causes)
        assert sum(each.weight for each in causes) <= 1 + 1e-6


@pytest.mark.parametrize("kind", ["ring", "mean", *RANKERS])
@EXACTLY
def test_explaining_changes_nothing_in_an_answer(kind: str, counterfactual: bool) -> None:
    recommender = world(kind)
    query = Query(liked("3", "7", "4"), 9)
    plain = recommender.recommend([query])[0]
    explained = recommender.recommend([replace(query, is_explained=True, is_counterfactual=counterfactual)])[0]
    assert all(item.because is None for item in plain.items)
    assert any(item.because for item in explained.items)
    assert all((item.reason != ("popular",)) or item.because == () for item in explained.items)
    assert replace(explained, items=tuple(replace(item, because=None) for item in explained.items)) == plain
    assert recommender.recommend([query])[0] == plain
