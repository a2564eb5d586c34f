"""`aha show A.json [B.json] --html`: an evaluation, or two side by side, on one offline page."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import aha
from aha.evals.compare import Comparison, of_k
from aha.evals.leaderboard import Leaderboard
from aha.evals.metrics import Estimate
from aha.evals.paper import LABEL
from aha.evals.result import ProblemResult, Result, SampleResult
from aha.report import tags
from aha.report.evaluations import (
    Cells,
    board_notes,
    comparison_line,
    comparison_rows,
    figure_rows,
    how_taken,
    leaderboard_rows,
    name_of,
    names_of,
    paper_rows,
    unit_of,
    warning_lines,
)
from aha.report.formats import PLUS_MINUS, format_value
from aha.report.markup import visible
from aha.report.page import MAX_PAGE_BYTES, flatten
from aha.report.samples import (
    BYTES_PER_CHAR,
    BYTES_PER_SAMPLE,
    MAX_SAMPLE_CHARS,
    inert,
    sample_json,
)
from aha.report.shell import BASE_SCRIPTS, fill_shell
from aha.report.survey import Located
from aha.report.tags import escape, section
from aha.rewards.reflection import find_reflection_words

SHOWN_SAMPLES = (16, 8, 4, 2)
"""Of one problem and one model: the first of these with which all problems fit on the page, else
the last. The grid shows the verdicts of all."""
MAX_QUESTION_CHARS, MAX_LISTED_CHARS, LISTED_CHARS = 2_000, 72, 120_000
MAX_SAMPLE_CHARS_READ = 200_000
TILE_FIGURES = ("pass", "cons", "length_tokens", "truncated", "unscored")
NAV = {
    "table": "Figures",
    "outcomes": "Problems",
    "samples": "Samples",
    "paper": "The paper",
    "settings": "Settings",
}
EXPLAINED = {
    "pass@1": "mean over all responses",
    "pass@": "one or more of so many responses right",
    "cons@": "right by the majority vote of so many",
    "length_tokens": "mean tokens a response",
    "truncated": "cut off at the token limit",
    "unscored": "responses without a verdict",
}


def write_result_page(path: Path, result: Result, *, max_bytes: int = MAX_PAGE_BYTES) -> Path:
    """One evaluation: figures, every verdict, samples."""
    rows = figure_rows(result)
    table = _tiles(result) + _card(rows)
    heading = f"{name_of(result)} on {result.suite}"
    return _write(path, heading, [result], [name_of(result)], table, max_bytes)


def write_comparison_page(
    path: Path, a: Result, b: Result, comparison: Comparison, *, max_bytes: int = MAX_PAGE_BYTES
) -> Path:
    """Two evaluations: differences with p-values, the verdicts and samples of both."""
    names = names_of(a, b)
    warnings = "".join(f'<p class="warn">{escape(x)}</p>' for x in warning_lines(comparison))
    line = f'<p class="said">{escape(comparison_line(comparison, names))}</p>'
    table = warnings + _card(comparison_rows(comparison, names)) + line
    heading = f"{names[0]} against {names[1]} on {a.suite}"
    return _write(path, heading, [a, b], list(names), table, max_bytes)


def write_leaderboard_page(path: Path, board: Leaderboard) -> Path:
    """Models by suites."""
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in board_notes(board))
    body = section("table", "Models and suites", _card(leaderboard_rows(board)) + notes)
    path.write_bytes(
        _page("Leaderboard", f"{len(board.entries):,} results.", {"table": "Models"}, body, "{}")
    )
    return path


def _write(
    path: Path,
    heading: str,
    results: Sequence[Result],
    names: Sequence[str],
    table: str,
    max_bytes: int,
) -> Path:
    paper = paper_rows(results[0].suite)
    main = (
        section("table", "Figures", table)
        + '<section id="outcomes" hidden><h2>Problems</h2><div class="body"></div></section>'
        + '<section id="samples" hidden><h2>Samples</h2><div class="body"></div></section>'
        + section("paper", "The paper", _paper(paper))
        + section("settings", "Settings", _settings(results, names))
    )
    nav = {key: shown for key, shown in NAV.items() if paper or key != "paper"}

    def fill(groups: Mapping[str, str], limit: int) -> bytes:
        data = _data(results, names, groups, limit)
        return _page(heading, f"{how_taken(results[0])}.", nav, main, data)

    budget = max(0, max_bytes - len(fill({}, SHOWN_SAMPLES[0])))
    limit = _samples_that_fit(results, budget)
    path.write_bytes(fill(dict(_fitting(results, budget, limit)), limit))
    return path


def _page(heading: str, lead: str, nav: Mapping[str, str], main: str, data: str) -> bytes:
    return fill_shell(
        title=f"{heading} - aha",
        heading=escape(heading),
        lead=lead,
        nav=nav,
        main=main,
        footer=f"aha {aha.__version__}. This page is one file and loads nothing.",
        data=data,
        scripts=(*BASE_SCRIPTS, "evaluation.js"),
        styles=("page.css", "evaluation.css"),
    )


def _data(
    results: Sequence[Result], names: Sequence[str], groups: Mapping[str, str], limit: int
) -> str:
    """What the script draws: the verdicts of all problems, the texts of those in `groups`."""
    pairs = _pairs(results)
    chars = min(MAX_LISTED_CHARS, LISTED_CHARS // max(1, len(pairs)))
    problems = [_outcome(number, pair, chars) for number, pair in enumerate(pairs)]
    left_out = len(problems) - len(groups)
    note = f"The responses to {len(groups):,} of {len(problems):,} problems are on this page, "
    note += f"at most {limit} of each; the result file holds all."
    plain = {
        "models": [visible(name) for name in names],
        "problems": problems,
        "note": note if left_out or _is_cut(results, limit) else "",
    }
    head = inert(json.dumps(plain, ensure_ascii=False, separators=(",", ":")))
    texts = ",".join(f"{inert(json.dumps(key))}:{group}" for key, group in groups.items())
    return f'{head[:-1]},"groups":{{{texts}}}}}'


def _pairs(results: Sequence[Result]) -> list[tuple[ProblemResult | None, ...]]:
    """The problems of the first result, each with the same one of the second where it is there."""
    others = [{problem.id: problem for problem in result.problems} for result in results[1:]]
    return [(p, *(other.get(p.id) for other in others)) for p in results[0].problems]


def _outcome(number: int, pair: Sequence[ProblemResult | None], chars: int) -> dict[str, Any]:
    first = pair[0]
    assert first is not None
    return {
        "key": str(number),
        "question": visible(first.question[:chars]) + " ..." * (len(first.question) > chars),
        "marks": ["".join(map(_mark, p.samples)) if p else "" for p in pair],
    }


def _mark(sample: SampleResult) -> str:
    return "u" if not sample.is_scored else "1" if sample.is_correct else "0"


def _is_cut(results: Sequence[Result], limit: int) -> bool:
    return any(len(p.samples) > limit for result in results for p in result.problems)


def _samples_that_fit(results: Sequence[Result], budget: int) -> int:
    """How many responses to each problem may be on the page, by a guess at their size."""
    problems = [problem for result in results for problem in result.problems]
    for limit in SHOWN_SAMPLES:
        shown = (sample for problem in problems for sample in problem.samples[:limit])
        chars = sum(BYTES_PER_SAMPLE + _bytes(sample.text) for sample in shown)
        if chars + sum(2 * len(_shortened(p.question)) for p in problems) <= budget:
            return limit
    return SHOWN_SAMPLES[-1]


def _bytes(text: str) -> float:
    return BYTES_PER_CHAR * min(len(text), MAX_SAMPLE_CHARS)


def _fitting(results: Sequence[Result], budget: int, limit: int) -> Iterator[tuple[str, str]]:
    """(number, JSON) of the problems whose texts fit, the most telling first."""
    pairs = _pairs(results)
    for number in _telling(pairs):
        whole = _group(pairs[number], limit)
        group = inert(json.dumps(whole, ensure_ascii=False, separators=(",", ":")))
        budget -= len(group.encode("utf-8", "replace")) + len(str(number)) + 4
        if budget < 0:
            return
        yield str(number), group


def _telling(pairs: Sequence[Sequence[ProblemResult | None]]) -> list[int]:
    """All problems; in turn one that the models differ in, a mixed one, a failed, a solved one."""
    kinds: tuple[list[int], ...] = ([], [], [], [])
    for number, pair in enumerate(pairs):
        shares = [_share(problem) for problem in pair if problem is not None]
        low, high = min(shares), max(shares)
        differ, mixed = low != high, 0.0 < low < 1.0
        kinds[0 if differ else 1 if mixed else 2 if high == 0.0 else 3].append(number)
    longest = max(map(len, kinds))
    return [kind[i] for i in range(longest) for kind in kinds if i < len(kind)]


def _share(problem: ProblemResult) -> float:
    return problem.num_correct / max(1, len(problem.scored))


def _group(pair: Sequence[ProblemResult | None], limit: int) -> dict[str, Any]:
    first = pair[0]
    assert first is not None
    return {
        "id": visible(first.id),
        "question": visible(_shortened(first.question)),
        "gold": visible(_shortened(first.gold)),
        "language": visible(first.language),
        "prompts": [visible(_shortened(p.prompt)) if p else "" for p in pair],
        "samples": [_samples(problem, limit) if problem else [] for problem in pair],
    }


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_QUESTION_CHARS else text[:MAX_QUESTION_CHARS] + " ..."


def _samples(problem: ProblemResult, limit: int) -> list[dict[str, Any]]:
    shown = enumerate(problem.samples[:limit])
    return [sample_json(_row(problem, i, s), Located([], 0)) for i, s in shown]


def _row(problem: ProblemResult, number: int, sample: SampleResult) -> dict[str, Any]:
    """A sample under the names that the samples of a run have."""
    text = sample.text[:MAX_SAMPLE_CHARS_READ]
    return {
        "text": text,
        "language": problem.language,
        "sample": number,
        "rewards": dict(sample.figures),
        "verdict": sample.verdict,
        "reason": sample.reason,
        "extracted": sample.extracted,
        "length_tokens": sample.length_tokens or None,
        "finish_reason": sample.finish_reason,
        "reflection": len(find_reflection_words(text)),
        "when": "evaluation",
    }


def _tiles(result: Result) -> str:
    """The main figure, the largest k of pass@k and cons@k, length, what was cut off or failed."""
    largest = {of_k(name)[0]: name for name in result.metrics}
    names = [result.metric, *(largest[kind] for kind in TILE_FIGURES if kind in largest)]
    shown = [n for n in dict.fromkeys(names) if n != "unscored" or result.metrics[n].value > 0]
    return f'<dl class="tiles">{"".join(_tile(n, result.metrics[n]) for n in shown)}</dl>'


def _tile(name: str, estimate: Estimate) -> str:
    unit = unit_of(name, [estimate.value])
    error = format_value(estimate.stderr, unit).rstrip("%")
    kind = next((k for k in (name, name.partition("@")[0] + "@") if k in EXPLAINED), "")
    return (
        f'<div class="tile"><dt>{escape(name)}</dt><dd class="value">'
        f'{format_value(estimate.value, unit)} <span class="unit">{PLUS_MINUS}{error}</span></dd>'
        f'<dd class="why">{escape(EXPLAINED.get(kind, ""))}</dd></div>'
    )


def _card(rows: Sequence[Cells]) -> str:
    return f'<div class="card models">{tags.table(rows[0], rows[1:])}</div>'


def _paper(rows: Sequence[Cells]) -> str:
    if not rows:
        return ""
    note = f"For orientation: {LABEL}."
    return f'<p class="note">{escape(note)}</p><div class="paper">{_card(rows)}</div>'


def _settings(results: Sequence[Result], names: Sequence[str]) -> str:
    flat = [dict(flatten(_taken(result))) for result in results]
    keys = dict.fromkeys(key for one in flat for key in one)
    rows = [[key, *(one.get(key, "") for one in flat)] for key in keys]
    return f"<details open><summary>How it was taken</summary>{_wrapped(names, rows)}</details>"


def _taken(result: Result) -> dict[str, Any]:
    """Everything but the figures and the samples."""
    hidden = ("format_version", "kind", "metrics", "problems")
    return {k: v for k, v in result.table().items() if k not in hidden and v != {}}


def _wrapped(names: Sequence[str], rows: Sequence[Cells]) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in ["", *names])
    body = "".join(
        "<tr>" + "".join(f'<td class="code">{escape(cell)}</td>' for cell in row) + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll"><table class="two"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
