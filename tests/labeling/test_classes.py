"""Classes are added, renamed, merged and split off again while labels stay as they were given."""

import pytest

from kickbert.labeling.classes import ClassList, add_classes, present_labels
from kickbert.labeling.database import LabelDatabase


@pytest.fixture
def classes(tmp_path):
    database = LabelDatabase(tmp_path / "labels.db", ["text"])
    database.add_rows([(f"text {i}",) for i in range(6)])
    made = ClassList(database)
    add_classes(made, ["sport", "football", "politics"])
    for row, name in enumerate(("sport", "football", "politics"), start=1):
        database.append(row, name, "anna")
    yield made
    database.close()


def labels(classes) -> list:
    return [label.label for label in present_labels(classes.database)]


def test_keys_for_nine(classes):
    add_classes(classes, [f"class {i}" for i in range(8)])
    assert [c.key for c in classes()] == [*"123456789", None, None]


def test_a_renamed_class_keeps_place_key_and_labels(classes):
    assert classes.rename("sport", "sports") == "sports"
    assert [(c.name, c.key) for c in classes()] == [("sports", "1"), ("football", "2"), ("politics", "3")]
    assert labels(classes) == ["sports", "football", "politics"]
    assert classes.checked("sport") == "sports"  # a page that was not told yet
    assert classes.database.labels()[0].label == "sport"  # as it was given
    assert classes.rename("sports", "sport") == "sport"
    assert [c.name for c in classes()] == ["sport", "football", "politics"] and labels(classes)[0] == "sport"


def test_a_merge_can_be_taken_back(classes):
    classes.rename("football", "sport")
    assert labels(classes) == ["sport", "sport", "politics"]
    assert [(c.name, c.former) for c in classes()] == [("sport", ("football",)), ("politics", ())]
    classes.rename("sport", "games")  # and what was merged goes along
    assert labels(classes) == ["games", "games", "politics"]
    classes.split_off("football")
    assert labels(classes) == ["games", "football", "politics"]
    with pytest.raises(ValueError, match=r"'politics' is merged into no class; merged are \['sport'\]"):
        classes.split_off("politics")


def test_a_rename_round_in_a_ring_ends(classes):
    for old, new in (("sport", "a"), ("a", "b"), ("b", "sport"), ("sport", "politics"), ("politics", "sport x")):
        classes.rename(old, new)
    assert labels(classes) == ["sport x", "football", "sport x"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("  ", "a class needs a name"),
        ("Sport", "'sport' is there already; choose another name than 'Sport'"),
        ("x" * 101, "has 101 characters; a class may have 100"),
    ],
)
def test_names_that_cannot_be(classes, name, reason):
    with pytest.raises(ValueError, match=reason):
        classes.add(name)


def test_a_former_name_is_taken(classes):
    classes.rename("football", "sport")
    with pytest.raises(ValueError, match="'football' is a name of 'sport' already"):
        classes.add("football")
    with pytest.raises(ValueError, match=r"'tennis' is no class; classes are \['sport', 'politics'\]"):
        classes.rename("tennis", "golf")


def test_labels_are_checked(classes):
    with pytest.raises(ValueError, match="'tennis' is no class"):
        classes.checked("tennis")
    with pytest.raises(ValueError, match=r"label=\['sport'\] must be one name"):
        classes.checked(["sport"])
    assert classes.checked(None) is None


def test_several_labels_in_the_order_of_the_classes(tmp_path):
    database = LabelDatabase(tmp_path / "labels.db", ["text"], "multi-label")
    classes = ClassList(database)
    add_classes(classes, ["a", "b", "c"])
    assert classes.checked(["c", "a"]) == ["a", "c"] and classes.checked([]) == []
    classes.rename("c", "a")
    assert classes.checked(["c", "a"]) == ["a"]
    with pytest.raises(ValueError, match="must be a list of names"):
        classes.checked("a")
    with pytest.raises(ValueError, match=r"'x\|y' has a '\|'"):
        classes.add("x|y")
    database.close()
