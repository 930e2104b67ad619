"""A bar is shown to somebody who watches, and never in a log file."""

import sys
import types

from kickbert.utils import progress


class ZMQInteractiveShell:
    """Named as the shell of a Jupyter kernel."""


def test_a_notebook_is_told_by_its_shell(monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=ZMQInteractiveShell))
    assert progress.in_notebook() and progress.interactive()
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: None))
    assert not progress.in_notebook()
    monkeypatch.delitem(sys.modules, "IPython")
    assert not progress.in_notebook()


def test_a_log_file_gets_the_steps_alone(monkeypatch, capsys):
    monkeypatch.setattr(progress, "in_notebook", lambda: False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False, raising=False)
    steps = [1, 2, 3]
    assert progress.bar(steps, "counting") is steps
    assert capsys.readouterr().out == ""


def test_somebody_who_watches_gets_a_bar_with_its_comment(monkeypatch):
    monkeypatch.setattr(progress, "interactive", lambda: True)
    monkeypatch.setattr("fastprogress.fastprogress.WRITER_FN", lambda *args, **kwargs: None)
    shown = progress.bar([1, 2, 3], "counting")
    assert list(shown) == [1, 2, 3] and shown.comment == "counting"


def test_of_several_processes_the_first_shows(monkeypatch, capsys):
    monkeypatch.setattr(progress, "in_notebook", lambda: True)
    for number in (0, 1):
        monkeypatch.setattr(progress, "rank", lambda number=number: number)
        progress.say(f"process {number}")
        assert progress.interactive() == (number == 0)
    assert capsys.readouterr().out == "process 0\n"
