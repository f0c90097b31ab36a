"""An export goes into a folder where other files may lie: an earlier export is replaced, anything else stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_firmware import everything

from firmware_export.export import export
from firmware_export.folder import refuse_foreign
from tinyse.errors import InputError
from tinyse.tflite.writer import save


@pytest.fixture(scope="module")
def step(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("step") / "step.tflite"
    save(everything(), path)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["README.md", "CMakeLists.txt", "LICENSE", "src/step.c"])
def test_a_file_of_somebody_else_is_not_overwritten(step, tmp_path, name):
    """As by `--firmware .` in a project."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=f"has a {name} that tinyse did not export: give an empty folder"):
        export(step, tmp_path, 1)
    assert contents(tmp_path) == {name: b"mine"}


def test_files_of_other_names_stay_and_are_no_hindrance(step, tmp_path):
    (tmp_path / "src").mkdir()
    for name in (".gitignore", "src/own.c"):
        (tmp_path / name).write_text("mine")
    for _ in range(2):
        export(step, tmp_path, 1)
    assert contents(tmp_path)["src/own.c"] == contents(tmp_path)[".gitignore"] == b"mine"


def test_another_kind_of_export_leaves_nothing_of_the_one_before(tiny, tmp_path):
    """Arduino and PlatformIO compile everything in src: a float front end beside a fixed-point one does not build."""
    export(tiny.quantized, tmp_path / "fresh", 1, fixed_point=True, prefix="model", packages_of=())
    export(tiny.quantized, tmp_path / "again", 1, prefix="model")
    (tmp_path / "again/src/own.c").write_text("mine")
    export(tiny.quantized, tmp_path / "again", 1, fixed_point=True, prefix="model", packages_of=())
    assert contents(tmp_path / "again") == contents(tmp_path / "fresh") | {"src/own.c": b"mine"}


def test_a_second_model_in_the_folder_keeps_the_first_ones_code(step, tiny, tmp_path):
    """All files in one folder are one of the ways to have two models in an image."""
    export(step, tmp_path, 1)
    export(tiny.quantized, tmp_path, 1, prefix="other")
    assert (tmp_path / "src/step.h").exists() and (tmp_path / "src/other.h").exists()


def test_an_export_that_was_killed_or_is_older_is_replaced(step, tmp_path):
    export(step, tmp_path, 1)
    whole = contents(tmp_path)
    sizes = json.loads((tmp_path / "sizes.json").read_text())
    (tmp_path / "sizes.json").write_text(
        json.dumps({key: sizes[key] for key in sizes if key not in ("files", "prefix")})
    )
    (tmp_path / "NOTICE.md").unlink()
    export(step, tmp_path, 1)
    assert contents(tmp_path) == whole


def test_names_that_lead_out_are_not_removed(step, tmp_path):
    export(step, tmp_path / "out", 1)
    (tmp_path / "mine").write_text("mine")
    sizes = json.loads((tmp_path / "out/sizes.json").read_text())
    (tmp_path / "out/sizes.json").write_text(json.dumps(sizes | {"files": ["../mine", str(tmp_path / "mine")]}))
    export(step, tmp_path / "out", 1)
    assert (tmp_path / "mine").exists()


def test_a_page_does_not_overwrite_another(tmp_path):
    (tmp_path / "index.html").write_text("mine")
    with pytest.raises(InputError, match=r"index\.html that tinyse did not export"):
        refuse_foreign(tmp_path, "tinyse.wasm", ["index.html"])
    (tmp_path / "tinyse.wasm").touch()
    refuse_foreign(tmp_path, "tinyse.wasm", ["index.html"])
