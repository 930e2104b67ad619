"""The commands of the container image, in a fresh virtual environment, and its configuration."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import time

import pytest
from conftest import REPO
from helpers.serving import free_port

import kickbert


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile and their arguments."""
    lines = (REPO / "Dockerfile").read_text(encoding="utf-8").splitlines()
    return [tuple(line.split(" ", 1)) for line in lines if line and not line.startswith("#")]


@pytest.mark.system
@pytest.mark.timeout(580)
def test_the_image_serves_without_torch(served, tmp_path):
    pytest.importorskip("onnxruntime", reason="the extra kickbert[export] is not installed")
    import pandas as pd

    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    source, port = tmp_path / "src", free_port()
    source.mkdir()
    places = {"/src": source, "/wheels": tmp_path / "wheels", "/requirements.txt": REPO / "container/requirements.txt"}
    for kind, args in instructions():
        if kind == "COPY" and not args.startswith(("--from", "container")):
            *names, _ = args.split()
            for name in names:
                (shutil.copytree if (REPO / name).is_dir() else shutil.copy)(REPO / name, source / name)
        if kind == "RUN" and not args.startswith("useradd"):
            for path, real in places.items():
                args = args.replace(path, str(real))
            done = subprocess.run(
                ["bash", "-c", f'PATH="{tmp_path}/venv/bin:$PATH"; {args}'], cwd=source, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr[-2000:]
    python = tmp_path / "venv" / "bin" / "python"
    without = "import importlib.util as u; print([m for m in ('torch', 'transformers', 'fastai') if u.find_spec(m)])"
    assert subprocess.run([python, "-c", without], capture_output=True, text=True).stdout.strip() == "[]"

    rows = pd.DataFrame({"text": ["a bright, warm film", "a dull, cold film"], "label": ["good", "bad"]})
    kickbert.export(served / "one", rows, force=True)
    pair = [shutil.copytree(served / "one", tmp_path / name) for name in "ab"]
    together = "import kickbert, sys; print(*kickbert.load_many(sys.argv[1:]).predict(['a warm film']))"
    done = subprocess.run([python, "-c", together, *pair], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "a b\n", done.stderr
    steps = dict(instructions())
    command = [part.replace("/model", str(served / "one")) for part in json.loads(steps["CMD"])]
    command[0] = str(tmp_path / "venv" / "bin" / "kickbert")
    command[command.index("0.0.0.0")] = "127.0.0.1"
    command[command.index("8000")] = str(port)
    printed = tmp_path / "printed.txt"
    with printed.open("w") as file:
        server = subprocess.Popen(command, stdout=file, stderr=file, cwd=tmp_path)
    try:
        check = steps["HEALTHCHECK"].split(" CMD ", 1)[1].replace("8000", str(port))
        code = [str(python), *shlex.split(check)[1:]]
        for _ in range(150):
            if subprocess.run(code, capture_output=True).returncode == 0:
                break
            assert server.poll() is None, printed.read_text()
            time.sleep(0.2)
        else:
            raise AssertionError("the service never becomes healthy")
        import httpx

        answer = httpx.post(
            f"http://127.0.0.1:{port}/predict", json={"texts": rows["text"].tolist()}, timeout=60
        ).json()
        assert [p["label"] for p in answer["predictions"]] == kickbert.load(served / "one").predict(
            rows["text"].tolist()
        )
    finally:
        server.terminate()
        assert server.wait(60) in (0, -15)


def test_the_image_runs_as_a_user_without_torch():
    kinds = [kind for kind, _ in instructions()]
    steps = dict(instructions())
    assert (
        kinds.count("FROM") == 2
        and steps["USER"] == "kickbert"
        and kinds.index("USER") > kinds.index("HEALTHCHECK") - 3
    )
    wanted = (REPO / "container" / "requirements.txt").read_text(encoding="utf-8")
    assert not re.search(r"^(torch|transformers|fastai)", wanted, re.M)


def test_compose_requires_a_key_and_leaves_time_to_stop():
    import yaml

    from kickbert.serving.server import GRACE
    from kickbert.serving.service import Settings

    service = yaml.safe_load((REPO / "compose.yaml").read_text(encoding="utf-8"))["services"]["kickbert"]
    assert service["read_only"] and service["volumes"] == ["./models/k:/model:ro"] and service["cap_drop"] == ["ALL"]
    # With `:?`, compose stops with this message if the variable is empty or not set.
    assert service["environment"]["KICKBERT_API_KEY"].startswith("${KICKBERT_API_KEY:?set it")
    assert int(service["stop_grace_period"].removesuffix("s")) > Settings("k").timeout + GRACE
