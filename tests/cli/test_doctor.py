"""The doctor knows every extra, and what this machine can do."""

import configparser
import json

import pytest
from conftest import REPO

from kickbert.cli import doctor


def test_checks(kickbert):
    rows = {row["check"]: row for row in json.loads(kickbert("doctor", "--json").stdout)}
    assert rows["torch"]["ok"] == "yes" and "HF_HUB_OFFLINE" in rows["hub"]["detail"]
    assert {"GPU", "bf16", "memory", "kickbert[minilm]", "kickbert[excel]"} <= set(rows)
    shown = kickbert("doctor").stdout
    assert "kickbert doctor" in shown and "kickbert[serve]" in shown


def test_what_is_not_installed_fails_or_names_its_extra(kickbert, monkeypatch):
    monkeypatch.setattr(doctor, "EXTRAS", {"excel": "no_such_package"})
    done = kickbert("doctor")
    assert done.returncode == 0 and 'pip install "kickbert[excel]"' in done.stdout
    monkeypatch.setattr(doctor, "PACKAGES", ("no-such-package",))
    done = kickbert("doctor", "--json")
    assert done.returncode == 1 and '"no-such-package",\n  "ok":"no"' in done.stdout.replace(": ", ":")


def test_every_extra_is_known():
    if not (REPO / "setup.cfg").exists():
        pytest.skip("no checkout")
    config = configparser.ConfigParser()
    config.read(REPO / "setup.cfg", encoding="utf-8")
    assert set(config["options.extras_require"]) - {"test", "bench", "dev"} == set(doctor.EXTRAS)
