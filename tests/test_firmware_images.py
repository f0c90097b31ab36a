"""Several exports in one image, as a product links them: each keeps its own bits."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from test_firmware import everything

from firmware_export import names, targets
from firmware_export.export import export
from tinyse import released
from tinyse.errors import InputError
from tinyse.tflite.writer import save

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler: apt-get install gcc")
PREFIXES = ("student_62k", "student_30k", "sounds")

ALL = "\n".join(f'#include "{prefix}.h"' for prefix in PREFIXES) + "\n" + "\n".join(
    f"int {prefix}_replay(void);" for prefix in PREFIXES
) + "\nint main(void)\n{\n    return " + " + ".join(f"{prefix}_replay()" for prefix in PREFIXES) + ";\n}\n"  # fmt: skip


def compile_all(core: targets.Core | None, sources: list[Path], includes: list[Path], folder: Path) -> list[str]:
    """Objects of C files in a folder."""
    compiler = ["gcc"] if core is None else [core.compiler, *core.flags, *core.definitions]
    flags = [*targets.EXACT, *targets.OPTIMIZATION, *targets.WARNINGS, "-Werror", *(f"-I{path}" for path in includes)]
    folder.mkdir(exist_ok=True)
    subprocess.run([*compiler, *flags, "-c", *map(str, sources)], cwd=folder, check=True)
    return [str(folder / f"{source.stem}.o") for source in sources]


def link(core: targets.Core | None, objects: list[str], test: Path, binary: Path) -> None:
    compiler = ["gcc"] if core is None else [core.compiler, *core.flags]
    script = () if core is None else ("-T", str(test / "bare_metal.ld"), *core.link_flags)
    subprocess.run([*compiler, *objects, *script, "-o", str(binary)], check=True)


def replays_of(folders: list[Path], core: targets.Core | None = None) -> list[Path]:
    """Golden vectors and what replays them on a core."""
    own = [path for folder in folders for path in sorted((folder / "test").glob("*_[rv]e*.c"))]
    return [*own, folders[0] / "test" / f"{core.port if core else 'host'}.c"]


def replays(output: str) -> None:
    """All three say that every bit was right."""
    assert output.count("wrong_network_frames 0\nwrong_sound_frames 0\nwrong_samples 0") == 2, output
    assert output.count("network equal\ndecisions equal\n") == 1, output


@pytest.mark.parametrize(
    ("name", "way"), [(None, "objects"), (None, "libraries"), (None, "one folder"), ("cortex-m4", "libraries")]
)
def test_three_models_in_one_image_keep_their_bits(exports, tmp_path, name, way):
    core = targets.CORES[name] if name else None
    if core is not None and core.missing:
        pytest.skip(f"{core.title}: {core.missing}")
    if core is None and shutil.which("gcc") is None:
        pytest.skip("no C compiler: apt-get install gcc")
    (tmp_path / "all.c").write_text(ALL)
    includes = [folder / part for folder in exports for part in ("src", "test")]
    if way == "one folder":
        flat = tmp_path / "flat"
        flat.mkdir()
        for folder in exports:
            for path in (folder / "src").iterdir():
                shutil.copy(path, flat)
        sources = [sorted(flat.glob("*.c"))]
    else:
        sources = [sorted((folder / "src").glob("*.c")) for folder in exports]
    parts = []
    for number, group in enumerate(sources):
        home = tmp_path / str(number)
        built = compile_all(core, group, includes, home)
        if way == "libraries":
            archive = (core.compiler if core else "gcc").removesuffix("gcc") + "ar"
            subprocess.run([archive, "rc", str(home / "library.a"), *built], check=True)
            built = [str(home / "library.a")]
        parts += built
    harness = compile_all(core, [tmp_path / "all.c", *replays_of(exports, core)], includes, tmp_path)
    link(core, [*harness, *parts], exports[0] / "test", tmp_path / "image")
    code, output = targets.run(core, tmp_path / "image")
    assert code == 0, output
    replays(output)


@needs_gcc
def test_kernels_are_in_the_image_once(exports, tmp_path):
    (tmp_path / "all.c").write_text(ALL)
    includes = [folder / part for folder in exports for part in ("src", "test")]
    objects = compile_all(None, [tmp_path / "all.c", *replays_of(exports)], includes, tmp_path)
    for number, folder in enumerate(exports):
        objects += compile_all(None, sorted((folder / "src").glob("*.c")), includes, tmp_path / str(number))
    subprocess.run(["gcc", *objects, "-Wl,--gc-sections", "-o", str(tmp_path / "image")], check=True)
    listed = subprocess.run(["nm", str(tmp_path / "image")], capture_output=True, text=True, check=True).stdout
    kernels = [line.split()[-1] for line in listed.splitlines() if "tinyse_convolve_portable" in line]
    assert len(kernels) == 1


STALE = """
#include <stdio.h>
#include "{prefix}.h"
static {prefix}_stream stream[2];
int main(void)
{{
    printf("%d %d %d\\n", {prefix}_init(stream), {prefix}_init(({prefix}_stream *)((char *)stream + 1)), {prefix}_init(0));
    return 0;
}}
"""


@needs_gcc
def test_a_library_of_another_export_is_told_by_its_header(exports, tmp_path):
    """The prefix is the same, the model is not: nothing is written."""
    export(released.find("student-62k"), tmp_path / "new", 1, prefix="model")
    export(released.find("student-30k"), tmp_path / "old", 1, prefix="model")
    (tmp_path / "main.c").write_text(STALE.format(prefix="model"))
    answers = []
    for library in ("new", "old"):
        sources = sorted((tmp_path / library / "src").glob("*.c"))
        built = compile_all(None, sources, [tmp_path / library / "src"], tmp_path / f"{library}-objects")
        main = compile_all(None, [tmp_path / "main.c"], [tmp_path / "new" / "src"], tmp_path)
        subprocess.run(["gcc", *main, *built, "-o", str(tmp_path / "image")], check=True)
        answers.append(subprocess.run([str(tmp_path / "image")], capture_output=True, text=True, check=True).stdout)
    assert answers == ["0 1 1\n", "3 3 3\n"]


@needs_gcc
def test_the_same_model_with_other_weights_is_another_export(tmp_path):
    """Sizes are equal, so only the build number tells them apart."""
    graph = everything()
    save(graph, tmp_path / "a.tflite")
    weights = graph.tensors["y/w"]
    weights.data[0, 0, 0, 0] ^= 1
    save(graph, tmp_path / "b.tflite")
    a, b = (export(tmp_path / f"{name}.tflite", tmp_path / name, 1, prefix="step") for name in "ab")
    assert a.build != b.build and a.version == b.version


@needs_gcc
def test_kernels_of_two_versions_live_side_by_side(exports, tmp_path):
    """An older tinyse's kernels have other names, and in one folder the compiler says what to do."""
    old = shutil.copytree(exports[1], tmp_path / "old")
    version = names.version({"other": "kernels"})
    current = next(
        line.split()[2][2:] for line in (old / "src/tinyse_symbols.h").read_text().splitlines() if "0x" in line
    )
    for path in (old / "src").iterdir():
        path.write_text(path.read_text().replace(current, version))
    main = '#include "student_62k.h"\n#include "student_30k.h"\n'
    (tmp_path / "all.c").write_text(ALL.replace(main, "").replace(" + sounds_replay()", ""))
    new, objects = exports[0], []
    for number, folder in enumerate((new, old)):
        includes = [folder / "src", folder / "test"]
        objects += compile_all(None, sorted((folder / "src").glob("*.c")), includes, tmp_path / str(number))
        own = replays_of([folder])[: 2 if number else 3]  # one port is enough
        objects += compile_all(None, own, includes, tmp_path / str(number))
    includes = [new / "src", old / "src", exports[2] / "src"]
    objects += compile_all(None, [tmp_path / "all.c"], includes, tmp_path)
    link(None, objects, new / "test", tmp_path / "image")
    assert targets.run(None, tmp_path / "image")[0] == 0
    for path in (new / "src").glob("tinyse_*"):
        shutil.copy(path, old / "src")
    done = subprocess.run(
        ["gcc", "-c", str(old / "src/student_30k_network.c"), "-o", "/dev/null"], capture_output=True, text=True
    )
    assert "export all models with one tinyse" in done.stderr


