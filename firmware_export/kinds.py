"""What an export is: sound in and out, sound in and decisions out, or a network alone."""

from __future__ import annotations

DENOISER, CLASSIFIER, BARE = "denoiser", "classifier", "bare"
