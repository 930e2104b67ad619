import pytest

from kickbert.utils.atomic_files import replacing


def test_the_file_is_there_as_a_whole_or_not_at_all(tmp_path):
    file = tmp_path / "new" / "it.txt"
    with pytest.raises(RuntimeError), replacing(file) as part:
        part.write_text("half")
        raise RuntimeError
    assert list(file.parent.iterdir()) == []
    with replacing(file) as part:
        part.write_text("one")
        assert not file.exists()
    with pytest.raises(RuntimeError), replacing(file) as part:
        part.write_text("two")
        raise RuntimeError
    assert file.read_text() == "one" and list(file.parent.iterdir()) == [file]


def test_what_a_killed_process_left_is_cleared_away(tmp_path):
    (tmp_path / "it.txt.999999999.part").write_text("half")
    living = tmp_path / "it.txt.1.part"  # process 1 is always there
    living.write_text("half")
    with replacing(tmp_path / "it.txt") as part:
        part.write_text("one")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["it.txt", "it.txt.1.part"]
