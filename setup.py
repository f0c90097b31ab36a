"""What pyproject.toml cannot say: a wheel has the recipes inside, where `tinyse init` finds them, and the C of the models that
tinyse brings, compiled where there is a compiler."""

import platform
import shutil
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))  # tinyse itself writes the C


class WithRecipes(build_py):
    """Python files and package data, and the folder recipes/ as tinyse/recipes."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:  # there, the clone's own folder is found
            shutil.copytree("recipes", Path(self.build_lib) / "tinyse" / "recipes", dirs_exist_ok=True)


class Libraries(build_ext):
    """Shared libraries that Python calls through ctypes. Where one cannot be built, tinyse does without it."""

    def run(self) -> None:
        try:
            from firmware_export import built_in, host
            from firmware_export.targets import EXACT, OPTIMIZATION

            folder = Path(self.build_temp) / "models"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            sources = host.write_built_in(sorted(ROOT.glob("tinyse/released/*/model.tflite")), folder)
        except Exception as error:
            self.warn(f"without the C of the models: {error}")
            self.extensions = []
            return
        for extension in self.extensions:
            extension.sources = list(map(str, sources))
            extension.include_dirs = [str(folder)]
            extension.define_macros = list(built_in.DEFINITIONS.items())
            extension.extra_compile_args = [*EXACT, *OPTIMIZATION, *extension.extra_compile_args]
        super().run()

    def build_extension(self, extension: Extension) -> None:
        self.build_temp, kept = (
            str(Path(self.build_temp) / extension.name),
            self.build_temp,
        )  # objects of their own flags
        try:
            super().build_extension(extension)
        finally:
            self.build_temp = kept

    def get_ext_filename(self, name: str) -> str:
        """No module of one Python's: a library for all."""
        return f"{Path(*name.split('.'))}.so"


class ForAnyPython(bdist_wheel):
    """A wheel for one kind of machine and every Python 3."""

    def get_tag(self) -> tuple[str, str, str]:
        return "py3", "none", super().get_tag()[2]


names = {"firmware_export._built_in": []}
if platform.machine() in ("x86_64", "AMD64"):
    names["firmware_export._built_in_avx2"] = ["-mavx2"]
setup(
    cmdclass={"build_py": WithRecipes, "build_ext": Libraries, "bdist_wheel": ForAnyPython},
    ext_modules=[Extension(name, [], extra_compile_args=flags, optional=True) for name, flags in names.items()],
)
