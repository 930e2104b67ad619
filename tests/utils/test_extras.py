"""Optional packages: the error names what to install; versions of installed packages."""

import importlib.metadata
import sys

import pytest

from kickbert.utils.extras import installed, require


def test_the_error_of_a_missing_package_names_the_extra():
    with pytest.raises(ImportError, match=r"needs the package 'no_such_package': pip install \"kickbert\[report\]\""):
        require("no_such_package", extra="report")


def test_a_package_is_checked_without_importing_it():
    sys.modules.pop("antigravity", None)
    require("antigravity", extra="any")
    assert "antigravity" not in sys.modules


def test_versions_of_installed_packages():
    assert installed(["numpy", "no-such-package"]) == {"numpy": importlib.metadata.version("numpy")}
