"""The network family in numbers, and the named members of it. No torch here: a device's tools read this too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from tinyse.config import REST, Between, as_dict, check_bounds, did_you_mean
from tinyse.errors import InputError


@dataclass(frozen=True)
class Architecture:
    """Widths of one member of the family: all members share depth and time-frequency resolution."""

    channels: tuple[Annotated[int, Between(1, 1024)], ...]
    """Channels after each encoder block; each halves the bins, and a decoder block doubles them again."""
    groups: Annotated[int, Between(1, 1024)] = 1
    """Parallel GRUs in the bottleneck; the channels of the last block divide into them."""
    shared_gru: tuple[int, ...] = ()
    """Encoder blocks (from 1) that are followed by a GRU with weights shared by all bins."""

    def __post_init__(self) -> None:
        check_bounds(self)
        if not self.channels:
            raise InputError("channels: at least one block is needed")
        if self.channels[-1] % self.groups:
            raise InputError(f"groups: {self.channels[-1]} channels do not divide into {self.groups} equal groups")
        for block in self.shared_gru:
            if not 1 <= block <= len(self.channels):
                raise InputError(f"shared_gru: there is no encoder block {block}, they are 1 to {len(self.channels)}")

    @property
    def depth(self) -> int:
        """Encoder blocks, and decoder blocks."""
        return len(self.channels)

    def places(self, narrow: Architecture) -> list[list[int]]:
        """Which channel of this network has the part of each channel of a narrower one: for the features, then for each block.

        In the last block, the channels of a group stay together. Raises InputError where `narrow` has no room in it.
        """
        for key in ("depth", "shared_gru"):
            if getattr(narrow, key) != getattr(self, key):
                raise InputError(
                    f"{key}: {getattr(narrow, key)} stays what it is, only channels and their groups may grow"
                )
        for block, (few, many) in enumerate(zip(narrow.channels, self.channels, strict=True), 1):
            if few > many:
                raise InputError(f"channels: {few} of block {block} do not fit into {many}")
        together = -(-narrow.groups // self.groups)  # groups that share one of ours
        few, many = narrow.channels[-1] // narrow.groups, self.channels[-1] // self.groups
        if together * few > many:
            raise InputError(f"groups: {together} of {few} channels do not fit into one of {many}")
        last = [
            group // together * many + group % together * few + channel
            for group in range(narrow.groups)
            for channel in range(few)
        ]
        return [[0], *(list(range(channels)) for channels in narrow.channels[:-1]), last]

    def check_bands(self, bands: int) -> None:
        """Raise InputError where `bands` cannot be halved `depth` times."""
        if bands % (1 << self.depth):
            raise InputError(f"{bands} bands cannot be halved {self.depth} times: use a multiple of {1 << self.depth}")


@dataclass(frozen=True)
class OwnNetwork:
    """A network of your own: a class made of streaming layers, with its keyword arguments beside `python`."""

    python: str
    """The class, `package.module:Class`, as Python finds it from the folder in which the command is started. Only a recipe
    that you run names code; a model file with such a network needs its recipe (`--recipe`) or class to be loaded."""
    arguments: dict[str, Any] = field(default_factory=dict, metadata={REST: True})
    """All other keys: what the class takes beside the number of bands."""

    def __post_init__(self) -> None:
        module, separator, name = self.python.partition(":")
        parts = [*module.split("."), *name.split(".")]
        if not separator or not all(part.isidentifier() for part in parts):
            raise InputError(f"python: {self.python!r} names no class; write it as package.module:Class")

    def check_bands(self, bands: int) -> None:
        """The class itself says which it takes."""


ARCHITECTURES = {
    "teacher": Architecture(channels=(44, 72, 120, 124), groups=4, shared_gru=(3,)),
    "student-200k": Architecture(channels=(16, 32, 40, 48), groups=8, shared_gru=(3,)),
    "student-62k": Architecture(channels=(12, 20, 28, 24), groups=6, shared_gru=(3,)),
    "student-30k": Architecture(channels=(8, 8, 10, 16), groups=4, shared_gru=(3,)),
}
"""Named denoisers: about 1.9 M, 170 k, 62 k and 30 k parameters."""

TAGGERS = {
    "tagger-teacher": Architecture(channels=(16, 24, 40, 64), groups=4),
    "tagger-large": Architecture(channels=(12, 16, 24, 32), groups=4),
    "tagger-medium": Architecture(channels=(8, 8, 12, 16), groups=4),
    "tagger-small": Architecture(channels=(4, 6, 8, 8), groups=4),
}
"""Named taggers, on 64 bands and for 20 classes about 130 k, 36 k, 10 k and 3 k parameters."""


def check_fits(architecture: Architecture | OwnNetwork, trained: Architecture | OwnNetwork, same: bool = False) -> None:
    """Raise InputError where a network cannot start from the weights of a trained one, which is the same or, unless `same`
    is asked for, narrower."""
    if architecture == trained:
        return
    if isinstance(architecture, Architecture) and isinstance(trained, Architecture) and not same:
        architecture.places(trained)
        return
    had, wanted = as_dict(trained), as_dict(architecture)
    key = next(key for key in [*wanted, *had] if had.get(key) != wanted.get(key))
    raise InputError(f"{key}: {had.get(key, 'not given')} there, {wanted.get(key, 'not given')} here")


def named(name: str) -> Architecture:
    """The architecture of that name. Raises InputError with the closest one for an unknown name."""
    known = ARCHITECTURES | TAGGERS
    if name not in known:
        raise InputError(f"no model is named {name!r}{did_you_mean(name, known)}")
    return known[name]


def classes_of(header: Mapping[str, Any], where: str) -> tuple[str, ...]:
    """The class names in a model's header. Raises InputError where there are none, or one is there twice or would write more
    than itself on a terminal."""
    classes = header.get("classes")
    if not isinstance(classes, list) or not classes or not all(isinstance(name, str) for name in classes):
        raise InputError(f"{where}: a tagger's file names its classes, this one has {classes!r}")
    for name in classes:
        if not name.isprintable():
            raise InputError(f"{where}: the class {name!r} cannot be printed")
        if classes.count(name) > 1:
            raise InputError(f"{where}: the class {name!r} is there twice")
    return tuple(classes)
