"""The exported folder inside another project's build: C++, CMake with its own targets and flags, compilers' options."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from firmware_export import targets
from firmware_export.export import make
from tinyse.released import find
from tinyse.tflite.reader import read

PARENT = """
cmake_minimum_required(VERSION 3.16)
project(application C CXX)
set(CMAKE_CXX_STANDARD 17)
add_compile_options(-Wall -Wextra -Wpedantic -Wconversion -Wold-style-cast -Werror)
add_executable(run main.cpp replay.c)
add_custom_target(replay COMMAND run)
foreach(model IN ITEMS {models})
  add_subdirectory(${{CMAKE_SOURCE_DIR}}/${{model}} ${{model}})
  add_subdirectory(${{CMAKE_SOURCE_DIR}}/${{model}} ${{model}}-again)
endforeach()
target_link_libraries(run PRIVATE student_62k student_30k)
get_property(tests DIRECTORY student-62k PROPERTY TESTS)
if(tests)
  message(FATAL_ERROR "a subproject adds tests: ${{tests}}")
endif()
"""

MAIN = """
#include "student_30k.h"
#include "student_62k.h"
#include <cstdio>

static student_62k_stream large;
static student_30k_stream small;

extern "C" int other(void);

int main()
{
    static_assert(alignof(student_62k_stream) == STUDENT_62K_ALIGNMENT, "");
    int16_t hop[STUDENT_62K_HOP] = {0};
    tinyse_status status = student_62k_init(&large);
    status = status == TINYSE_OK ? student_30k_init(&small) : status;
    status = status == TINYSE_OK ? student_62k_process(&large, hop, hop) : status;
    status = status == TINYSE_OK ? student_30k_process(&small, hop, hop) : status;
    std::printf("%d %d\\n", static_cast<int>(status), other());
    return static_cast<int>(status);
}
"""

OTHER = """
/* The parts of an interface may be included by themselves. */
#include "student_62k_front_end.h"
#include "student_62k_network.h"

int other(void);
int other(void)
{
    return STUDENT_62K_HOP;
}
"""


def test_a_cpp_project_with_its_own_run_embeds_two_models(exports, tmp_path):
    for tool in ("cmake", "g++"):
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool}: apt-get install cmake g++")
    for folder in exports[:2]:
        shutil.copytree(folder, tmp_path / folder.name)
    (tmp_path / "CMakeLists.txt").write_text(PARENT.format(models=" ".join(f.name for f in exports[:2])))
    (tmp_path / "main.cpp").write_text(MAIN)
    (tmp_path / "replay.c").write_text(OTHER)
    build = tmp_path / "build"
    done = subprocess.run(["cmake", "-S", tmp_path, "-B", build], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    done = subprocess.run(["cmake", "--build", build], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    answer = subprocess.run([build / "run"], capture_output=True, text=True)
    assert (answer.returncode, answer.stdout) == (0, "0 256\n")
    assert len(list(build.rglob("libtinyse_kernels_*.a"))) == 1


@pytest.mark.parametrize("header", ["{0}.h", "{0}_network.h"])
def test_every_interface_links_from_cpp(exports, tmp_path, header):
    """A bare `extern "C"` is missing where a C++ name is asked of the linker."""
    if shutil.which("g++") is None:
        pytest.skip("no g++: apt-get install g++")
    for folder, prefix in zip(exports, ("student_62k", "student_30k", "sounds"), strict=True):
        source = tmp_path / "main.cpp"
        call = f"{prefix}_network_step(nullptr);"
        source.write_text(f'#include "{header.format(prefix)}"\nvoid use();\nvoid use() {{ {call} }}\n')
        flags = [
            "-std=c++11",
            *targets.WARNINGS,
            "-Wold-style-cast",
            "-Werror",
            f"-I{folder / 'src'}",
            "-c",
            "-o",
            str(tmp_path / "main.o"),
        ]
        subprocess.run(["g++", *flags, str(source)], check=True)
        symbols = subprocess.run(["nm", str(tmp_path / "main.o")], capture_output=True, text=True, check=True).stdout
        assert f" U {prefix}_network_step\n" in symbols


FINER = """
#include <math.h>
#include <stdio.h>

#include "student_30k.h"

#ifdef TINYSE_FLOAT_SAMPLES
#define SAMPLE(steps) ((float)(steps) / 32768.0f)
#define STEPS(sample) (int)lrintf((sample) * 32768.0f)
#else
#define SAMPLE(steps) (int16_t)(steps)
#define STEPS(sample) (sample)
#endif

static student_30k_stream stream;
static tinyse_sample_t hop[STUDENT_30K_HOP];

