"""Recordings -> noisy and clean pairs, a pure function of (seed, epoch, index).

Modules here import `scipy` alone, which imports its parts when they are first used: scipy.signal takes a second, and most
commands filter nothing.
"""

from tinyse.mixtures.config import MixtureConfig
from tinyse.mixtures.dataset import AnyMixer, MixtureDataset, open_mixer, valid_mixtures
from tinyse.mixtures.mixer import Mixer, Mixture

__all__ = ["AnyMixer", "Mixer", "Mixture", "MixtureConfig", "MixtureDataset", "open_mixer", "valid_mixtures"]
