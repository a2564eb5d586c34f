"""A tokenizer as it lies in an HF folder: tokenizer.json, its config and the chat template."""

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tokenizers

from aha.errors import UserError
from aha.model.config import token_id_list

_KEPT_FILES = ("special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt")


class Tokenizer:
    """Text to token ids and back. Adds no special token unless asked to."""

    def __init__(
        self,
        backend: tokenizers.Tokenizer,
        *,
        eos_token: str | None = None,
        bos_token: str | None = None,
        pad_token: str | None = None,
        chat_template: str | None = None,
        eos_token_ids: Sequence[int] = (),
        settings: Mapping[str, Any] | None = None,
        generation: Mapping[str, Any] | None = None,
        files: Mapping[str, bytes] | None = None,
    ):
        """eos_token_ids: more ids that end a text, beside those in `generation`.

        settings, generation: the content of a tokenizer_config.json and generation_config.json.
        files: companion files of a folder, which `write` copies as they were.
        """
        backend.no_padding()
        backend.no_truncation()
        self.backend = backend
        self.chat_template = chat_template
        self.settings: dict[str, Any] = dict(settings or {})
        for key, token in (("eos", eos_token), ("bos", bos_token), ("pad", pad_token)):
            if token is not None:
                self.settings[f"{key}_token"] = token
        self.generation: dict[str, Any] = dict(generation or {})
        self.files = dict(files or {})
        self.bos_token_id = self._special("bos_token")
        self.pad_token_id = self._special("pad_token")
        own = self._special("eos_token")
        stops = token_id_list(self.generation.get("eos_token_id"))
        ids = ([] if own is None else [own], stops, eos_token_ids)
        self.eos_token_ids: tuple[int, ...] = tuple(dict.fromkeys(itertools.chain(*ids)))
        """Every id that ends a text: the tokenizer's own, then those of the generation config."""
        self.adds_bos = self._bos_policy()

    @property
    def eos_token_id(self) -> int | None:
        """The id to write at the end of a text."""
        return self.eos_token_ids[0] if self.eos_token_ids else None

    @property
    def vocab_size(self) -> int:
        """Number of ids, added tokens included; the model's table may have more rows."""
        return max(self.backend.get_vocab(with_added_tokens=True).values(), default=-1) + 1

    def encode(self, text: str, *, with_bos: bool = False) -> list[int]:
        """Token ids of the text alone.

        with_bos: put the BOS token in front if this tokenizer's config asks for one.
        """
        ids = list(self.backend.encode(text, add_special_tokens=False).ids)
        bos = self.bos_token_id
        if with_bos and self.adds_bos and bos is not None and ids[:1] != [bos]:
            return [bos, *ids]
        return ids

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        return self.backend.decode(list(ids), skip_special_tokens=skip_special_tokens)

    def token_to_id(self, token: str) -> int | None:
        return self.backend.token_to_id(token)

    def id_to_token(self, token_id: int) -> str | None:
        return self.backend.id_to_token(token_id)

    def special_token(self, name: str) -> str | None:
        """The text of `eos_token`, `bos_token`, ... in the tokenizer's config."""
        value = self.settings.get(name)
        return value.get("content") if isinstance(value, Mapping) else value

    def _special(self, name: str) -> int | None:
        text = self.special_token(name)
        return None if text is None else self.backend.token_to_id(text)

    def _bos_policy(self) -> bool:
        if self.bos_token_id is None:
            return False
        if self.settings.get("add_bos_token") is not None:
            return bool(self.settings["add_bos_token"])
        return self.backend.encode("", add_special_tokens=True).ids[:1] == [self.bos_token_id]

    @classmethod
    def from_folder(cls, folder: str | Path, *, eos_token_ids: Sequence[int] = ()) -> "Tokenizer":
        """Read tokenizer.json and its companions. Raises UserError."""
        folder = Path(folder)
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise UserError(
                f"no tokenizer.json in {folder}",
                hint="save the model with a fast tokenizer (transformers: use_fast=True)",
            )
        files = {name: (folder / name) for name in (path.name, *_KEPT_FILES)}
        content = {name: file.read_bytes() for name, file in files.items() if file.is_file()}
        settings = _read_settings(folder / "tokenizer_config.json")
        generation = _read_settings(folder / "generation_config.json")
        return cls(
            _parse_backend(content[path.name], path),
            chat_template=_chat_template(folder, settings),
            eos_token_ids=eos_token_ids,
            settings=settings,
            generation=generation,
            files=content,
        )

    def write(self, folder: Path) -> None:
        """Write the tokenizer's files into a folder, which `from_folder` and transformers read."""
        content = {"tokenizer.json": self.backend.to_str(pretty=True).encode(), **self.files}
        settings = {"tokenizer_class": "PreTrainedTokenizerFast", **self.settings}
        settings.pop("chat_template", None)
        if self.chat_template is not None:
            content["chat_template.jinja"] = self.chat_template.encode()
            settings["chat_template"] = self.chat_template
        pretty = json.dumps(settings, indent=2, ensure_ascii=False)
        content["tokenizer_config.json"] = (pretty + "\n").encode()
        content["generation_config.json"] = _generation_json(self)
        for name, data in content.items():
            (folder / name).write_bytes(data)


def _generation_json(tokenizer: Tokenizer) -> bytes:
    """Stops as they are now, the rest as it was read."""
    stops = list(tokenizer.eos_token_ids)
    current = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": stops[0] if len(stops) == 1 else stops or None,
        "pad_token_id": tokenizer.pad_token_id,
    }
    known = {key: value for key, value in current.items() if value is not None}
    return (json.dumps({**tokenizer.generation, **known}, indent=2) + "\n").encode()


def _parse_backend(data: bytes, path: Path) -> tokenizers.Tokenizer:
    try:
        return tokenizers.Tokenizer.from_buffer(data)
    except Exception as error:  # tokenizers raises a bare Exception
        raise UserError(
            f"cannot read {path}: {error}", hint="the file is damaged: copy it again"
        ) from error


def _read_settings(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(
            f"cannot read {path}: {error}", hint="the file is not JSON: copy it again"
        ) from error


def _chat_template(folder: Path, settings: Mapping[str, Any]) -> str | None:
    """chat_template.jinja wins over tokenizer_config.json, where several have names."""
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    template = settings.get("chat_template")
    if isinstance(template, list):
        named = {entry["name"]: entry["template"] for entry in template}
        return named.get("default")
    return template
