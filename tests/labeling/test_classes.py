"""Classes are added, renamed, merged and split while labels stay as they were entered."""

import pandas as pd
import pytest

from kickbert.labeling.classes import ClassList, add_classes, current_labels


@pytest.fixture
def classes(make_database):
    database = make_database(pd.DataFrame({"text": list("abcdef")}), classes=["sport", "football", "politics"])
    for row, name in enumerate(("sport", "football", "politics"), start=1):
        database.append(row, name, "anna")
    return ClassList(database)


def labels(classes) -> list:
    return [label.label for label in current_labels(classes.database)]


def test_keys_for_nine(classes):
    add_classes(classes, [f"class {i}" for i in range(8)])
    assert [c.key for c in classes()] == [*"123456789", None, None]


def test_a_renamed_class_keeps_place_key_and_labels(classes):
    assert classes.rename("sport", "sports") == "sports"
    assert [(c.name, c.key) for c in classes()] == [("sports", "1"), ("football", "2"), ("politics", "3")]
    assert labels(classes) == ["sports", "football", "politics"]
    assert classes.checked("sport") == "sports"  # from a page that does not know yet
    assert classes.database.labels()[0].label == "sport"  # as entered
    assert classes.rename("sports", "sport") == "sport"
    assert classes.names() == ["sport", "football", "politics"] and labels(classes)[0] == "sport"


def test_a_merge_can_be_undone(classes):
    classes.rename("football", "sport")
    assert labels(classes) == ["sport", "sport", "politics"]
    assert [(c.name, c.former) for c in classes()] == [("sport", ("football",)), ("politics", ())]
    classes.rename("sport", "games")  # the merged class goes along
    assert labels(classes) == ["games", "games", "politics"]
    classes.split_off("football")
    assert labels(classes) == ["games", "football", "politics"]
    with pytest.raises(ValueError, match=r"'politics' is not merged into another class. Merged classes: \['sport'\]"):
        classes.split_off("politics")


def test_renames_in_a_circle_end(classes):
    for old, new in (("sport", "a"), ("a", "b"), ("b", "sport"), ("sport", "politics"), ("politics", "sport x")):
        classes.rename(old, new)
    assert labels(classes) == ["sport x", "football", "sport x"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("  ", "a class needs a name"),
        ("Sport", "'sport' already exists; choose a name other than 'Sport'"),
        ("x" * 101, "has 101 characters; the limit is 100"),
    ],
)
def test_names_that_are_not_allowed(classes, name, reason):
    with pytest.raises(ValueError, match=reason):
        classes.add(name)


def test_a_former_name_is_taken(classes):
    classes.rename("football", "sport")
    with pytest.raises(ValueError, match="'football' is already a name of 'sport'"):
        classes.add("football")
    with pytest.raises(ValueError, match=r"'tennis' is not a class. Classes: \['sport', 'politics'\]"):
        classes.rename("tennis", "golf")


def test_labels_are_checked(classes):
    with pytest.raises(ValueError, match="'tennis' is not a class"):
        classes.checked("tennis")
    with pytest.raises(ValueError, match=r"label=\['sport'\] must be one name"):
        classes.checked(["sport"])
    assert classes.checked(None) is None


def test_several_labels_in_the_order_of_the_classes(make_database):
    classes = ClassList(make_database(classes=["a", "b", "c"], task="multi-label"))
    assert classes.checked(["c", "a"]) == ["a", "c"] and classes.checked([]) == []
    classes.rename("c", "a")
    assert classes.checked(["c", "a"]) == ["a"]
    with pytest.raises(ValueError, match="must be a list of names"):
        classes.checked("a")
    with pytest.raises(ValueError, match=r"'x\|y' contains '\|'"):
        classes.add("x|y")
