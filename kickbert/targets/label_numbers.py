"""Class numbers of labels, also where another file writes the same label differently: 1, 1.0, "1"; True, "TRUE"."""

import re
from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

_WHOLE = re.compile(r"([+-]?[0-9]+)\.0+")
_BOOLEANS = ("true", "false")


def written(label: Hashable) -> str:
    """Write a label as text. The ways to write a whole number or a boolean have the same result.

    >>> [written(label) for label in (1, 1.0, "1", "1.0", "01")], written(True), written("TRUE")
    (['1', '1', '1', '1', '01'], 'true', 'true')
    """
    text = str(int(label)) if isinstance(label, (float, np.floating)) and label % 1 == 0 else str(label)
    if text.lower() in _BOOLEANS:
        return text.lower()
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else text


class LabelNumbers:
    """Class numbers by label: equal labels first, then labels that are written like exactly one class.

    Args:
        classes: the classes in order.

    >>> numbers = LabelNumbers([1, 2])
    >>> [numbers.find(label) for label in (1, "2", 2.0, "3")]
    [0, 1, 1, -1]
    """

    def __init__(self, classes: Sequence[Hashable]):
        self.equal = {label: i for i, label in enumerate(classes)}
        names = [written(label) for label in classes]
        counts = Counter(names)
        self.alike = {name: i for i, name in enumerate(names) if counts[name] == 1}

    def find(self, label: Hashable) -> int:
        """Return the number of a label's class; -1 if it is not one."""
        number = self.equal.get(label)
        return self.alike.get(written(label), -1) if number is None else number
