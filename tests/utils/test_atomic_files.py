import os
import subprocess
import sys
import uuid

import pytest

from kickbert.utils import atomic_files
from kickbert.utils.atomic_files import exclusive, fresh_folder, replacing


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


KILLED = """
import os, signal, sys
from pathlib import Path
from kickbert.utils.atomic_files import fresh_folder, replacing
home = Path(sys.argv[1])
with replacing(home / "it.txt") as part, fresh_folder(home) as folder:
    part.write_text("half")
    (folder / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_cleared_away(tmp_path):
    assert subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)]).returncode == -9
    assert len(list(tmp_path.iterdir())) == 2
    with replacing(tmp_path / "other.txt") as part:
        part.write_text("one")
    assert [p.name for p in tmp_path.iterdir()] == ["other.txt"]


def part_name(machine: str | None = None, pid: int = 999_999_999, start: int = 0) -> str:
    return f".kickbert-{machine or atomic_files._machine()}-{pid}-{start}-{uuid.uuid4().hex}.part"


def test_what_is_a_users_or_a_living_writers_stays(tmp_path):
    kept = [
        "o.csv.4194300.part",  # a user's, of a download, say
        "o.csv.old.part",
        ".kickbert-notes.part",
        part_name(machine="0" * 12),  # of another machine
        part_name(pid=os.getpid(), start=atomic_files._start(os.getpid())),  # of another thread
    ]
    for name in kept:
        (tmp_path / name).mkdir() if name.startswith("o.csv.old") else (tmp_path / name).write_text("half")
    gone = [
        part_name(),
        part_name(pid=1, start=atomic_files._start(1) + 60),
    ]  # the second had the number that another process has now
    for name in gone:
        (tmp_path / name).write_text("half")
    with replacing(tmp_path / "o.csv") as part, fresh_folder(tmp_path) as folder:
        assert part.exists() is False and folder.is_dir()
        part.write_text("one")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*kept, "o.csv"])


def test_containers_of_one_name_are_told_apart(monkeypatch):
    here = atomic_files._machine()
    monkeypatch.setattr(atomic_files.platform, "node", lambda: "another")
    assert atomic_files._machine() != here


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    with replacing(tmp_path / "it.txt") as first, replacing(tmp_path / "it.txt") as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert (tmp_path / "it.txt").read_text() == "first" and len(list(tmp_path.iterdir())) == 1


def test_a_long_name_leaves_room(tmp_path):
    name = "ü" * 125 + ".csv"  # 254 bytes, one less than a file system takes
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


def test_what_a_process_holds_is_free_again_when_it_is_killed(tmp_path):
    path = tmp_path / "new" / "out"
    call = [sys.executable, "-c", HOLDING, str(path)]
    holder = subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(ValueError, match="another process writes to "), exclusive(path):
        pass
    holder.kill()
    holder.communicate()
    with exclusive(path):
        path.mkdir()
    assert [p.name for p in path.parent.iterdir()] == ["out"]
