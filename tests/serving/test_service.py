"""The service without HTTP: predictions, time limits, a stop, and two writers of the folder that it reads."""

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the extra kickbert[serve] is not installed")

import kickbert
from kickbert.models.artifact.versions import versions
from kickbert.serving import service as module
from kickbert.serving.csv_files import TooLarge
from kickbert.serving.service import Busy, Service, Stopping
from kickbert.serving.settings import Settings


def serving(main, folder, **settings):
    """Run `main` with a service of a folder that has started."""

    async def run():
        service = Service(Settings(folder, backend="torch", **settings))
        await service.start()
        try:
            return await main(service)
        finally:
            await service.stop()

    return asyncio.run(asyncio.wait_for(run(), 60))


def watched(service: Service, see: Callable[[np.ndarray], object]) -> None:
    """Let `see` have the token ids of each batch first."""
    backend = service.model.backend

    class Watched:
        name, workers, spare = backend.name, backend.workers, backend.spare

        def __call__(self, ids, *rest):
            see(ids)
            return backend(ids, *rest)

    service.model.backend = Watched()


def slowed(service: Service, seconds: float) -> None:
    """Let each batch take so long."""
    watched(service, lambda ids: time.sleep(seconds))


def test_many_texts_are_answered_as_the_predictor_answers_them(served):
    texts = [f"a bright film no {i} {'and so on ' * (i % 7)}" for i in range(100)] + [" "]
    answers = serving(lambda service: service.predict(texts), served / "one")
    labels = kickbert.load(served / "one", "torch").predict(texts[:-1])
    assert [p["label"] for p in answers["predictions"][:-1]] == labels and answers["version"] == "v1"
    assert set(answers["predictions"][-1].values()) == {None}


def test_what_a_batch_takes_is_bounded(served, monkeypatch):
    """Texts are tokenised and go through the model so many at a time, and come back in their order."""
    monkeypatch.setattr(module, "CHARS", 500)
    monkeypatch.setattr(module, "AREA", 2_000)
    texts, shapes, tokenised = [f"a bright film no {i} {'and so on ' * (i % 7)}" for i in range(60)], [], []

    async def main(service):
        encoder = service.model.token_encoder
        encode = encoder.encode_documents
        watched(service, lambda ids: shapes.append(ids.shape))
        encoder.encode_documents = lambda texts: tokenised.append(sum(map(len, texts))) or encode(texts)
        return await service.predict(texts)

    answers = serving(main, served / "one")
    assert [p["label"] for p in answers["predictions"]] == kickbert.load(served / "one", "torch").predict(texts)
    assert all(rows == 1 or rows * tokens**2 <= 2_000 for rows, tokens in shapes) and len(shapes) > 10
    assert max(tokenised) <= 500 and sum(tokenised) == sum(map(len, texts))


def test_texts_that_take_too_long_are_given_up_and_so_is_the_work(served):
    async def main(service):
        slowed(service, 0.2)
        start = time.monotonic()
        with pytest.raises(TimeoutError, match=r"over 0.3 s; send fewer or shorter texts"):
            await service.predict([f"a film no {i}" for i in range(1_000)])
        await service.batcher.stop()
        assert time.monotonic() - start < 3  # all of it would take over six seconds
        service.batcher.start()

    serving(main, served / "one", timeout=0.3)


def test_an_explanation_that_takes_too_long_is_given_up(served):
    async def main(service):
        slowed(service, 0.2)
        with pytest.raises(TimeoutError, match=r"over 0.1 s; send a shorter text"):
            await service.explain("a film " * 200, None)
        assert service.jobs == 0

    serving(main, served / "one", timeout=0.1)


def test_a_file_has_a_time_and_a_number_of_rows(served):
    async def main(service):
        content, report = await service.label(b"text\n" + b"a bright film\n" * 50)
        assert report.rows == 50 and content.count(b"\r\n") == 51
        with pytest.raises(TooLarge, match="over 200 rows"):
            await service.label(b"text\n" + b"a\n" * 201)
        slowed(service, 0.2)
        with pytest.raises(TimeoutError, match=r"over 0.3 s; send fewer rows"):
            await service.label(b"text\n" + b"".join(b"a film no %d\n" % i for i in range(200)))

    serving(main, served / "one", most_rows=200, file_timeout=0.3)


def test_formulas_come_back_harmless(served):
    content, _ = serving(lambda service: service.label(b"=id,text\n=1+1,@a\n-5,-a film\n"), served / "one")
    lines = content.decode().splitlines()
    assert lines[0].startswith("'=id,text,label") and lines[1].startswith("'=1+1,'@a,")
    assert lines[2].startswith("-5,'-a film,")


def test_so_many_jobs_at_a_time(served):
    async def main(service):
        slowed(service, 0.3)
        first = asyncio.create_task(service.label(b"text\na\n"))
        await asyncio.sleep(0.05)
        with pytest.raises(Busy, match="1 explanations or files"):
            await service.explain("a film", None)
        assert (await first)[1].rows == 1

    serving(main, served / "one", jobs=1)


def test_a_stop_ends_what_takes_longer(served):
    async def main(service):
        slowed(service, 0.1)
        short = asyncio.create_task(service.label(b"text\na\n"))
        long = asyncio.create_task(service.label(b"text\n" + b"".join(b"a film no %d\n" % i for i in range(2_000))))
        await asyncio.sleep(0.05)
        service.close()
        assert (await short)[1].rows == 1
        with pytest.raises(Stopping):
            await long

    serving(main, served / "one", timeout=1.0)


def test_an_edited_model_card_is_shown_and_a_missing_one_is_empty(served, tmp_path):
    folder = shutil.copytree(served / "one" / "v1", tmp_path / "v1")

    async def card(service):
        return service.model.artifact.card

    (folder / "README.md").write_text("Ours, ünd edited", encoding="utf-8")
    assert serving(card, folder) == "Ours, ünd edited"
    (folder / "README.md").unlink()
    assert serving(card, folder) == ""


WRITE = """
import sys
from pathlib import Path
from kickbert.models.artifact.versions import write_artifact
source = {p.name: p.read_bytes() for p in Path(sys.argv[1]).iterdir() if p.name != "manifest.json"}
for _ in range(15):
    write_artifact(sys.argv[2], lambda part: [(part / name).write_bytes(data) for name, data in source.items()])
"""


def test_two_writers_of_the_folder_disturb_no_reload(served, tmp_path):
    home, loaded = tmp_path / "k", []

    async def main(service):
        writers = [subprocess.Popen([sys.executable, "-c", WRITE, served / "one" / "v1", home]) for _ in range(2)]
        while any(writer.poll() is None for writer in writers):
            loaded.append(await service.reload())
        assert [writer.returncode for writer in writers] == [0, 0]
        loaded.append(await service.reload())

    subprocess.run(
        [sys.executable, "-c", WRITE.replace("range(15)", "range(1)"), served / "one" / "v1", home], check=True
    )
    serving(main, home)
    assert len(versions(home)) == 31 and loaded[-1] == (home / "latest").read_text().strip() in ("v30", "v31")
    for version in versions(home):
        kickbert.load(home / version, "torch")
