"""Optional packages: an error that says what to install, and versions of those that are there."""

import importlib.metadata
import sys

import pytest

from kickbert.utils.extras import installed, require


def test_a_missing_package_names_the_extra_that_brings_it():
    with pytest.raises(ImportError, match=r"needs the package 'no_such_package': pip install \"kickbert\[report\]\""):
        require("no_such_package", extra="report")


def test_a_package_is_looked_for_and_not_imported():
    sys.modules.pop("antigravity", None)
    require("antigravity", extra="any")
    assert "antigravity" not in sys.modules


def test_versions_of_what_is_installed():
    assert installed(["numpy", "no-such-package"]) == {"numpy": importlib.metadata.version("numpy")}
