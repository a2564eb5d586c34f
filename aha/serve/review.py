"""`aha review`: a person accepts, edits or rejects conversations before a model learns from them.

Decisions go to DATA.reviewed.jsonl as they are made; DATA.jsonl itself is never written.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aha.chat.conversations import Message, read_messages
from aha.errors import UserError
from aha.pipeline.files import write_jsonl
from aha.report.markup import mark_up, visible
from aha.rewards.response import TAGS
from aha.serve.decisions import Decisions, keys_of, seconds_of
from aha.tasks.files import read_rows

KINDS = ("accepted", "edited", "rejected")
MAX_TEXT_CHARS = 1_000_000


class Review:
    """Conversations with the decisions about them."""

    kind = "review"

    def __init__(self, path: Path, *, is_read_only: bool = False):
        """Raises UserError for a file that is no data, or that is being reviewed already."""
        rows = read_rows(path)
        if not rows:
            raise UserError(f"{path} has no rows", hint="the stage before kept nothing")
        self.name = path.name
        self.rows = list(keys_of(rows).items())
        self.messages = [_messages(row, path, n) for n, row in enumerate(rows, start=1)]
        if len(self.rows) < len(rows):  # equal rows are shown once
            self.messages = [_messages(row, path, 0) for _, row in self.rows]
        self.decisions = Decisions(decisions_path(path), is_read_only=is_read_only)

    def __len__(self) -> int:
        return len(self.rows)

    def state(self, after: int = -1) -> dict[str, Any]:
        """Progress, and the next conversation to look at."""
        kinds = [self._decision(index).get("decision") for index in range(len(self.rows))]
        open_ones = [index for index, kind in enumerate(kinds) if kind is None]
        return {
            "total": len(kinds),
            "done": len(kinds) - len(open_ones),
            "counts": {kind: kinds.count(kind) for kind in KINDS},
            "left": self.decisions.time_left(len(open_ones)),
            "next": next((i for i in open_ones if i > after), next(iter(open_ones), None)),
        }

    def item(self, index: int) -> dict[str, Any]:
        """A conversation as the page shows it, with what was decided about it."""
        _, row = self.rows[index]
        *history, _ = self.messages[index]
        decision = self._decision(index)
        said = self._said(index)
        language = str(row.get("language", ""))
        return {
            "index": index,
            "id": str(row.get("id", index + 1)),
            "facts": _facts(row),
            "question": history[-1].content,
            "history": [{"role": m.role, "content": visible(m.content)} for m in history[:-1]],
            "reasoning": said.reasoning,
            "content": said.content,
            "pieces": _pieces(said.reasoning, language),
            "words": len(said.reasoning.split()),
            "answer": _answer(said.content, row),
            "decision": decision.get("decision"),
        }

    def decide(self, index: int, said: Mapping[str, Any]) -> None:
        """Accept, edit or reject. Raises UserError for an edit that leaves nothing to learn."""
        key, row = self.rows[index]
        kind = said.get("decision")
        if kind not in KINDS:
            raise UserError(f"a decision is one of {', '.join(KINDS)}")
        decision: dict[str, Any] = {"id": str(row.get("id", index + 1)), "decision": kind}
        if kind == "edited":
            texts = {name: _text(said, name) for name in ("reasoning_content", "content")}
            if not texts["content"]:
                raise UserError("the answer is empty")
            last = self.messages[index][-1]
            if texts == {"reasoning_content": last.reasoning, "content": last.content}:
                decision["decision"] = "accepted"  # nothing was changed after all
            else:
                decision |= texts
        self.decisions.add(key, {**decision, "seconds": seconds_of(said)})

    def accepted(self) -> list[dict[str, Any]]:
        """The rows that were accepted, edits applied, in the order of the file."""
        rows = []
        for index, (_, row) in enumerate(self.rows):
            kind = self._decision(index).get("decision")
            if kind not in ("accepted", "edited"):
                continue
            said = self._said(index)
            last = {"role": "assistant", "content": said.content}
            if said.reasoning:
                last["reasoning_content"] = said.reasoning
            messages = [*row["messages"][:-1], last]
            meta = row.get("meta") if isinstance(row.get("meta"), Mapping) else {}
            rows.append({**row, "messages": messages, "meta": {**(meta or {}), "review": kind}})
        return rows

    def export(self, path: Path) -> int:
        """Write the accepted rows; returns how many there are. Raises UserError for none."""
        rows = self.accepted()
        if not rows:
            raise UserError("nothing has been accepted yet", hint=f"aha review {self.name}")
        write_jsonl(path, rows)
        return len(rows)

    def summary(self) -> str:
        state = self.state()
        counts = ", ".join(f"{count:,} {kind}" for kind, count in state["counts"].items())
        return f"{state['done']:,} of {state['total']:,} reviewed: {counts}."

    def _decision(self, index: int) -> Mapping[str, Any]:
        return self.decisions.latest.get(self.rows[index][0], {})

    def _said(self, index: int) -> Message:
        """The last answer, as it was edited."""
        decision, last = self._decision(index), self.messages[index][-1]
        if decision.get("decision") != "edited":
            return last
        reasoning, content = str(decision["reasoning_content"]), str(decision["content"])
        return Message(role="assistant", content=content, reasoning=reasoning)


def decisions_path(path: Path) -> Path:
    """Where the decisions about a file are kept."""
    return path.with_suffix(".reviewed.jsonl")


def _messages(row: Mapping[str, Any], path: Path, number: int) -> list[Message]:
    where = f"{path}, row {number}"
    try:
        messages = read_messages(row.get("messages"))
    except UserError as error:
        raise UserError(f"{where}: {error.message}", hint=error.hint) from None
    if messages[-1].role != "assistant":
        raise UserError(f"{where} does not end with the assistant", hint="drop its last message")
    return messages


def _text(said: Mapping[str, Any], name: str) -> str:
    text = said.get(name)
    if not isinstance(text, str) or len(text) > MAX_TEXT_CHARS:
        raise UserError(f"{name} is no text of reasonable length")
    text = text.replace("\r\n", "\n").strip()
    if found := [tag for tag in TAGS if tag in text]:
        raise UserError(f"{found[0]} has no place in the text: thoughts have a field of their own")
    return text.encode("utf-8", "replace").decode("utf-8")


def _facts(row: Mapping[str, Any]) -> list[str]:
    return [visible(str(row[name])) for name in ("task", "language", "source") if row.get(name)]


def _pieces(thinking: str, language: str) -> list[list[str]]:
    """The thought as [classes, text], with reflection and words of other languages marked."""
    marked = mark_up(f"<think>{thinking}</think>", language=language)
    return [[classes, text] for classes, text in marked if "k" in classes.split()]


def _answer(content: str, row: Mapping[str, Any]) -> dict[str, Any] | None:
    """The answer found in the text beside the gold one, where the row has one."""
    meta = row.get("meta")
    gold = meta.get("gold") if isinstance(meta, Mapping) else None
    if not isinstance(gold, str) or not gold:
        return None
    from aha.rewards.math import extract, verify  # parses formulas: loaded where it is needed

    found, verdict = extract(content), verify(content, gold, timeout_seconds=2.0)
    text = visible(found.text) if found else ""
    return {"gold": visible(gold), "found": text, "is_right": verdict.is_correct}
