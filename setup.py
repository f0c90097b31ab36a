"""What pyproject.toml cannot say: a wheel has the recipes inside, where `tinyse init` finds them."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class WithRecipes(build_py):
    """Python files and package data, and the folder recipes/ as tinyse/recipes."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:  # there, the clone's own folder is found
            shutil.copytree("recipes", Path(self.build_lib) / "tinyse" / "recipes", dirs_exist_ok=True)


setup(cmdclass={"build_py": WithRecipes})
