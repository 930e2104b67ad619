"""The wheel, installed without a checkout, contains every file, and trains, predicts and serves its page."""

import os
import subprocess
import sys
import sysconfig
import zipfile

import pytest
from conftest import REPO

pytestmark = pytest.mark.system

SCRIPT = """
import sys, pandas as pd, kickbert
assert sys.prefix in kickbert.__file__, kickbert.__file__
df = pd.DataFrame({"text": ["good film", "bad film"] * 30, "label": ["good", "bad"] * 30})
learn = kickbert.learner_from_df(df, model=sys.argv[1], path=sys.argv[2], bs=8, precision="fp32")
learn.fit_gradual()
folder = learn.save_artifact(sys.argv[2] + "/saved")
assert len(kickbert.load(folder, backend="torch").predict(["a film"])) == 1
from fastapi.testclient import TestClient
from kickbert.serving import Settings, create_app
with TestClient(create_app(Settings(folder, backend="torch"))) as client:
    page = client.get("/")
    assert page.status_code == 200 and page.text.startswith("<!doctype html>")
print("works")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    tracked = subprocess.run(["git", "ls-files"], cwd=REPO, capture_output=True, text=True, check=True).stdout
    for name in tracked.splitlines():  # tracked files only, not local ones
        if name.startswith("kickbert/") or name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((REPO / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", out, source]
    subprocess.run(command, check=True)
    return next(out.glob("*.whl")), sorted(p.relative_to(source).as_posix() for p in source.glob("kickbert/**/*.*"))


def test_every_file_of_the_package_is_in_it(wheel):
    file, tracked = wheel
    with zipfile.ZipFile(file) as content:
        packed = sorted(name for name in content.namelist() if name.startswith("kickbert/"))
    assert packed == tracked and "kickbert/serving/serve_page.html" in packed and "kickbert/py.typed" in packed


def test_it_works_without_the_checkout(wheel, tiny, tmp_path):
    pytest.importorskip("fastapi", reason="the extra kickbert[serve] is not installed")
    env = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", env], check=True)
    python = env / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", wheel[0]], check=True)
    # Its dependencies are those of this environment; an added path brings no kickbert that is installed in place there.
    site = next(env.glob("lib/python*/site-packages"))
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (tmp_path / "script.py").write_text(SCRIPT)
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    call = [python, "script.py", tiny, str(tmp_path)]
    done = subprocess.run(call, cwd=tmp_path, env=clean, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.endswith("works\n"), done.stderr
    command = [env / "bin" / "kickbert", "--version"]
    assert subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True).stdout.startswith(
        "kickbert "
    )
