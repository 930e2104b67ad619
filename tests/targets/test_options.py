"""Options for reading a target column."""

from kickbert.targets.multi_labels import MultiLabels
from kickbert.targets.options import TargetOptions


def test_the_delimiter_of_a_known_target_takes_precedence():
    known = MultiLabels(("a", "b"), delim="|")
    assert TargetOptions(label_delim=";").delim == ";"
    assert TargetOptions(label_delim=";", target=known).delim == "|"
