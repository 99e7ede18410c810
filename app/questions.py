"""Questions: from the options of a request to the query of the engine."""

from __future__ import annotations

import time

from app.filtering import Filtering
from app.list_cursor import ListCursor
from app.options import RecommendOptions
from engine.events import History
from engine.exposure import Exposure
from engine.query import Query
from engine.recommendation import Recommendation
from engine.recommender import POPULAR, Recommender
from engine.selection import Selection


class Questions:
    """Reads what options mean for the bundle in service. `key` signs cursors, which are good for `life` seconds."""

    def __init__(
        self, recommender: Recommender, filtering: Filtering, exposure: Exposure | None, key: bytes, life: int
    ) -> None:
        self._recommender = recommender
        self._filtering = filtering
        self._exposure = exposure
        self._key = key
        self._life = life
        self._retrieving = recommender.without_ranker()

    def is_ready(self, options: RecommendOptions) -> bool:
        """Return whether all is made that answering will look up."""
        needs_fields = options.categories or options.filter or options.boost
        return self._filtering.fields.is_built or not needs_fields

    async def prepare(self, options: RecommendOptions) -> None:
        """Make what answering will look up; for the first request that needs it this takes a moment."""
        if options.is_plain:
            return
        await self._filtering.prepare(options.categories, options.match, options.filter, options.boost)

    def query(
        self,
        options: RecommendOptions,
        history: History,
        seen: frozenset[str] = frozenset(),
        page: ListCursor | None = None,
        among: Selection | None = None,
    ) -> Query:
        """Return the query; raises QueryError naming the option that is wrong.

        seen: items that are seen beyond the history. page: what `page` returned. among: only these items.
        """
        if options.is_plain:
            return Query(history, options.n, seen, exposure=self._exposure, only=among)
        shown = frozenset[str]() if page is None else self._recommender.items.vocabulary.ids_with(page.shown)
        exclude = frozenset(options.exclude) | shown
        selection = self._filtering.selection(options.categories, options.match, options.filter)
        return Query(
            history,
            options.n,
            exclude | seen if options.exclude_seen else exclude,
            selection if among is None else among,
            options.exposure(self._exposure),
            shows_seen=not options.exclude_seen,
            lifts=self._filtering.lifts(options.boost),
            diversity=options.diversity,
            is_explained=options.explain != "none",
            is_counterfactual=options.explain == "counterfactual",
        )

    def recommender(self, model: str | None, *, is_hurried: bool) -> Recommender:
        """Return who answers: all stages, the first alone, or one source; raises QueryError for an unknown name."""
        if model not in (None, POPULAR):
            return self._recommender.of_source(str(model))
        return self._retrieving if is_hurried else self._recommender

    def page(self, user_id: str, options: RecommendOptions) -> ListCursor | None:
        """Return what the cursor of a request holds, None without one.

        Raises QueryError for what can be seen to be wrong, a model too, before any history is read.
        """
        if options.model is not None:
            self.recommender(options.model, is_hurried=False)
        if options.cursor is None:
            return None
        return ListCursor.decode(options.cursor, self._key, options.digest(user_id), time.time())

    def cursor(
        self, user_id: str, options: RecommendOptions, page: ListCursor | None, answer: Recommendation
    ) -> str | None:
        """Return the cursor of the page that follows an answer, None after the last."""
        if len(answer.items) < options.n:
            return None
        page = page or ListCursor.begin(options.digest(user_id))
        following = page.after((item.item_id for item in answer.items), time.time(), self._life)
        return None if following is None else following.encode(self._key)
