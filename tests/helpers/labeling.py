"""A labeling session without a thread or an encoder."""

from helpers.topics import WORDS
from kickbert.labeling.background import BackgroundModel
from kickbert.labeling.session import LabelingSession


def topic_of(text: str) -> str:
    """Return the true label of a text from `topics`."""
    return next(name for name, words in WORDS.items() if set(words) & set(text.split()))


def settle(model: BackgroundModel) -> None:
    """Do all the work there is."""
    while model.step():
        pass


def label_next(session: LabelingSession, count: int, who: str = "anna") -> list[dict]:
    """Label the next texts correctly while the model keeps up; return what was shown."""
    items = []
    for _ in range(count):
        settle(session.model)
        item = session.next("b", 1)[0]
        session.label(item["row"], topic_of(item["texts"][0]), who, shown=item["suggestion"] is not None)
        items.append(item)
    return items
