"""How thinking emerges in a run: behaviours over steps, what goes with them, what they cause."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table as RichTable

from aha.evals.emergence import SIGNS, Observed, summarise
from aha.report import tags
from aha.report.figures import Figure, Series, Unit
from aha.report.formats import DASH, format_measured
from aha.report.outcomes import Measured
from aha.report.reader import RunData, as_number
from aha.report.survey import Survey
from aha.report.tags import section

FILE = "emergence.json"
BY_END = "forced - resumed, the thought"
NAMES = {
    "reflection": "reflection words",
    "verification": "verification",
    "backtracking": "backtracking",
    "sub_goal": "sub-goals",
    "backward_chaining": "backward chaining",
}
ARM_NAMES = {
    "free": "as it is",
    "forbidden": "reflection words forbidden",
    "resumed": "resumed at the end of the thought",
    "forced": "one more look forced",
}
COLORS = {
    "reflection": 1,
    "verification": 2,
    "backtracking": 4,
    "sub_goal": 0,
    "backward_chaining": 3,
}
Groups = list[list[Observed]]
Table = dict[str, Any]
Titled = tuple[str, list[list[str]]]
WHOLE = "all steps"
TOLD = ("forbidden - free", "forced - resumed")
"""What the terminal says of a run."""
FEWEST = 3
"""A point of a curve rests on so many problems at least."""
NOTE = (
    "Behaviours are found by rules, a sentence at a time; docs/emergence.md has precision and "
    "recall. What goes with right answers need not cause them: hard problems are thought about "
    "longer, so responses to the same problem at the same step are compared too."
)


def emergence_summary(survey: Survey) -> Table:
    """All figures as JSON: of the first and last third of the steps and the held-out samples."""
    return {label: summarise(groups) for label, groups in parts(survey).items()}


def parts(survey: Survey) -> dict[str, Groups]:
    """Label -> responses, a list for each step: of the stage with the most sampled steps."""
    by_step = main_stage(survey)
    steps = list(by_step)
    third = max(1, len(steps) // 3)
    ends = [steps[:third], steps[-third:]] if len(steps) > 1 else [steps]
    found = {_label(part): [by_step[step] for step in part] for part in ends if part}
    if len(steps) > 1:
        found[WHOLE] = list(by_step.values())
    for (_, _, when), observed in survey.observed.items():
        if when and observed:
            found[f"held-out {when}"] = [observed]
    return found


def main_stage(survey: Survey) -> dict[int, list[Observed]]:
    """Step -> responses, of the stage with the most sampled steps."""
    sampled = {key: found for key, found in survey.observed.items() if not key[2] and found}
    stages = Counter(stage for stage, _, _ in sampled)
    if not stages:
        return {}
    main = stages.most_common(1)[0][0]
    return {step: found for (stage, step, _), found in sampled.items() if stage == main}


def emergence_figures(survey: Survey) -> list[Table]:
    """Curves over the sampled steps of the main stage."""
    by_step = {step: summarise([found]) for step, found in main_stage(survey).items()}
    if len(by_step) < 2:
        return []
    figures = (_shares(by_step), _accuracy(by_step), _lengths(by_step), _positions(by_step))
    return [asdict(figure) for figure in figures if figure.series]


def emergence_section(run: RunData, survey: Survey) -> str:
    """The tables; the page's script puts the curves above them."""
    tables = "".join(
        f'<h3 class="stage-title">{tags.escape(title)}</h3>{tags.table(rows[0], rows[1:])}'
        for title, rows in titled_tables(emergence_summary(survey), run.emergence)
    )
    note = f'<p class="note">{tags.escape(NOTE)}</p>'
    return section("emergence", "Emergence", note + tables if tables else "")


def emergence_lines(run: RunData) -> list[str]:
    """For the terminal: what `aha emergence --causal` has measured, a line a difference."""
    rows = [row for row in _difference_rows(run.emergence) if row[0] in TOLD]
    return [f"reflection, {name}: pass@1 {change} (p {p})" for name, change, p, *_ in rows]


def titled_tables(samples: Mapping[str, Table], measured: Mapping[str, Any]) -> Iterator[Titled]:
    """Every table with its title, header first: of `emergence_summary` and of the arms."""
    tables = [*_sample_tables(samples), *_causal_tables(measured)]
    yield from ((title, rows) for title, rows in tables if len(rows) > 1)


def _sample_tables(samples: Mapping[str, Table]) -> Iterator[Titled]:
    ends = {label: part for label, part in samples.items() if label != WHOLE and part["responses"]}
    if not ends:
        return
    whole = samples.get(WHOLE)
    last = list(ends.values())[1 if whole else 0]
    yield "What responses show", _shown_rows(ends)
    yield f"Accuracy with and without{f', {WHOLE}' if whole else ''}", _given_rows(whole or last)
    yield f"Length by difficulty{', in the last steps' if whole else ''}", _length_rows(last)
    yield "The first right answer inside the thought", _position_rows(ends)


