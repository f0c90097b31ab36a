"""Recordings -> noisy and clean pairs, a pure function of (seed, epoch, index)."""

from tinyse.mixtures.config import MixtureConfig
from tinyse.mixtures.dataset import AnyMixer, MixtureDataset, open_mixer, valid_mixtures
from tinyse.mixtures.mixer import Mixer, Mixture

__all__ = ["AnyMixer", "Mixer", "Mixture", "MixtureConfig", "MixtureDataset", "open_mixer", "valid_mixtures"]
