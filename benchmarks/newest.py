"""The quick tests on the newest versions, pre-releases too, of what kickbert stands on: for once a week.

    python benchmarks/newest.py                  # about twenty minutes; needs uv (pip install uv)
    python benchmarks/newest.py --tests tests/cli/test_doctor.py
    python benchmarks/newest.py --resolution lowest-direct     # the oldest instead

It prints the versions that `kickbert doctor` knows as tested beside those that were installed, and whether the tests
passed on them: where they did, PACKAGES in kickbert/cli/doctor.py may be raised.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.version import Version

from kickbert.cli.doctor import PACKAGES

REPO = Path(__file__).resolve().parents[1]


def install(folder: Path, resolution: str) -> Path:
    """Make an environment of the test extra in these versions; its Python."""
    prerelease = "allow" if resolution == "highest" else "if-necessary-or-explicit"
    locked, python = folder / "versions.txt", folder / "env" / "bin" / "python"
    choice = ["--resolution", resolution, "--prerelease", prerelease]
    subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, folder / "env"], check=True)
    compiled = ["uv", "pip", "compile", "--quiet", "--python", python, *choice, "--extra", "test"]
    subprocess.run([*compiled, "--output-file", locked, "setup.cfg"], cwd=REPO, check=True)
    into = ["uv", "pip", "install", "--quiet", "--python", python]
    subprocess.run([*into, "--prerelease", prerelease, "--requirements", locked], check=True)
    subprocess.run([*into, "--no-deps", "--editable", REPO], check=True)
    return python


def versions(python: Path) -> dict[str, str]:
    """What is installed, by name."""
    listed = ["uv", "pip", "list", "--python", python, "--format", "json"]
    done = subprocess.run(listed, capture_output=True, text=True, check=True)
    return {package["name"]: package["version"] for package in json.loads(done.stdout)}


def main() -> None:
    """Install, test, and print a table; the exit code is that of the tests."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--resolution", choices=["highest", "lowest-direct"], default="highest")
    parser.add_argument("--tests", nargs="*", default=["tests"])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        python = install(Path(folder), args.resolution)
        done = subprocess.run([python, "-m", "pytest", "-q", "-m", "not slow", *args.tests], cwd=REPO)
        there = versions(python)
    print("| package | tested | here | new |\n|---|---|---|---|")
    for name, (oldest, newest) in PACKAGES.items():
        new = Version(there[name]).release[:2] > Version(newest).release
        print(f"| {name} | {oldest} to {newest} | {there[name]} | {'yes' if new else ''} |")
    print("tests passed" if done.returncode == 0 else "tests FAILED")
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
