"""An editable installation is found from every folder, the parent of a clone named `tinyse` among them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


def test_python_in_the_parent_of_a_clone_finds_tinyse(tmp_path):
    # There the folder `tinyse` of the clone is a namespace package, which beats an editable finder, yet no plain path.
    pytest.importorskip("setuptools", minversion="77")
    clone, site, wheels = tmp_path / "tinyse", tmp_path / "site", tmp_path / "wheels"
    clone.mkdir()
    wheels.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, clone)
    for package in ("tinyse", "firmware_export"):
        (clone / package).symlink_to(REPOSITORY / package)
    build = "import sys, setuptools.build_meta as backend; backend.build_editable(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(wheels)], cwd=clone, check=True, capture_output=True)
    (wheel,) = wheels.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(site)

    # Without the packages of the running Python (-S), where another tinyse may be installed.
    look = f"import site; site.addsitedir({str(site)!r}); import tinyse, firmware_export; print(tinyse.__file__)"
    command = [sys.executable, "-S", "-c", look]
    found = subprocess.run(command, cwd=tmp_path, env={}, check=True, capture_output=True, text=True).stdout
    assert Path(found.strip()) == clone / "tinyse" / "__init__.py"