# Prefixes


@pytest.mark.parametrize(
    ("name", "prefix"),
    [("student-62k", "student_62k"), ("My Model (2)", "my_model_2"), ("62k", "tinyse_62k"), ("größe", "gr_e")],
)
def test_the_default_prefix_is_the_models_name_as_c_allows_it(name, prefix):
    assert names.check_prefix(names.prefix_of(name)) == prefix


@pytest.mark.parametrize("prefix", ["", "9lives", "with-dash", "ä", "string", "Math", "tinyse_kernels", "a/b"])
def test_a_prefix_that_c_or_its_library_would_not_have_is_refused(tmp_path, prefix):
    save(everything(), tmp_path / "step.tflite")
    with pytest.raises(InputError, match="--prefix"):
        export(tmp_path / "step.tflite", tmp_path / "out", 1, prefix=prefix)
    assert not (tmp_path / "out").exists()


def test_every_file_and_outside_name_of_a_model_has_its_prefix(exports, tmp_path):
    if shutil.which("gcc") is None or shutil.which("nm") is None:
        pytest.skip("no C compiler: apt-get install gcc")
    version = next((exports[0] / "src").glob("tinyse_symbols.h")).read_text().split("0x")[1][:8]
    for folder, prefix in zip(exports, PREFIXES, strict=True):
        files = {path.name for path in (folder / "src").iterdir()}
        assert all(name.startswith((f"{prefix}.", f"{prefix}_", "tinyse_")) for name in files)
        objects = compile_all(None, sorted((folder / "src").glob("*.c")), [folder / "src"], tmp_path / prefix)
        listed = subprocess.run(["nm", "-g", "--defined-only", *objects], capture_output=True, text=True, check=True)
        outside = {line.split()[-1] for line in listed.stdout.splitlines() if len(line.split()) == 3}
        assert outside
        assert all(name.startswith(f"{prefix}_") or name.endswith(f"_{version}") for name in outside), outside
        macros = {
            line.split()[1].split("(")[0]
            for name in (f"{prefix}.h", f"{prefix}_front_end.h", f"{prefix}_network.h")  # what an application includes
            for line in (folder / "src" / name).read_text().splitlines()
            if line.startswith("#define")
        }
        assert all(macro.startswith(prefix.upper()) for macro in macros), macros
