"""An exported folder as a package of other build systems, whose tools have stand-ins here: what they call and what is there."""

from __future__ import annotations

import json
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import yaml
from test_firmware import everything, needs_gcc

from firmware_export.export import export
from firmware_export.packages import PACKAGES, chosen
from tinyse.errors import InputError
from tinyse.tflite.writer import save

PREFIXES = ("student_62k", "student_30k", "sounds", "bare")
STUBS = {
    "Arduino.h": "#pragma once\n#include <cstdio>\nstruct Printer { void begin(long) {} void println(int x) "
    '{ std::printf("%d\\n", x); } void println(const char *x) { std::puts(x); } };\nextern Printer Serial;\n',
    "arduino.cpp": '#include "Arduino.h"\nPrinter Serial;\nvoid setup();\nvoid loop();\nint main() { setup(); loop(); }\n',
    "zephyr/kernel.h": "#include <stdio.h>\n#define printk printf\n",
    "esp.c": "void app_main(void);\nint main(void) { app_main(); return 0; }\n",
}
ESP_IDF = """
cmake_minimum_required(VERSION 3.16)
project(example C)
set(ESP_PLATFORM ON)
function(idf_component_register)
  cmake_parse_arguments(ARG "" "" "SRCS;INCLUDE_DIRS;REQUIRES" ${{ARGN}})
  get_filename_component(name ${{CMAKE_CURRENT_SOURCE_DIR}} NAME)
  add_library(${{name}} STATIC ${{ARG_SRCS}})
  target_include_directories(${{name}} PUBLIC ${{ARG_INCLUDE_DIRS}})
  target_link_libraries(${{name}} PUBLIC ${{ARG_REQUIRES}})
endfunction()
add_compile_options(-std=gnu17 -Os -Wall -Wextra -Werror)
add_subdirectory({folder} {prefix})
add_subdirectory({folder}/examples/esp-idf/main main)
add_executable(application esp.c)
target_link_libraries(application main)
"""
ZEPHYR = """
cmake_minimum_required(VERSION 3.20)
project(example C)
function(zephyr_library_named name)
  add_library(${{name}} STATIC)
  set(ZEPHYR_CURRENT_LIBRARY ${{name}} PARENT_SCOPE)
endfunction()
function(zephyr_library_sources)
  target_sources(${{ZEPHYR_CURRENT_LIBRARY}} PRIVATE ${{ARGN}})
endfunction()
function(zephyr_include_directories)
  include_directories(${{ARGN}})
  target_include_directories({prefix} PUBLIC ${{ARGN}})
endfunction()
add_compile_options(-std=gnu11 -Os -Wall -Wextra -Werror)
set(CONFIG_{macro} y)
add_subdirectory({folder}/zephyr module)
add_executable(application {folder}/examples/zephyr/src/main.c)
target_include_directories(application PRIVATE .)
target_link_libraries(application -Wl,--whole-archive {prefix} -Wl,--no-whole-archive)
"""


@pytest.fixture(scope="module")
def folders(exports, tmp_path_factory) -> dict[str, Path]:
    """An export of each kind, in a folder of another name than its prefix."""
    top = tmp_path_factory.mktemp("packages")
    for folder, prefix in zip(exports, PREFIXES[:3], strict=True):
        shutil.copytree(folder, top / f"firmware_{prefix}")
    save(everything(), top / "bare.tflite")
    export(top / "bare.tflite", top / "firmware_bare", 1)
    return {prefix: top / f"firmware_{prefix}" for prefix in PREFIXES}


def with_stubs(folder: Path) -> Path:
    for name, content in STUBS.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    return folder


