"""Sound that flows now: devices or files -> ring -> `Denoiser` -> ring -> devices or files, with meters and keys."""
