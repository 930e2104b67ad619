"""What the page works with: the next texts at once, and labels that are on disk before it moves on."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kickbert.evaluation.explanation import Explanation
from kickbert.labeling.assessment import RANDOM, class_counts, people_agreement, suggestion_agreement
from kickbert.labeling.background import BackgroundModel, Embed, ZeroShot
from kickbert.labeling.classes import ClassList, present_labels
from kickbert.labeling.database import Label, LabelDatabase, Lease
from kickbert.labeling.strategies import STRATEGIES
from kickbert.labeling.tuning import EncoderTuning
from kickbert.text.duplicates import NearDuplicates
from kickbert.text.tokenization import join_columns
from kickbert.utils.messages import shorten

WIDTH = 160  # characters of a text in a list


@dataclass(frozen=True)
class Settings:
    """How texts are chosen and shown.

    Args:
        strategy: of `kickbert.labeling.query`.
        random_share: of the texts are drawn at random: on these accuracy is estimated.
        hidden_share: of the suggestions are not shown, and none before there are `hidden_first` labels: so that they do
            not lead, and to tell how often they are right.
        seed: of what is drawn.
    """

    strategy: str = "breaking_ties"
    random_share: float = 0.2
    hidden_share: float = 0.2
    hidden_first: int = 20
    seed: int = 0

    def __post_init__(self):
        if self.strategy not in STRATEGIES:
            raise ValueError(f"strategy={self.strategy!r} is not one of {list(STRATEGIES)}")
        for name in ("random_share", "hidden_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)} is no share; give a number from 0 to 1")


class LabelingSession:
    """Texts to label, one after another, for any number of browsers.

    Args:
        database: with rows.
        embed, zero_shot: as for `BackgroundModel`.
        settings: how texts are chosen and shown; None for the default.
        tuning: as for `BackgroundModel`.
    """

    def __init__(
        self,
        database: LabelDatabase,
        embed: Embed,
        zero_shot: ZeroShot | None = None,
        settings: Settings | None = None,
        tuning: EncoderTuning | None = None,
    ):
        self.database, self.settings, self.classes = database, settings or Settings(), ClassList(database)
        self.rows = database.rows()  # by their keys: a random order
        if not any(row.position is not None for row in self.rows):
            raise ValueError(f"{database.file} has no texts to label; give a table with some")
        texts = join_columns(*zip(*(row.texts for row in self.rows), strict=True))
        self.texts, self.place = texts, {row.id: i for i, row in enumerate(self.rows)}
        how = {"strategy": self.settings.strategy, "seed": self.settings.seed, "tuning": tuning}
        self.model = BackgroundModel(database, self.rows, texts, embed, zero_shot, **how)
        self._rng, self._lock = np.random.default_rng(self.settings.seed), threading.RLock()
        self._asked, self._done, self._drawn, self._owed = NearDuplicates(), set(), 0, 0.0
        self._left: dict[int, str] = {}  # places and strategies of what was asked and is not labelled
        for label in database.labels():
            self._remember(self.place[label.row])

    def next(self, browser: str, count: int = 3) -> list[dict[str, Any]]:
        """The texts that a browser is to show next; fewer than `count` where no more are left."""
        with self._lock:
            leases = [lease for lease in self.database.leased(browser) if lease.row in self.place][:count]
            for lease in leases:
                self._remember(self.place[lease.row])
            had = {lease.row for lease in leases}
            for place, strategy in self._wanted() if len(leases) < count else ():
                lease = self._lease(place, strategy)
                self._left[place] = strategy
                if lease.row not in had and self.database.lease(lease, browser):
                    self._remember(place)
                    leases.append(lease)
                    had.add(lease.row)
                if len(leases) == count:
                    break
        return [self._item(lease) for lease in leases]

    def label(self, row: int, label: str | list[str] | None, who: str, **more: Any) -> int:
        """Keep a label, which is on disk when this returns; its id.

        Args:
            more: as for `LabelDatabase.append`.
        Raises:
            ValueError: no such row or class.
        """
        self._check_row(row)
        label = self.classes.checked(label)
        added = self.database.append(row, label, who, **more)
        self._left.pop(self.place[row], None)
        self.model.wake()
        return added

    def undo(self, browser: str, who: str) -> dict[str, Any] | None:
        """Take the last label of a person back; its text, to be shown again. None where there is none."""
        label = self.database.undo(who)
        if label is None:
            return None
        self._check_row(label.row)
        lease = Lease(label.row, label.strategy, label.suggestion, label.shown)
        self.database.lease(lease, browser)
        self.model.wake()
        return self._item(lease, label)

    def back(self, who: str, before: int | None = None) -> dict[str, Any] | None:
        """The text that a person labelled before a label, or last, with its label; None where there is none."""
        label = self.database.before(who, before)
        if label is None:
            return None
        self._check_row(label.row)
        return self._item(Lease(label.row, label.strategy, label.suggestion, label.shown), label)

    def item(self, row: int) -> dict[str, Any]:
        """A text to look at again, with its label."""
        self._check_row(row)
        label = next((label for label in self.database.labels() if label.row == row), None)
        return self._item(Lease(row), label)

    def words(self, row: int, suggested: Sequence[str]) -> Explanation | None:
        """What the words of a text add to what was suggested; None before there is a model, or while it is busy."""
        self._check_row(row)
        return self.model.words(self.place[row], suggested)

    def progress(self) -> dict[str, Any]:
        """Numbers for the page, as JSON can hold them."""
        labels, classes = present_labels(self.database), self.classes()
        fit, assessment = self.model.fit, asdict(self.model.assessment) if self.model.assessment else None
        if assessment:
            unchanged = {label.id for label in labels}
            assessment["suspicions"] = [
                suspicion | {"text": shorten(" · ".join(self.rows[self.place[suspicion["row"]]].texts), WIDTH)}
                for suspicion in assessment["suspicions"]
                if suspicion["id"] in unchanged
            ]
        return {
            "file": self.database.file.name,
            "source": self.database.setting("source"),
            "columns": self.database.text_col,
            "task": self.database.task,
            "settings": asdict(self.settings),
            "rows": int(self.model.there.sum()),
            "labelled": len(labels),
            "embedded": float(self.model.embedded.mean()),
            "classes": [asdict(c) for c in classes],
            "counts": class_counts(labels, [c.name for c in classes], self.database.task),
            "agreement": suggestion_agreement(labels),
            "people": people_agreement(present_labels(self.database, history=True)),
            "seconds": [label.seconds for label in labels[-20:] if label.seconds is not None],
            "assessment": assessment,
            "tuning": self._tuning(),
            "fit": {"labels": fit.labels, "seconds": fit.seconds} if fit else None,
            "problem": self.model.problem,
        }

    def _tuning(self) -> dict[str, Any] | None:
        """Whether the encoder is being tuned, what came of it last, and what went wrong."""
        tuning, tuned = self.model.tuning, self.model.tuned
        if tuning is None:
            return None
        last = tuned and {"labels": tuned.labels, "before": tuned.before, "after": tuned.after}
        better = tuned is not None and tuned.embeddings is not None
        return {"running": tuning.running, "problem": tuning.problem, "last": last, "better": better}

    def _check_row(self, row: int) -> None:
        if row not in self.place:
            raise ValueError(
                f"row {row} is not among the texts that this page was started with; start kickbert label anew"
            )

    def _wanted(self) -> Iterator[tuple[int, str]]:
        """Texts that were not asked yet, nor one like them, and the strategies that chose them.

        At the end come those that were asked and not labelled, by somebody who went away.
        """
        while (chosen := self._choose()) is not None:
            if not self._like_one_asked(chosen[0]):
                yield chosen
        yield from list(self._left.items())

    def _choose(self) -> tuple[int, str] | None:
        """The next text: one in so many is drawn at random, and all where the model has chosen none."""
        self._owed += self.settings.random_share
        draw = self._owed >= 1
        self._owed -= draw
        return (None if draw else self.model.take()) or self._draw()

    def _draw(self) -> tuple[int, str] | None:
        """The next row in the order of the keys, which is a random one."""
        while self._drawn < len(self.rows):
            self._drawn += 1
            if self._drawn - 1 not in self._done and self.model.there[self._drawn - 1]:
                return self._drawn - 1, RANDOM
        return None

    def _like_one_asked(self, place: int) -> bool:
        if place in self._done:
            return True
        if self._asked.has_like(self.texts[place]):
            self._done.add(place)
            return True
        return False

    def _remember(self, place: int) -> None:
        if place not in self._done:
            self._done.add(place)
            self._asked.add(self.texts[place])

    def _lease(self, place: int, strategy: str) -> Lease:
        """A text with what the model suggests now, and whether that is to be seen."""
        enough = self.database.labelled() >= self.settings.hidden_first
        shown = enough and self._rng.random() >= self.settings.hidden_share
        return Lease(self.rows[place].id, strategy, self.model.suggestion(place), shown)

    def _item(self, lease: Lease, label: Label | None = None) -> dict[str, Any]:
        """A text as JSON can hold it, with the suggestion where it is to be seen, and its label where it has one."""
        row = self.rows[self.place[lease.row]]
        suggestion = lease.suggestion if lease.shown else None
        given = None if label is None else {"id": label.id, "label": label.label, "note": label.note}
        return {"row": row.id, "texts": list(row.texts), "suggestion": suggestion, "given": given}
