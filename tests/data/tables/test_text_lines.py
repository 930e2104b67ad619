"""NUL characters are removed from text files, and the lines with them are counted."""

import pytest

from kickbert.data.tables.reading import read_rows


@pytest.mark.parametrize("name", ["a.csv", "a.txt", "a.jsonl"])
def test_nul_characters_are_removed_and_counted(tmp_path, name):
    lines = ["text", *(f"film {i}" for i in range(30))]
    if name == "a.jsonl":
        lines = [f'{{"text": "film {i}"}}' for i in range(30)]
    content = "\n".join(lines).encode()
    (tmp_path / name).write_bytes(content.replace(b"film 7", b"fi\0lm\0 7").replace(b"film 9", b"film\0 9"))
    with pytest.warns(UserWarning, match=f"{name}: removed NUL characters from lines [0-9]+, [0-9]+$") as caught:
        df = read_rows(tmp_path / name)
    assert len(caught) == 1 and {"film 7", "film 9"} <= set(df["text"])
