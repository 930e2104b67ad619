"""A labeling session: hands out texts, stores labels, and reports progress to the page."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kickbert.evaluation.explanation import Explanation
from kickbert.labeling.assessment import RANDOM, class_counts, people_agreement, suggestion_agreement
from kickbert.labeling.background import BackgroundModel, Embed, ZeroShot
from kickbert.labeling.classes import ClassList, current_labels
from kickbert.labeling.database import Label, LabelDatabase, Lease
from kickbert.labeling.encoder_tuning import EncoderTuning
from kickbert.labeling.strategies import STRATEGIES
from kickbert.text.duplicates import NearDuplicates
from kickbert.text.tokenization import join_columns
from kickbert.utils.messages import shorten

WIDTH = 160  # characters of a text in a list


@dataclass(frozen=True)
class Settings:
    """Settings for choosing and showing texts.

    Args:
        strategy: A strategy of `kickbert.labeling.query`.
        random_share: Share of the texts drawn at random; accuracy is estimated on these.
        hidden_share: Share of the suggestions that are hidden, so that they do not bias the annotator and their
            accuracy can be measured.
        hidden_first: Number of labels before the first suggestion is shown.
        seed: Seed of random choices.
    """

    strategy: str = "breaking_ties"
    random_share: float = 0.2
    hidden_share: float = 0.2
    hidden_first: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise ValueError(f"strategy={self.strategy!r} is not one of {list(STRATEGIES)}")
        for name in ("random_share", "hidden_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)} must be between 0 and 1")


class LabelingSession:
    """Texts to label, one after another, for any number of browsers.

    Args:
        database: A database with rows.
        embed: As for `BackgroundModel`, like `zero_shot` and `tuning`.
        settings: Settings for choosing and showing texts; None for the defaults.
    """

    def __init__(
        self,
        database: LabelDatabase,
        embed: Embed,
        zero_shot: ZeroShot | None = None,
        settings: Settings | None = None,
        tuning: EncoderTuning | None = None,
    ):
        self.database = database
        self.settings = settings or Settings()
        self.classes = ClassList(database)
        self.rows = database.rows()  # in the order of their keys, which is a random one
        if not any(row.position is not None for row in self.rows):
            raise ValueError(f"{database.file} has no texts to label; add a table that has some")
        self.texts = join_columns(*zip(*(row.texts for row in self.rows), strict=True))
        self.position = {row.id: i for i, row in enumerate(self.rows)}
        self.model = BackgroundModel(
            database,
            self.rows,
            self.texts,
            embed,
            zero_shot,
            strategy=self.settings.strategy,
            seed=self.settings.seed,
            tuning=tuning,
        )
        self._rng = np.random.default_rng(self.settings.seed)
        self._lock = threading.RLock()
        self._asked = NearDuplicates()
        self._done: set[int] = set()  # positions of rows that were asked, or resemble one
        self._unlabeled: dict[int, str] = {}  # positions and strategies of rows that were asked and not labeled
        self._drawn = 0  # rows considered for random draws
        self._owed = 0.0  # random draws due
        for label in database.labels():
            self._remember(self.position[label.row])

    def next(self, browser: str, count: int = 3) -> list[dict[str, Any]]:
        """Return the texts that a browser shows next; fewer than `count` near the end."""
        with self._lock:
            leases = [lease for lease in self.database.leased(browser) if lease.row in self.position][:count]
            for lease in leases:
                self._remember(self.position[lease.row])
            taken = {lease.row for lease in leases}
            for position, strategy in self._candidates() if len(leases) < count else ():
                lease = self._lease(position, strategy)
                self._unlabeled[position] = strategy
                if lease.row not in taken and self.database.lease(lease, browser):
                    self._remember(position)
                    leases.append(lease)
                    taken.add(lease.row)
                if len(leases) == count:
                    break
        return [self._item(lease) for lease in leases]

    def label(
        self,
        row: int,
        label: str | list[str] | None,
        who: str,
        *,
        seconds: float | None = None,
        note: str | None = None,
        shown: bool = False,
        request: str | None = None,
    ) -> int:
        """Store a label as `LabelDatabase.append` does, with the same arguments, and return its id.

        Raises:
            ValueError: The row or the class does not exist.
        """
        self._check_row(row)
        label = self.classes.checked(label)
        added = self.database.append(row, label, who, seconds=seconds, note=note, shown=shown, request=request)
        self._unlabeled.pop(self.position[row], None)
        self.model.wake()
        return added

    def undo(self, browser: str, who: str) -> dict[str, Any] | None:
        """Undo the last label of a person and return its text, to be shown again; None if there is none."""
        label = self.database.undo(who)
        if label is None:
            return None
        self._check_row(label.row)
        lease = Lease(label.row, label.strategy, label.suggestion, label.shown)
        self.database.lease(lease, browser)
        self.model.wake()
        return self._item(lease, label)

    def back(self, who: str, before: int | None = None) -> dict[str, Any] | None:
        """Return the text that a person labeled before a label, or last; None if there is none."""
        label = self.database.previous(who, before)
        if label is None:
            return None
        self._check_row(label.row)
        return self._item(Lease(label.row, label.strategy, label.suggestion, label.shown), label)

    def item(self, row: int) -> dict[str, Any]:
        """Return a text with its label, to look at again."""
        self._check_row(row)
        label = next((label for label in self.database.labels() if label.row == row), None)
        return self._item(Lease(row), label)

    def words(self, row: int, suggested: Sequence[str]) -> Explanation | None:
        """Explain a suggestion by its words; None before there is a model, or while it is busy."""
        self._check_row(row)
        return self.model.words(self.position[row], suggested)

    def progress(self) -> dict[str, Any]:
        """Return everything the page shows beside the text, in JSON types."""
        labels = current_labels(self.database)
        history = current_labels(self.database, history=True)
        classes = self.classes()
        fit = self.model.fit
        return {
            "file": self.database.file.name,
            "source": self.database.setting("source"),
            "columns": self.database.text_col,
            "task": self.database.task,
            "settings": asdict(self.settings),
            "rows": int(self.model.askable.sum()),
            "labeled": len(labels),
            "embedded": float(self.model.embedded.mean()),
            "classes": [asdict(c) for c in classes],
            "counts": class_counts(labels, [c.name for c in classes]),
            "agreement": suggestion_agreement(history),
            "people": people_agreement(history),
            "seconds": [label.seconds for label in labels[-20:] if label.seconds is not None],
            "assessment": self._assessment(labels),
            "tuning": self._tuning(),
            "fit": {"labels": fit.labels, "seconds": fit.seconds} if fit else None,
            "problem": self.model.problem,
        }

    def _assessment(self, labels: Sequence[Label]) -> dict[str, Any] | None:
        """Return the last assessment, with the texts of suspicious labels that have not changed since."""
        if self.model.assessment is None:
            return None
        assessment = asdict(self.model.assessment)
        unchanged = {label.id for label in labels}
        suspicions = [suspicion for suspicion in assessment["suspicions"] if suspicion["id"] in unchanged]
        for suspicion in suspicions:
            texts = self.rows[self.position[suspicion["row"]]].texts
            suspicion["text"] = shorten(" · ".join(texts), WIDTH)
        return assessment | {"suspicions": suspicions}

    def _tuning(self) -> dict[str, Any] | None:
        """Return whether the encoder is being tuned, the last result, and the last problem."""
        tuning = self.model.tuning
        tuned = self.model.tuned
        if tuning is None:
            return None
        last = None if tuned is None else {"labels": tuned.labels, "before": tuned.before, "after": tuned.after}
        better = tuned is not None and tuned.embeddings is not None
        return {"running": tuning.running, "problem": tuning.problem, "last": last, "better": better}

    def _check_row(self, row: int) -> None:
        if row not in self.position:
            raise ValueError(f"row {row} was added after this page started; restart kickbert label to see it")

    def _candidates(self) -> Iterator[tuple[int, str]]:
        """Yield positions of texts not asked yet, unlike those asked, with the strategies that chose them.

        Texts that were asked and never labeled come last: the person may have left.
        """
        while (chosen := self._choose()) is not None:
            if not self._resembles_asked(chosen[0]):
                yield chosen
        yield from list(self._unlabeled.items())

    def _choose(self) -> tuple[int, str] | None:
        """Choose the next text: a share of them, and all while the model has no queue, are drawn at random."""
        self._owed += self.settings.random_share
        draw = self._owed >= 1
        self._owed -= draw
        return (None if draw else self.model.take()) or self._draw()

    def _draw(self) -> tuple[int, str] | None:
        """Draw the next row in the order of the keys, which is a random one."""
        while self._drawn < len(self.rows):
            position = self._drawn
            self._drawn += 1
            if position not in self._done and self.model.askable[position]:
                return position, RANDOM
        return None

    def _resembles_asked(self, position: int) -> bool:
        if position in self._done:
            return True
        if self._asked.has_like(self.texts[position]):
            self._done.add(position)
            return True
        return False

    def _remember(self, position: int) -> None:
        if position not in self._done:
            self._done.add(position)
            self._asked.add(self.texts[position])

    def _lease(self, position: int, strategy: str) -> Lease:
        """Return a text with the current suggestion, and decide whether it may be shown."""
        enough = self.database.count_labeled() >= self.settings.hidden_first
        shown = enough and self._rng.random() >= self.settings.hidden_share
        return Lease(self.rows[position].id, strategy, self.model.suggestion(position), shown)

    def _item(self, lease: Lease, label: Label | None = None) -> dict[str, Any]:
        """Return a text in JSON types, with its suggestion if it may be shown, and its label if it has one."""
        row = self.rows[self.position[lease.row]]
        suggestion = lease.suggestion if lease.shown else None
        previous = None if label is None else {"id": label.id, "label": label.label, "note": label.note}
        return {"row": row.id, "texts": list(row.texts), "suggestion": suggestion, "previous": previous}
