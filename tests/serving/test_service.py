"""The service without HTTP: predictions, timeouts, a shutdown, and other processes that write the model's folder."""

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import pytest

import kickbert
from kickbert.models.artifact.versions import versions
from kickbert.serving import service as module
from kickbert.serving.csv_files import TooLarge
from kickbert.serving.service import Busy, Service, Stopping, reload_models
from kickbert.serving.settings import Settings
from kickbert.serving.telemetry import Telemetry


def serving(main, folder, **settings):
    """Run `main` with a started service of a folder."""

    async def run():
        service = Service(folder, Settings(folder, backend="torch", **settings), Telemetry(lambda: 0))
        await service.start()
        try:
            return await main(service)
        finally:
            await service.stop()

    return asyncio.run(asyncio.wait_for(run(), 60))


def watched(service: Service, see: Callable[[np.ndarray], object]) -> None:
    """Call `see` with the token ids of each batch first."""
    backend = service.models.backend

    class Watched:
        def __getattr__(self, name):
            return getattr(backend, name)

        def __call__(self, ids, *rest):
            see(ids)
            return backend(ids, *rest)

    service.models.backend = Watched()


def slowed(service: Service, seconds: float) -> None:
    """Slow down each batch by this time."""
    watched(service, lambda ids: time.sleep(seconds))


def rows(texts: list[str]) -> list[dict[str, str]]:
    return [{"text": text} for text in texts]


def test_work_per_call_is_bounded(served, monkeypatch):
    """Texts are tokenized and predicted a limited amount at a time, and come back in their order."""
    monkeypatch.setattr(module, "CHARS", 500)
    monkeypatch.setattr(module, "AREA", 2_000)
    texts, shapes, tokenized = [f"a bright film no {i} {'and so on ' * (i % 7)}" for i in range(60)] + [" "], [], []

    async def main(service):
        encoder = service.models["one"].token_encoder
        encode = encoder.encode_documents
        watched(service, lambda ids: shapes.append(ids.shape))
        encoder.encode_documents = lambda texts: tokenized.append(sum(map(len, texts))) or encode(texts)
        return await service.predict(rows(texts))

    answers = serving(main, served / "one")["one"]
    labels = kickbert.load(served / "one", "torch").predict(texts[:-1])
    assert [p["label"] for p in answers["predictions"][:-1]] == labels and answers["version"] == "v1"
    assert set(answers["predictions"][-1].values()) == {None}
    assert all(count == 1 or count * tokens**2 <= 2_000 for count, tokens in shapes) and len(shapes) > 10
    assert max(tokenized) <= 500


def test_slow_work_is_abandoned(served):
    async def main(service):
        slowed(service, 0.2)
        with pytest.raises(TimeoutError, match=r"over 0.1 s; send a shorter text"):
            await service.explain("one", {"text": "a film " * 200}, None)
        with pytest.raises(TimeoutError, match=r"over 0.1 s; send fewer rows"):
            await service.predict_csv("one", b"text\n" + b"".join(b"a film no %d\n" % i for i in range(200)))
        assert service.jobs == 0
        start = time.monotonic()
        with pytest.raises(TimeoutError, match=r"over 0.1 s; send fewer or shorter texts"):
            await service.predict(rows([f"a film no {i}" for i in range(1_000)]))
        await service.batcher.stop()
        assert time.monotonic() - start < 3  # all of it would take over six seconds
        service.batcher.start()

    serving(main, served / "one", timeout=0.1, file_timeout=0.1)


def test_a_file_has_a_maximum_of_rows(served):
    async def main(service):
        content, report = await service.predict_csv("one", b"=id,text\n=1+1,@a\n" + b"-5,-a film\n" * 49)
        with pytest.raises(TooLarge, match="over 50 rows"):
            await service.predict_csv("one", b"text\n" + b"a\n" * 51)
        return content, report

    content, report = serving(main, served / "one", max_rows=50)
    lines = content.decode().splitlines()
    assert report.rows == 50 and content.count(b"\r\n") == 51
    assert lines[0].startswith("'=id,text,predicted_label") and lines[1].startswith("'=1+1,'@a,")
    assert lines[2].startswith("-5,'-a film,")


def test_jobs_have_a_maximum(served):
    async def main(service):
        slowed(service, 0.3)
        first = asyncio.create_task(service.predict_csv("one", b"text\na\n"))
        await asyncio.sleep(0.05)
        with pytest.raises(Busy, match="in progress: 1"):
            await service.explain("one", {"text": "a film"}, None)
        assert (await first)[1].rows == 1

    serving(main, served / "one", jobs=1)


def test_a_shutdown_ends_long_work(served):
    async def main(service):
        slowed(service, 0.05)
        short = asyncio.create_task(service.predict_csv("one", b"text\na\n"))
        long = asyncio.create_task(
            service.predict_csv("one", b"text\n" + b"".join(b"film %d\n" % i for i in range(2_000)))
        )
        await asyncio.sleep(0.05)
        service.close()
        assert (await short)[1].rows == 1
        with pytest.raises(Stopping):
            await long

    serving(main, served / "one", timeout=0.5)


def test_an_edited_model_card_is_shown_and_a_missing_one_is_empty(served, tmp_path):
    folder = shutil.copytree(served / "one" / "v1", tmp_path / "v1")

    async def card(service):
        return service.models["v1"].artifact.card

    (folder / "README.md").write_text("Ours, ünd edited", encoding="utf-8")
    assert serving(card, folder) == "Ours, ünd edited"
    (folder / "README.md").unlink()
    assert serving(card, folder) == ""


WRITE = """
import sys
from pathlib import Path
from kickbert.models.artifact.versions import write_artifact
source = {p.name: p.read_bytes() for p in Path(sys.argv[1]).iterdir() if p.name != "manifest.json"}
for _ in range(int(sys.argv[3])):
    write_artifact(sys.argv[2], lambda part: [(part / name).write_bytes(data) for name, data in source.items()])
"""


@pytest.mark.system
def test_two_writers_of_the_folder_do_not_disturb_reloads(served, tmp_path):
    home, reloaded = tmp_path / "k", []
    call = [sys.executable, "-c", WRITE, served / "one" / "v1", home]

    async def main(service):
        async def reload():
            await reload_models([service])
            reloaded.append(service.models["k"].artifact.version)

        writers = [subprocess.Popen([*call, "15"]) for _ in range(2)]
        while any(writer.poll() is None for writer in writers):
            await reload()
        assert [writer.returncode for writer in writers] == [0, 0]
        await reload()

    subprocess.run([*call, "1"], check=True)
    serving(main, home)
    assert len(versions(home)) == 31 and reloaded[-1] == (home / "latest").read_text().strip() in ("v30", "v31")
    for version in versions(home):
        kickbert.load(home / version, "torch")