def _causal_tables(measured: Mapping[str, Any]) -> Iterator[Titled]:
    yield f"Reflection forbidden and forced, {measured.get('suite')}", _arm_rows(measured)
    yield "What that changes", _difference_rows(measured)
    yield "What becomes of responses", _moved_rows(measured)


def _shown_rows(ends: Mapping[str, Table]) -> list[list[str]]:
    return [
        ["share of responses", *ends],
        *(
            [NAMES[sign], *(_said(part["shows"][sign], "fraction") for part in ends.values())]
            for sign in SIGNS
        ),
        ["right", *(_said(part["accuracy"], "fraction") for part in ends.values())],
        ["responses", *(f"{part['responses']:,}" for part in ends.values())],
    ]


def _given_rows(whole: Table) -> list[list[str]]:
    header = ["responses that show", "right with", "without", "in a problem", "p", "problems"]
    rows = []
    for sign in SIGNS:
        given = whole["given"][sign]
        if given["with"] is None:
            continue
        within = given["within"]
        rows.append(
            [
                NAMES[sign],
                _said(given["with"], "fraction"),
                _said(given["without"], "fraction"),
                *((DASH, DASH, DASH) if within is None else _tested(within)),
            ]
        )
    return [header, *rows]


def _length_rows(part: Table) -> list[list[str]]:
    header = ["problems", "tokens", "of right ones", "of wrong ones", "right"]
    bins = [(_solved(row), row) for row in part["length_by_pass_rate"]]
    bins += [(f"difficulty {row['difficulty']:g}", row) for row in part["length_by_difficulty"]]
    return [
        header,
        *(
            [
                name,
                *(_said(row[key], "tokens") for key in ("length_tokens", "right_tokens")),
                _said(row["wrong_tokens"], "tokens"),
                _said(row["accuracy"], "fraction"),
            ]
            for name, row in bins
        ),
    ]


def _solved(row: Table) -> str:
    if row["from"] == row["to"]:
        return "always solved"
    return f"solved {100 * row['from']:.0f} to {100 * row['to']:.0f}%"


def _position_rows(ends: Mapping[str, Table]) -> list[list[str]]:
    lines: tuple[tuple[str, str, Unit], ...] = (
        ("right ones that state it", "stated_by_right", "fraction"),
        ("place in the thought", "position", "fraction"),
        ("tokens of thought after it", "tokens_after", "tokens"),
        ("share of the response", "share_after", "fraction"),
        ("wrong ones that had it", "stated_by_wrong", "fraction"),
        ("another problem's answer", "by_chance", "fraction"),
    )
    return [
        ["", *ends],
        *(
            [name, *(_said(part["first_right"][key], unit) for part in ends.values())]
            for name, key, unit in lines
        ),
    ]


def _arm_rows(measured: Mapping[str, Any]) -> list[list[str]]:
    arms = measured.get("arms")
    units: dict[str, Unit] = {
        "pass@1": "fraction",
        "length_tokens": "tokens",
        "reflection": "words",
    }
    rows = [
        [
            name,
            *(_said(row.get(key), unit) for key, unit in units.items()),
            f"{row['pass@1']['n']:,}",
        ]
        for arm, name in ARM_NAMES.items()
        if isinstance(arms, Mapping) and isinstance(row := arms.get(arm), Mapping)
    ]
    return [["responses", "pass@1", "tokens", "reflection words", "problems"], *rows]


def _difference_rows(measured: Mapping[str, Any]) -> list[list[str]]:
    differences, by_end = measured.get("differences"), measured.get(BY_END)
    named = dict(differences) if isinstance(differences, Mapping) else {}
    if isinstance(by_end, Mapping):
        named |= {f"  thought {end}": row for end, row in by_end.items()}
    rows = []
    for pair, row in named.items():
        if isinstance(row, Mapping):
            length = row["length_tokens"]
            tokens = f"{length['value']:+.1f} ±{length['stderr']:.1f}"
            told = (f"{row['responses']:,}", f"{100 * row['changed']:.0f}%")
            rows.append([str(pair), *_tested(row["pass@1"])[:2], tokens, *told])
    return [["on the same responses", "pass@1", "p", "tokens", "responses", "changed"], *rows]


