"""Rollouts from the weights that are being trained."""

from aha.engine.engine import Engine
from aha.engine.types import Completion, EngineStats, SamplingParams

__all__ = ["Completion", "Engine", "EngineStats", "SamplingParams"]