def run(*command: object, where: Path) -> str:
    done = subprocess.run(list(map(str, command)), cwd=where, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("prefix", PREFIXES)
def test_an_arduino_sketch_builds_as_its_ide_does(folders, tmp_path, prefix):
    """All of src in one library, gnu++17 and gnu11 at -Os, and no flags of ours."""
    if shutil.which("g++") is None:
        pytest.skip("no g++: apt-get install g++")
    with_stubs(tmp_path)
    library = folders[prefix]
    run("gcc", "-std=gnu11", "-Os", "-w", "-c", *sorted((library / "src").glob("*.c")), where=tmp_path)
    run("ar", "rc", "library.a", *sorted(tmp_path.glob("*.o")), where=tmp_path)
    sketch = library / "examples/Hops/Hops.ino"
    flags = ("-std=gnu++17", "-Os", "-I.", f"-I{library / 'src'}", "-include", "Arduino.h", "-x", "c++")
    run("g++", *flags, sketch, "arduino.cpp", "-x", "none", "library.a", "-o", "sketch", where=tmp_path)
    assert run("./sketch", where=tmp_path) == "0\n"


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("system", ["esp-idf", "zephyr"])
def test_a_component_builds_with_what_its_system_calls(folders, tmp_path, prefix, system):
    if shutil.which("cmake") is None or shutil.which("gcc") is None:
        pytest.skip("apt-get install cmake gcc")
    with_stubs(tmp_path)
    project = ESP_IDF if system == "esp-idf" else ZEPHYR
    (tmp_path / "CMakeLists.txt").write_text(
        project.format(folder=folders[prefix], prefix=prefix, macro=prefix.upper())
    )
    run("cmake", "-S", ".", "-B", "build", where=tmp_path)
    run("cmake", "--build", "build", where=tmp_path)
    assert run("build/application", where=tmp_path) == f"{prefix}: status 0\n"


@needs_gcc
@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_template_of_a_pack_compiles_with_the_files_that_it_names(folders, tmp_path, prefix):
    folder = folders[prefix]
    root = ElementTree.parse(folder / f"tinyse.{prefix}.pdsc").getroot()
    named = {(file.get("category"), file.get("name")) for file in root.iter("file") if file.get("attr") is None}
    assert all((folder / name).exists() for _, name in named)
    assert {f"src/{path.name}" for path in (folder / "src").iterdir()} <= {name for _, name in named}
    component = next(root.iter("component"))
    assert all(2 <= len(component.get(name)) <= 32 for name in ("Cclass", "Cgroup", "Csub"))
    compilers = {accept.get("Tcompiler") for accept in root.iter("accept")}
    assert compilers == {"GCC", "CLANG", "ARMCC"}  # of PACK.xsd's list
    template = next(file.get("name") for file in root.iter("file") if file.get("attr") == "template")
    sources = [folder / name for category, name in named if category == "source"]
    run("gcc", "-Os", *sources, folder / template, f"-I{folder / 'src'}", "-o", "image", where=tmp_path)


def test_manifests_say_what_is_there(folders):
    for prefix, folder in folders.items():
        header = f"{prefix}.h"
        properties = dict(
            line.split("=", 1) for line in (folder / "library.properties").read_text().splitlines() if line[:1] != "#"
        )
        needed = ["name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url", "includes"]
        assert set(needed) <= set(properties) and all(properties.values())
        assert (properties["name"], properties["includes"]) == (prefix, header)
        library = json.loads((folder / "library.json").read_text())
        assert (library["name"], library["headers"], library["version"]) == (prefix, header, properties["version"])
        assert (library.get("license") == "MIT") == prefix.startswith("student")
        assert all((folder / one["base"] / one["files"][0]).is_file() for one in library["examples"])
        module = yaml.safe_load((folder / "zephyr/module.yml").read_text())
        assert (folder / module["build"]["cmake"] / "CMakeLists.txt").is_file()
        assert f"config {prefix.upper()}\n" in (folder / module["build"]["kconfig"]).read_text()
        assert all((folder / sample / "sample.yaml").is_file() for sample in module["samples"])
        component = yaml.safe_load((folder / "idf_component.yml").read_text())
        assert component["version"] == properties["version"]
        assert all((folder / one["path"] / "CMakeLists.txt").is_file() for one in component["examples"])
        assert f"SRCS\n    src/{prefix}.c" in (folder / "CMakeLists.txt").read_text()


def test_only_the_packages_that_are_wanted_are_made(tmp_path):
    save(everything(), tmp_path / "step.tflite")
    export(tmp_path / "step.tflite", tmp_path / "out", 1, packages_of=chosen("zephyr, platformio"))
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"zephyr", "library.json"} <= names
    assert not names & {"idf_component.yml", "library.properties", "tinyse.step.pdsc"}
    assert "ESP_PLATFORM" not in (tmp_path / "out/CMakeLists.txt").read_text()
    assert chosen("all") == PACKAGES and chosen("none") == ()
    with pytest.raises(InputError, match="did you mean 'zephyr'"):
        chosen("arduino,zefyr")
