"""Content that is not an artifact's JSON is refused in one sentence that names the file."""

import pytest
from helpers.artifacts import reseal

from kickbert import ArtifactError
from kickbert.models.artifact.reading import read_artifact

NESTED = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize("content", [NESTED, '{"a":' * 100_000, "\x00", '{"format": 1}', "1" * 5000, "null", '"a"', ""])
@pytest.mark.parametrize("file", ["manifest.json", "kickbert.json"])
def test_other_json_is_refused(saved, file, content):
    (saved / file).write_text(content)
    if file != "manifest.json":
        reseal(saved)
    with pytest.raises(ArtifactError) as raised:
        read_artifact(saved)
    assert file in str(raised.value) and len(str(raised.value)) < 400 + len(str(saved))
