"""Fill the generated parts of README and of the pages in this folder: `python -m docs.generate`.

A part stands between `<!-- generated: NAME -->` and `<!-- end -->`. It is made from the code, or
from result files (`measured`), so a number in it cannot go stale: `tests/docs/test_generated.py`
makes it again and compares.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from random import Random
from types import SimpleNamespace
from typing import Any

from aha.algorithms import advantages, kl, presets
from aha.config import Config, allowed, can_say_none, load_toml, stage_configs
from aha.recipes.presets import PRESETS, algorithms, load_config, preset_names
from aha.recipes.recipe import RECIPES, Recipe, load_recipe
from aha.tasks.embedded import arithmetic, corpus, countdown, logic, solutions, splits, vocabulary
from aha.tasks.embedded.voice import Language, Style, Voice
from aha.trainers import advantage, grpo, pretrain, update
from aha.trainers.suites_config import SuitesConfig
from docs import measured, suite_table

PAGES = (*sorted(measured.RESULTS.parent.glob("*.md")), measured.ROOT / "README.md")
PART = re.compile(r"<!-- generated: ([\w-]+) -->\n.*?<!-- end -->", re.DOTALL)
SHOWN_CHAIN = arithmetic.Chain(57, (("-", 28), ("+", 13)))
MOST_SHOWN_CHARS = 260


def main() -> None:
    """Rewrite the pages whose parts have changed."""
    for page in PAGES:
        old = page.read_text(encoding="utf-8")
        new = filled(old)
        if new != old:
            page.write_text(new, encoding="utf-8")
            print(page, file=sys.stderr)


def filled(text: str) -> str:
    """A page with all its parts made anew."""

    def part(match: re.Match[str]) -> str:
        return f"<!-- generated: {match[1]} -->\n\n{PARTS[match[1]]()}\n\n<!-- end -->"

    return PART.sub(part, text)


# The reference of keys.


def configuration() -> str:
    """Every recipe: its own keys, those of its stages, and what its presets set."""
    sections = [section for name in RECIPES for section in _recipe(load_recipe(name))]
    return "\n\n".join([*sections, *_suites()])


def _suites() -> Iterator[str]:
    """The table that every recipe has, once."""
    yield "## Table `suites` of every recipe"
    about = _sentence((SuitesConfig.__doc__ or "").split("\n")[0])
    yield f"{about} Set with `suites.KEY`; measured are stages of RL and of fine-tuning."
    yield _key_table(SuitesConfig)


def _recipe(recipe: Recipe[Any]) -> Iterator[str]:
    stages = stage_configs(recipe.config)
    yield f"## `aha run {recipe.name}`"
    about = _sentence(RECIPES[recipe.name])
    yield f"{about} Without `--preset` it takes `{recipe.default_preset}`."
    yield _key_table(recipe.config, skip=stages)
    for stage, kind in stages.items():
        if kind is SuitesConfig:
            continue
        prefix = f"`KEY` or `{stage}.KEY`" if stage == recipe.main_stage else f"`{stage}.KEY`"
        yield f"### Stage `{stage}`"
        yield f"{_sentence((kind.__doc__ or '').split(chr(10))[0])} Set with {prefix}."
        yield _key_table(kind, skip=stage_configs(kind))
        for name, table in stage_configs(kind).items():
            yield f"#### Table `{stage}.{name}`"
            about = _sentence((table.__doc__ or "").split("\n")[0])
            yield f"{about} Set with `{stage}.{name}.KEY`."
            yield _key_table(table)
    yield f"### Presets of `{recipe.name}`"
    folder = f"aha/recipes/presets/{recipe.name}"
    yield f"What the files in `{folder}` set; an empty cell keeps the default."
    yield _preset_table(recipe)


def _key_table(kind: type[Config], skip: Iterable[str] = ()) -> str:
    rows = [
        (
            f"`{key}`",
            _default(kind, key),
            allowed(kind, key),
            field.description or "",
        )
        for key, field in kind.model_fields.items()
        if key not in skip
    ]
    return _table(("key", "default", "accepts", "meaning"), rows)


def _default(kind: type[Config], key: str) -> str:
    """`none` only where it can be written: a text that is called none would be a name."""
    field = kind.model_fields[key]
    if field.is_required():
        return "required"
    default = field.get_default()
    return "left out" if default is None and not can_say_none(kind, key) else _value(default)


def _preset_table(recipe: Recipe[Any]) -> str:
    names = preset_names(recipe.name)
    files = {name: _flat(load_toml(PRESETS / recipe.name / f"{name}.toml")) for name in names}
    order = list(_flat(_all_keys(recipe.config)))
    keys = sorted({key for values in files.values() for key in values}, key=order.index)
    rows = [(f"`{key}`", *(_set(files[name], key) for name in names)) for key in keys]
    return _table(("key", *(f"`{name}`" for name in names)), rows)


def _all_keys(kind: type[Config]) -> dict[str, Any]:
    stages = stage_configs(kind)
    return {key: _all_keys(stages[key]) if key in stages else None for key in kind.model_fields}


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        name = prefix + key
        flat |= _flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return flat


def _set(values: Mapping[str, Any], key: str) -> str:
    return _value(values[key]) if key in values else ""


# The family of GRPO.


def settings() -> str:
    """What each named algorithm fills in."""
    named = algorithms()
    papers = ("arXiv", *(presets.SETTINGS[name]["paper"] or "-" for name in named))
    keys = next(iter(named.values()))
    rows = [(f"`{key}`", *(_value(values[key]) for values in named.values())) for key in keys]
    return _table(("key", *(f"`{name}`" for name in named)), [papers, *rows])


def constants() -> str:
    """Numbers that the equations hold fixed."""
    eps = (advantages.group_advantages.__kwdefaults__ or {})["eps"]
    rows = (
        ("`algorithms.advantages`, `eps`", eps, "is added to a std before the division"),
        ("`algorithms.kl.MAX_LOG_RATIO`", kl.MAX_LOG_RATIO, "log-ratios are cut here before `exp`"),
        (
            "`trainers.advantage.OVERLONG_CACHE_FRACTION`",
            advantage.OVERLONG_CACHE_FRACTION,
            "part of `max_new_tokens` over which the soft length penalty grows",
        ),
        (
            "`trainers.advantage.MAX_UNSCORED_FRACTION`",
            advantage.MAX_UNSCORED_FRACTION,
            "a larger part of responses without a verdict stops the run",
        ),
        (
            "`trainers.grpo.MAX_REFILLS`",
            grpo.MAX_REFILLS,
            "rounds of dynamic sampling after the first",
        ),
        (
            "`trainers.update.KL_PROBE_ROWS`",
            update.KL_PROBE_ROWS,
            "responses a rank measures the KL on when it is not in the loss",
        ),
    )
    return _table(("constant", "value", "meaning"), [(a, _value(b), c) for a, b, c in rows])


# The embedded world.


def model() -> str:
    """Sizes of the embedded model."""
    recipe = load_recipe("base")
    config = recipe.resolve(load_config(recipe, preset="tiny")).base
    tokenizer = SimpleNamespace(vocab_size=config.vocab_size, eos_token_ids=(0,), eos_token_id=0)
    decoder = pretrain.build_model(config, tokenizer)  # type: ignore[arg-type]
    rows = (
        ("parameters", f"{decoder.num_parameters:,}"),
        ("width, layers, heads", f"{config.width}, {config.layers}, {config.heads}"),
        ("width of the MLP", f"{config.mlp_width}"),
        ("context", f"{config.context_tokens} tokens"),
        ("vocabulary", f"{config.vocab_size:,} entries, embedding and output matrix tied"),
        ("pre-training", f"{config.num_tokens:,} tokens in {config.num_steps:,} updates"),
        ("tokenizer learnt from", f"{vocabulary.NUM_DOCUMENTS:,} documents"),
    )
    return _table(("", ""), rows)


def tasks() -> str:
    """The tasks that can be checked, with a question of each in two languages."""
    rows = [
        (name, answer, ask(Random(0), "en"), ask(Random(0), "zh"))
        for name, answer, ask in (
            ("`arithmetic`", "a number", _ask_chain),
            ("`countdown`", "an expression", _ask_puzzle),
            ("`logic`", "a name", _ask_order),
        )
    ]
    return _table(("task", "answer", "in English", "in Chinese"), rows)


def _ask_chain(rng: Random, language: Language) -> str:
    return arithmetic.ask(SHOWN_CHAIN, language, rng)


def _ask_puzzle(rng: Random, language: Language) -> str:
    return countdown.ask(countdown.draw_puzzle(rng), language, rng)


def _ask_order(rng: Random, language: Language) -> str:
    return logic.ask(logic.draw_order(rng, language), language, rng)


def shares() -> str:
    """What the corpus is made of."""
    parts: dict[str, Mapping[Any, float]] = {
        "topic": corpus.TOPICS,
        "mode of a solution": corpus.MODES,
        "tags": corpus.TAGS,
        "form": corpus.FORMS,
        "operands of a chain": corpus.OPERANDS,
        "kind of drill": corpus.DRILLS,
    }
    rows = [
        (what, ", ".join(f"{name}: {_percent(share)}" for name, share in table.items()))
        for what, table in parts.items()
    ]
    return _table(("of", "shares"), rows)


def modes() -> str:
    """Each mode with its shares and a solution of the same problem."""
    rows = [
        (mode, _percent(share), _percent(corpus.MIXES_LANGUAGES[mode]), _solution(mode))
        for mode, share in corpus.MODES.items()
    ]
    question = arithmetic.ask(SHOWN_CHAIN, "en", Random(0))
    header = ("mode", "share", "mixes languages", f"what is thought about `{question}`")
    return _table(header, rows)


def _solution(mode: solutions.Mode) -> str:
    """A solution in English; of the checked ones one in which a check repairs a mistake."""
    found = (_solved(mode, "en", seed) for seed in range(1_000))
    right = str(SHOWN_CHAIN.value)
    shown = next(
        said
        for said in found
        if mode != "checked" or ("wrong" in said.thinking and said.answer == right)
    )
    thinking = f"`{shown.thinking.strip()}`, then " if shown.thinking else ""
    return f"{thinking}`{shown.answer}`"


def _solved(mode: solutions.Mode, style: Style, seed: int) -> solutions.Solution:
    return solutions.solve_chain(SHOWN_CHAIN, mode, Voice(style, Random(seed)))


def mixed() -> str:
    """A checked solution by somebody who mixes languages."""
    found = (_solved("checked", "mixed", seed).thinking for seed in range(1_000))
    return _fenced(next(said.strip() for said in found if "Wait" in said and "首先" in said))


def slips() -> str:
    """How reliable the people of this world are."""
    rows = (
        ("a quick step is wrong, with a carry or borrow", solutions.SLIP_WITH_CARRY),
        ("a quick step is wrong, without", solutions.SLIP_WITHOUT_CARRY),
        ("a step in easy parts is wrong", solutions.SLIP_IN_PARTS),
        ("a direct answer to a chain is wrong", solutions.DIRECT_IS_WRONG),
        ("who checks, does so after every step (else after half of them)", solutions.CHECKS_ALL),
        ("a step that was done again is checked again", solutions.CHECKS_AGAIN),
        ("a countdown guess is chosen to be right, not drawn blindly", solutions.LUCKY_GUESS),
        ("after a rejected guess a writer stops and answers with it", solutions.GIVE_UP),
        ("a logic writer stops at a name that is not yet the end", solutions.OVERLOOKS),
    )
    return _table(("event", "how often"), [(what, _percent(share)) for what, share in rows])


def split_sizes() -> str:
    """The splits of every embedded task."""
    other = splits.NUM_BUCKETS - 2
    parts = {"train": other, "validation": 1, "heldout": 1}
    rows = [
        (f"`{name}`", f"{parts[name]} in {splits.NUM_BUCKETS}", f"{size:,}")
        for name, size in splits.SPLIT_SIZES.items()
    ]
    return _table(("split", "share of all possible problems", "problems, at most"), rows)


def documents() -> str:
    """The first short documents of a stream of their own."""
    short = (text for text in corpus.documents(0, part="docs") if len(text) < MOST_SHOWN_CHARS)
    return _fenced("\n\n".join(text.strip() for text in islice(short, 10)))


# Markdown.


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _fenced(text: str) -> str:
    return f"```text\n{text}\n```"


def _value(value: object) -> str:
    """As it is written after --set."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(map(_value, value))
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _percent(share: float) -> str:
    return f"{100 * share:g}%"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."


PARTS: Mapping[str, Callable[[], str]] = {
    "configuration": configuration,
    "settings": settings,
    "constants": constants,
    "model": model,
    "tasks": tasks,
    "shares": shares,
    "modes": modes,
    "mixed": mixed,
    "slips": slips,
    "splits": split_sizes,
    "documents": documents,
    "suites": suite_table.suites,
    **measured.PARTS,
}

if __name__ == "__main__":
    main()
