"""Every command that reads rows documents the file types and has options for encoding and separator."""

import inspect

import pytest

from kickbert.cli import arguments, prediction, training


@pytest.mark.parametrize("command", [training.train, training.evaluate, training.report, training.explore,
                                     prediction.predict, prediction.export, prediction.bench])  # fmt: skip
def test_encoding_and_separator(kickbert, command):
    parameters = inspect.signature(command).parameters
    assert (
        parameters["encoding"].annotation is arguments.Encoding and parameters["sep"].annotation is arguments.Separator
    )
    usage = kickbert(command.__name__, "--help").stdout
    assert "--encoding" in usage and "--sep" in usage and ".xlsx" in usage
