"""Run the unit tests on the oldest or the newest versions of the dependencies.

    python .ci/versions.py --resolution lowest-direct   # the oldest that setup.cfg allows; part of .ci/run
    python .ci/versions.py --resolution highest         # the newest, pre-releases included; for once a week

Needs uv (`pip install uv`). Prints the versions that `kickbert doctor` lists as tested, the installed ones, and whether
the tests passed. If they pass on newer versions, update PACKAGES in kickbert/cli/doctor.py.
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
    """Make an environment with the extra `test` in these versions; return its Python."""
    prerelease = "allow" if resolution == "highest" else "if-necessary-or-explicit"
    locked = folder / "versions.txt"
    python = folder / "env" / "bin" / "python"
    choice = ["--resolution", resolution, "--prerelease", prerelease]
    subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, folder / "env"], check=True)
    compiled = ["uv", "pip", "compile", "--quiet", "--python", python, *choice, "--extra", "test"]
    subprocess.run([*compiled, "--output-file", locked, "setup.cfg"], cwd=REPO, check=True)
    into = ["uv", "pip", "install", "--quiet", "--python", python]
    subprocess.run([*into, "--prerelease", prerelease, "--requirements", locked], check=True)
    subprocess.run([*into, "--no-deps", "--editable", REPO], check=True)
    return python


def versions(python: Path) -> dict[str, str]:
    """Installed versions by package name."""
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
        done = subprocess.run([python, "-m", "pytest", "-q", *args.tests], cwd=REPO)
        installed = versions(python)
    print("| package | tested | installed | newer |\n|---|---|---|---|")
    for name, (oldest, newest) in PACKAGES.items():
        if name in installed:
            newer = Version(installed[name]).release[:2] > Version(newest).release
            print(f"| {name} | {oldest} to {newest} | {installed[name]} | {'yes' if newer else ''} |")
    print("tests passed" if done.returncode == 0 else "tests FAILED")
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
