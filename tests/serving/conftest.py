"""Applications of the saved models, in this process, shared by the tests of this folder."""

import pytest

pytest.importorskip("fastapi", reason="the extra kickbert[serve] is not installed")
from fastapi.testclient import TestClient

from kickbert.serving import Settings, create_app


@pytest.fixture(scope="session")
def client(served):
    """A client of a model that reads one column."""
    with TestClient(create_app(Settings(served / "one", max_chars=5_000, max_texts=64, max_bytes=200_000))) as client:
        yield client


@pytest.fixture(scope="session")
def keyed(served):
    """A client of a model that reads two columns and requires a key."""
    settings = Settings(served / "two", api_key="secret", private_metrics=True, queue_size=50)
    with TestClient(create_app(settings)) as client:
        yield client
