"""Class numbers of labels, also where another file writes the same label differently: 1, 1.0, "1"; True, "TRUE"."""

import re
from collections import Counter
from collections.abc import Hashable, Sequence
from decimal import Decimal

# Not 007; up to 17 digits, as a float has.
_NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9][0-9]{0,16})(?:\.[0-9]{0,17})?|\.[0-9]{1,17})(?:[eE][+-]?[0-9]{1,3})?")
_BOOLEANS = ("true", "false")


def written(label: Hashable) -> str:
    """Write a label as text. All ways to write a number, or a boolean, have the same result.

    >>> [written(label) for label in (1, 1.0, "1", "1.0", "01")], written(True), written("TRUE")
    (['1', '1', '1', '1', '01'], 'true', 'true')
    """
    text = str(label)
    if text.lower() in _BOOLEANS:
        return text.lower()
    if not _NUMBER.fullmatch(text):
        return text
    number = Decimal(text).normalize()
    return str(number) if number else "0"


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
