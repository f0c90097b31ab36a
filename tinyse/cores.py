"""The cores that this process may use: a container's or a scheduler's share, not the machine's."""

from __future__ import annotations

import os
from importlib.util import find_spec


def cores(physical: bool = False) -> int:
    """How many, at least 1; `physical` does not count hyperthreads, which share what computes.

    joblib, which the extra `train` brings, knows cgroups' quotas; without it the affinity is what there is to ask.
    """
    if find_spec("joblib"):
        import joblib

        return int(joblib.cpu_count(only_physical_cores=physical))
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
