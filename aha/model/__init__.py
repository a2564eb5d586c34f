"""The decoder, its tokenizer, and HF folders in and out."""

from aha.model.config import ModelConfig
from aha.model.decoder import Decoder
from aha.model.hf_folder import LoadedModel, load_config, load_model, save_model
from aha.model.tokenizer import Tokenizer

__all__ = [
    "Decoder",
    "LoadedModel",
    "ModelConfig",
    "Tokenizer",
    "load_config",
    "load_model",
    "save_model",
]
