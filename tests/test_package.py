"""What `tinyse` exports, and how an installation of it is found and typed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import tinyse

REPOSITORY = Path(__file__).resolve().parent.parent


def test_python_in_the_parent_of_a_clone_finds_tinyse(tmp_path):
    # There the folder `tinyse` of the clone is a namespace package, which beats an editable finder, yet no plain path.
    pytest.importorskip("setuptools", minversion="77")
    clone, site, wheels = tmp_path / "tinyse", tmp_path / "site", tmp_path / "wheels"
    clone.mkdir()
    wheels.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, clone)
    for package in ("tinyse", "firmware_export"):
        (clone / package).symlink_to(REPOSITORY / package)
    build = "import sys, setuptools.build_meta as backend; backend.build_editable(sys.argv[1])"
    # Without a compiler: libraries would go through the links into this working tree, and nothing here calls them.
    environment = {**os.environ, "CC": "false"}
    subprocess.run(
        [sys.executable, "-c", build, str(wheels)], cwd=clone, env=environment, check=True, capture_output=True
    )
    (wheel,) = wheels.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(site)

    # Without the packages of the running Python (-S), where another tinyse may be installed.
    look = f"import site; site.addsitedir({str(site)!r}); import tinyse, firmware_export; print(tinyse.__file__)"
    command = [sys.executable, "-S", "-c", look]
    found = subprocess.run(command, cwd=tmp_path, env={}, check=True, capture_output=True, text=True).stdout
    assert Path(found.strip()) == clone / "tinyse" / "__init__.py"


def test_what_a_user_imports_is_exported():
    from tinyse.errors import InputError
    from tinyse.streaming.denoiser import Denoiser
    from tinyse.streaming.tagger import Tagger

    assert (tinyse.Denoiser, tinyse.Tagger, tinyse.InputError) == (Denoiser, Tagger, InputError)
    assert all(getattr(tinyse, name) is not None for name in tinyse.__all__)


def test_type_checkers_see_the_types(tmp_path):
    pytest.importorskip("mypy")
    (tmp_path / "user.py").write_text(
        "from tinyse import Denoiser, InputError, Tagger\nDenoiser(attenuation_limit_db='much')\n"
    )
    # Without the types of others, which takes a fifth of the time.
    (tmp_path / "mypy.ini").write_text("[mypy]\n[mypy-numpy.*,torch.*]\nfollow_imports = skip\n")
    command = [sys.executable, "-m", "mypy", "--ignore-missing-imports", "--follow-imports=silent", "user.py"]
    site = Path(tinyse.__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": str(site)}
    said = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False).stdout
    assert 'incompatible type "str"' in said, said
    assert said.strip().endswith("Found 1 error in 1 file (checked 1 source file)")


@pytest.mark.skipif(shutil.which("make") is None, reason="no make")
def test_make_installs_once_and_again_for_another_torch(tmp_path):
    shutil.copy(REPOSITORY / "Makefile", tmp_path)
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)

    def planned(*arguments: str) -> str:
        command = ["make", "--dry-run", "setup", *arguments]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    assert "-m tinyse.torch_build cpu" in planned()
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "installed").touch()
    assert "torch_build" not in planned()
    assert "-m tinyse.torch_build gpu" in planned("TORCH=gpu")
