"""A file or folder is written completely or not at all, even if the process is killed."""

import os
import subprocess
import sys

import pytest

from kickbert.utils.atomic_files import STALE, exclusive, fresh_folder, replacing


def test_a_file_is_replaced_only_by_a_complete_file(tmp_path):
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


def test_only_abandoned_parts_are_deleted(tmp_path):
    names = ["o.csv.part", ".kickbert-new.part", ".kickbert-old.part", ".kickbert-folder.part"]
    for name in names[:3]:
        (tmp_path / name).write_text("half")
    (tmp_path / names[3]).mkdir()
    for name in names:
        if name != ".kickbert-new.part":
            os.utime(tmp_path / name, (0, (tmp_path / name).stat().st_mtime - STALE - 60))
    with replacing(tmp_path / "o.csv") as part, fresh_folder(tmp_path) as folder:
        assert not part.exists() and folder.is_dir()
        part.write_text("one")
    assert sorted(p.name for p in tmp_path.iterdir()) == [".kickbert-new.part", "o.csv", "o.csv.part"]


def test_two_writers_of_one_file_do_not_interfere(tmp_path):
    with replacing(tmp_path / "it.txt") as first, replacing(tmp_path / "it.txt") as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert (tmp_path / "it.txt").read_text() == "first" and len(list(tmp_path.iterdir())) == 1


def test_file_names_of_maximum_length(tmp_path):
    name = "ü" * 125 + ".csv"  # 254 bytes
    with replacing(tmp_path / name) as part:
        part.write_text("one")
    assert (tmp_path / name).read_text() == "one"


HOLDING = """
import sys
from pathlib import Path
from kickbert.utils.atomic_files import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.system
def test_a_lock_is_released_when_its_process_ends(tmp_path):
    path = tmp_path / "new" / "out"
    call = [sys.executable, "-c", HOLDING, str(path)]
    holder = subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(ValueError, match="another process is writing to "), exclusive(path):
        pass
    holder.kill()
    holder.communicate()
    with exclusive(path):
        path.mkdir()
    assert [p.name for p in path.parent.iterdir()] == ["out"]