int main(void)
{
    uint32_t random = 1;
    int status = (int)student_30k_init(&stream);
    for (int frame = 0; frame < 20; frame++) {
        for (int i = 0; i < STUDENT_30K_HOP; i++) {
            random = random * 1664525u + 1013904223u;
            hop[i] = SAMPLE((int)(random >> 18) - 8192);
        }
        status += (int)student_30k_process(&stream, hop, hop);
        for (int i = 0; i < STUDENT_30K_HOP; i++) {
            printf("%d ", STEPS(hop[i]));
        }
    }
    return status;
}
""".replace("tinyse_sample_t", "student_30k_sample")


def test_finer_sound_goes_through_the_interface_too(exports, tmp_path):
    """With TINYSE_FLOAT_SAMPLES all of the C takes floats, and gives the same sound, finer."""
    if shutil.which("gcc") is None:
        pytest.skip("no C compiler: apt-get install gcc")
    (tmp_path / "main.c").write_text(FINER)
    sources, said = sorted(map(str, (exports[1] / "src").glob("*.c"))), []
    for name, definitions in (("pcm", []), ("floats", ["-DTINYSE_FLOAT_SAMPLES"])):
        flags = [*targets.EXACT, *targets.WARNINGS, "-Werror", "-O1", f"-I{exports[1] / 'src'}", *definitions]
        subprocess.run(
            ["gcc", *flags, "-o", str(tmp_path / name), str(tmp_path / "main.c"), *sources, "-lm"], check=True
        )
        said.append(subprocess.run([tmp_path / name], capture_output=True, text=True, check=True).stdout.split())
    assert said[0] == said[1] and len(set(said[0])) > 100


def test_integers_refuse_finer_sound(tmp_path):
    if shutil.which("gcc") is None:
        pytest.skip("no C compiler: apt-get install gcc")
    for name, content in make(read(find("student-30k")), "0" * 64, fixed_point=True).sources.items():
        (tmp_path / name).write_text(content)
    command = ["gcc", "-fsyntax-only", "-DTINYSE_FLOAT_SAMPLES", str(tmp_path / "tinyse_front_end_fixed.c")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode and "takes PCM of 16 bits" in done.stderr


def test_microsofts_compiler_is_told_what_is_needed(exports):
    """Not only that it does not know an attribute."""
    if shutil.which("gcc") is None:
        pytest.skip("no C compiler: apt-get install gcc")
    sources = set((exports[0] / "src").glob("*.c"))
    fit = set()
    for source in sources:
        command = ["gcc", "-D_MSC_VER=1940", "-fsyntax-only", "-fmax-errors=1", source]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            assert "tinyse needs GCC or Clang" in done.stderr, source
        else:
            fit.add(source)
    assert len(fit) == 1 < len(sources)  # the denoiser's own file is plain C


def test_a_folder_is_no_project_of_a_product_toolchain(exports, tmp_path):
    """A toolchain that links nothing by itself builds the libraries of a subproject, and no test is asked to link."""
    if shutil.which("cmake") is None or targets.CORES["cortex-m4"].missing:
        pytest.skip("apt-get install cmake gcc-arm-none-eabi libnewlib-arm-none-eabi")
    shutil.copytree(exports[0], tmp_path / "model")
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(product C)\nadd_subdirectory(model)\n"
    )
    (tmp_path / "product.cmake").write_text(
        "set(CMAKE_SYSTEM_NAME Generic)\nset(CMAKE_C_COMPILER arm-none-eabi-gcc)\n"
        "set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)\nset(CMAKE_C_FLAGS_INIT -mcpu=cortex-m0plus)\n"
    )
    command = [
        "cmake",
        "-S",
        tmp_path,
        "-B",
        tmp_path / "build",
        f"-DCMAKE_TOOLCHAIN_FILE={tmp_path / 'product.cmake'}",
    ]
    subprocess.run(command, check=True, capture_output=True)
    done = subprocess.run(["cmake", "--build", tmp_path / "build"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(list(Path(tmp_path / "build").rglob("lib*.a"))) == 2


def test_a_header_says_what_a_product_has_to_know_on_one_screen(exports):
    for folder, prefix in zip(exports, ("student_62k", "student_30k", "sounds"), strict=True):
        header = (folder / "src" / f"{prefix}.h").read_text()
        assert len(header.splitlines()) < 90
        facts = ["VERSION_MAJOR", "VERSION_MINOR", "MODEL_HASH", "SAMPLE_RATE", "ALIGNMENT", "STACK"]
        for name in facts + ([] if prefix == "sounds" else ["LATENCY"]):
            assert f"#define {prefix.upper()}_{name} " in header
        assert header.count("GCC and Clang") == 1
    macros = (
        '#include "student_62k.h"\n#if STUDENT_62K_VERSION_MAJOR < 2 || STUDENT_62K_LATENCY != 512\n#error\n#endif\n'
    )
    command = ["gcc", "-E", f"-I{exports[0] / 'src'}", "-x", "c", "-"]
    assert subprocess.run(command, input=macros, text=True, capture_output=True).returncode == 0
