"""Progress bars appear in notebooks and terminals, not in log files."""

import sys
import types

import pytest

from kickbert.utils import progress


class ZMQInteractiveShell:
    """Named like the shell of a Jupyter kernel."""


def test_a_notebook_is_recognized_by_its_shell(monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=ZMQInteractiveShell))
    assert progress.in_notebook() and progress.interactive()
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: None))
    assert not progress.in_notebook()
    monkeypatch.delitem(sys.modules, "IPython")
    assert not progress.in_notebook()


@pytest.mark.parametrize("terminal", [True, False])
def test_only_a_terminal_shows_a_bar(monkeypatch, capsys, terminal):
    monkeypatch.setattr(progress, "in_notebook", lambda: False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    assert list(progress.bar([1, 2, 3], "counting")) == [1, 2, 3]
    with progress.bar(None, "reading", total=9, unit=" rows") as shown:
        shown.update(9)
    out, err = capsys.readouterr()
    assert out == "" and ("counting" in err and "0/9" in err if terminal else err == "")


def test_only_the_first_of_several_processes_shows_anything(monkeypatch, capsys):
    monkeypatch.setattr(progress, "in_notebook", lambda: True)
    for number in (0, 1):
        monkeypatch.setattr(progress, "rank", lambda number=number: number)
        progress.say(f"process {number}")
        assert progress.interactive() == (number == 0)
        assert progress.bar([1], "counting").disable == (number == 1)
    assert capsys.readouterr().out == "process 0\n"