def _moved_rows(measured: Mapping[str, Any]) -> list[list[str]]:
    """What became of responses that were wrong, and of those that were right."""
    moves = measured.get("forced")
    rows = [["responses that were", "right after the look", "right when resumed", ""]]
    for name, key in (("wrong", "wrong_made_right"), ("right", "right_kept")):
        row = moves.get(key) if isinstance(moves, Mapping) else None
        if isinstance(row, Mapping) and isinstance(row.get("forced"), Mapping):
            both = [_said(row[arm], "fraction") for arm in ("forced", "resumed")]
            rows.append([name, *both, f"{row['forced']['n']:,} problems"])
    return rows


def points(difference: Mapping[str, float]) -> str:
    """`+2.1 points ±0.8`."""
    return f"{100 * difference['value']:+.1f} points ±{100 * difference['stderr']:.1f}"


def _tested(difference: Mapping[str, float]) -> tuple[str, str, str]:
    """The difference, its p-value and the problems behind it."""
    p = difference["p_value"]
    return points(difference), "<0.001" if p < 0.001 else f"{p:.3f}", f"{difference['n']:,}"


def _said(estimate: Mapping[str, Any] | None, unit: Unit) -> str:
    value = as_number(estimate.get("value")) if isinstance(estimate, Mapping) else None
    if value is None or estimate is None:
        return DASH
    return format_measured(Measured(value, as_number(estimate.get("stderr"))), unit)  # type: ignore[arg-type]


def _line(
    by_step: Mapping[int, Table], name: str, color: int, pick: Callable[[Table], Table | None]
) -> Series:
    points = [
        [float(step), float(found["value"]), float(found["stderr"])]
        for step, part in by_step.items()
        if (found := pick(part)) is not None and found["n"] >= FEWEST
    ]
    return Series(name=name, points=points, style="measured", color=color)


def _figure(id_: str, title: str, unit: Unit, note: str, lines: Sequence[Series]) -> Figure:
    drawn = [line for line in lines if line.points]
    return Figure(id=id_, title=title, unit=unit, note=note, series=drawn)


def _shares(by_step: Mapping[int, Table]) -> Figure:
    def showing(sign: str) -> Callable[[Table], Table | None]:
        return lambda part: part["shows"][sign]

    seen = [
        sign for sign in COLORS if any(part["shows"][sign]["value"] for part in by_step.values())
    ]
    lines = [_line(by_step, NAMES[sign], COLORS[sign], showing(sign)) for sign in seen]
    note = "Share of the sampled responses that show each, at least once."
    return _figure("behaviours", "Behaviours", "fraction", note, lines)


def _accuracy(by_step: Mapping[int, Table]) -> Figure:
    lines = [
        _line(
            by_step, "with reflection words", 1, lambda part: part["given"]["reflection"]["with"]
        ),
        _line(by_step, "without", 0, lambda part: part["given"]["reflection"]["without"]),
    ]
    note = "Of responses to all problems; the table has the difference inside a problem."
    return _figure("given-reflection", "Accuracy given reflection", "fraction", note, lines)


def _lengths(by_step: Mapping[int, Table]) -> Figure:
    edges = sorted(
        {
            (row["from"], row["to"])
            for part in by_step.values()
            for row in part["length_by_pass_rate"]
        }
    )
    lines = []
    for index, edge in enumerate(edges):

        def pick(part: Table, edge: tuple[float, float] = edge) -> Table | None:
            rows = part["length_by_pass_rate"]
            found = (row["length_tokens"] for row in rows if (row["from"], row["to"]) == edge)
            return next(found, None)

        name = _solved({"from": edge[0], "to": edge[1]})
        lines.append(_line(by_step, name, index, pick))
    note = "Problems by the share of their samples that are right, at that step."
    return _figure("length-by-difficulty", "Length by difficulty", "tokens", note, lines)


def _positions(by_step: Mapping[int, Table]) -> Figure:
    lines = [
        _line(by_step, "where it first stands", 0, lambda part: part["first_right"]["position"]),
        _line(by_step, "of the response after it", 1, lambda p: p["first_right"]["share_after"]),
        _line(by_step, "wrong ones that had it", 2, lambda p: p["first_right"]["stated_by_wrong"]),
    ]
    note = "The first place in the thought where the right answer stands as a result."
    return _figure("first-right", "First right answer", "fraction", note, lines)


def _label(steps: Sequence[int]) -> str:
    return f"steps {steps[0]}-{steps[-1]}" if len(steps) > 1 else f"step {steps[0]}"


def terminal_tables(found: Mapping[str, Any]) -> Iterator[RichTable]:
    """The same tables for the terminal, from what `aha emergence` has found."""
    for title, rows in titled_tables(found.get("samples") or {}, found):
        table = RichTable(title=f"\n{title}", title_justify="left", box=None, header_style="dim")
        for index, name in enumerate(rows[0]):
            table.add_column(name, justify="right" if index else "left", no_wrap=True)
        for row in rows[1:]:
            table.add_row(*row)
        yield table
