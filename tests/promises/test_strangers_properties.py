"""Any container, column names, missing cells and labels: read as a list and a file are, or refused in a sentence."""

from collections import Counter, deque

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kickbert.data.rows import TextRows
from kickbert.data.tables.reading import read_rows
from kickbert.data.transforms import TextTokenizer
from kickbert.targets.fitting import fit_target, read_target
from kickbert.targets.label_cells import labeled_rows
from kickbert.targets.label_numbers import written
from kickbert.targets.options import TargetOptions
from kickbert.text.columns import read_items, read_texts

pytestmark = pytest.mark.filterwarnings("ignore")
MISSING = st.sampled_from([None, "", "  ", "#N/A", "\u200b"])
SHARED = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])

MANY = [
    list, np.array, pd.Series, iter, deque, pd.Index, lambda texts: dict(enumerate(texts)).values(),
    lambda texts: np.array(texts, dtype=object), lambda texts: pd.Series(texts, index=[f"text {i}" for i in texts]),
    lambda texts: pd.DataFrame({"text": texts}), lambda texts: [[text] for text in texts],
    lambda texts: [{"text": text} for text in texts], lambda texts: (text for text in texts),
    lambda texts: np.array(texts, dtype=object).reshape(-1, 1),
    lambda texts: pd.DataFrame({"text": texts}).itertuples(index=False),
]  # fmt: skip
ONE = [
    lambda texts: texts[0], lambda texts: texts[0].encode(), tuple, set, frozenset, lambda texts: {"text": texts},
    lambda texts: pd.Series({"text": texts[0]}), lambda texts: None, lambda texts: 7,
]  # fmt: skip


@SHARED
@given(st.lists(st.text(max_size=8), min_size=1, max_size=5), st.sampled_from(range(len(MANY))))
def test_texts_in_any_container_are_the_list_of_them(texts, i):
    expected, blank = read_items(texts, ["text"])
    read, empty = read_items(MANY[i](texts), ["text"])
    assert read == expected and empty.tolist() == blank.tolist()


@given(st.lists(st.text(max_size=8), min_size=1, max_size=5), st.sampled_from(range(len(ONE))))
def test_what_is_no_list_of_texts_is_refused(texts, i):
    with pytest.raises(TypeError, match="texts must be a list of texts or a DataFrame, not"):
        read_items(ONE[i](texts), ["text"])


@pytest.fixture(scope="module")
def tokenizer(tiny):
    return TextTokenizer(tiny)


NAMES = st.one_of(
    st.text(max_size=4), st.integers(0, 3), st.floats(), st.booleans(), st.none(), st.dates(),
    st.tuples(st.text(max_size=2), st.text(max_size=2)),
)  # fmt: skip


@SHARED
@given(names=st.lists(NAMES, min_size=2, max_size=5), data=st.data())
def test_columns_of_any_name_are_read_or_refused(tokenizer, names, data):
    text, label = data.draw(st.tuples(*[st.integers(0, len(names) - 1)] * 2), label="positions")
    cells = {i: ["-"] * 4 for i in range(len(names))} | {label: ["a", "b", "a", "b"]}
    df = pd.DataFrame(cells | {text: ["one", "two", "three", "four"]})
    df.columns = pd.Index(names, dtype=object, tupleize_cols=False)
    columns = df.columns.tolist()
    clear = columns.count(columns[text]) == columns.count(columns[label]) == 1 and text != label
    clear = clear and not any(isinstance(name, tuple) for name in names)
    options = TargetOptions(columns[label])
    if clear:
        rows = TextRows.from_df(df, tokenizer, options, text_col=columns[text])
        assert rows.texts == ["one", "two", "three", "four"] and rows.column.values.tolist() == ["a", "b", "a", "b"]
    else:
        with pytest.raises(ValueError, match=r"is the name of \d columns|names of df are tuples|both|would read what"):
            TextRows.from_df(df, tokenizer, options, text_col=columns[text])


@SHARED
@given(
    rows=st.lists(
        st.tuples(st.one_of(MISSING, st.just("a text")), st.one_of(MISSING, st.sampled_from("ab"))), min_size=1
    )
)
def test_missing_cells_are_the_same_in_a_frame_and_a_file(tmp_path_factory, rows):
    df = pd.DataFrame(rows, columns=["text", "label"]).assign(row=range(len(rows)))
    file = tmp_path_factory.getbasetemp() / "missing.csv"
    df.to_csv(file, index=False, encoding="utf-8")
    read = read_rows(file, encoding="utf-8", sep=",", text_col=["text"])
    expected = [label in ("a", "b") for _, label in rows]
    assert labeled_rows(df["label"]).tolist() == labeled_rows(read["label"]).tolist() == expected
    without = [text != "a text" for text, _ in rows]
    assert read_texts(df, "text")[1].tolist() == read_texts(read, "text")[1].tolist() == without


WORDS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"], exclude_characters='"'), max_size=5)
KINDS = [WORDS, st.integers(-(2**62), 2**62), st.floats(allow_nan=False, allow_infinity=False), st.booleans()]
KINDS += [st.sampled_from(["1", "01", "1.0", "TRUE", "True", "a|b", "NA", "nan", " a", "a "]), st.one_of(*KINDS)]
COLUMNS = st.one_of(*[st.lists(st.one_of(kind, MISSING), min_size=2, max_size=9) for kind in KINDS])


@SHARED
@given(cells=COLUMNS)
def test_any_labels_are_encoded_decoded_and_read_back(tmp_path_factory, cells):
    values = pd.Series(cells * 2, name="label")
    values = values[labeled_rows(values)]
    try:
        target = fit_target(values, task="single label")
    except ValueError as err:
        assert "column 'label'" in str(err)
        return
    codes = read_target(values, TargetOptions(target=target)).fit()[1]
    assert target.decode(codes) == values.tolist()
    file = tmp_path_factory.getbasetemp() / "labels.csv"
    values.to_frame().assign(text="x").to_csv(file, index=False, encoding="utf-8")
    read = read_rows(file, encoding="utf-8", sep=",", text_col=["text"])["label"]
    found = target.encode(read)
    unclear = Counter(map(written, target.classes))
    for number, code in zip(found, codes, strict=True):  # "1" and "1.0" are the same number in a file
        assert number == code or (number == -1 and unclear[written(target.classes[code])] > 1)
