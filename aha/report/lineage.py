"""The lineage of a run as one picture: a row a stage, a line from what it read to where it went.

Inline SVG without a script. Lines run down channels left of the stages, one channel a source, so
that any number of stages stays readable; what comes from where is in each stage's inputs.json.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aha.report.formats import format_seconds
from aha.report.reader import RunData, StageData
from aha.report.stages import KIND_NAMES, Kind, kind_of, output_name, result_of
from aha.report.tags import escape

ROW, BOX_WIDTH, BOX_HEIGHT, CHANNEL, RADIUS = 44, 148, 32, 15, 6
WIDTH = 1120
MAX_RESULT_CHARS, MAX_NAME_CHARS = 52, 20
MAX_NODES, FEWEST_STAGES = 200, 3
"""Two stages in a row need no picture."""
COLUMNS = (("what came of it", 16), ("time", 380), ("output", 490), ("identity", 620))
"""Texts beside a box, with their distance from its right edge."""
KIND_COLORS: dict[Kind, str] = {
    "rl": "--c0", "sft": "--c2", "reward": "--c3", "data": "--c4",
    "evaluation": "--c6", "pretraining": "--c7", "other": "--c5",
}  # fmt: skip
LINE_COLORS = ("--c5", "--c0", "--c4", "--c2", "--c7", "--c1", "--c3", "--c6")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A stage, or something that existed before the run."""

    name: str
    identity: str
    kind: Kind | None
    """None for what no stage made."""
    status: str = "done"
    texts: tuple[str, ...] = ()
    """In the order of COLUMNS."""


@dataclass(slots=True)
class Graph:
    """Nodes from top to bottom, and edges as (from row, to row, name of the input)."""

    nodes: list[Node] = field(default_factory=list)
    edges: list[tuple[int, int, str]] = field(default_factory=list)


def lineage(run: RunData) -> Graph:
    """The graph as inputs.json tells it; a stage that has not begun has no edges yet."""
    graph = Graph()
    rows: dict[str, int] = {}
    for stage in run.stages:
        for given in stage.inputs.values():
            identity = str(given.get("identity", ""))
            if given.get("kind") == "source" and identity not in rows:
                rows[identity] = len(graph.nodes)
                graph.nodes.append(_source(str(given.get("value", "")), identity))
    for stage in run.stages[:MAX_NODES]:
        row = len(graph.nodes)
        graph.nodes.append(_stage(run, stage))
        for name, given in stage.inputs.items():
            start = _row_of(str(given.get("identity", "")), rows)
            if start is not None:
                graph.edges.append((start, row, name))
        rows[stage.id] = row
    return graph


def lineage_svg(run: RunData) -> str:
    """The picture; empty for a run of one or two stages."""
    graph = lineage(run)
    if not graph.edges or len(run.stages) < FEWEST_STAGES:
        return ""
    channels = assign_channels(graph.edges)
    left = 10 + CHANNEL * (1 + max(channels.values(), default=0))
    height = 30 + ROW * len(graph.nodes)
    body = "".join(_header(left)) + "".join(_lines(graph, channels, left))
    body += "".join(_box(node, row, left) for row, node in enumerate(graph.nodes))
    label = "Stages of this run and what each read"
    return (
        f'<div class="scroll card lineage" tabindex="0"><svg role="img" aria-label="{label}" '
        f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">{body}</svg></div>'
        + _legend(graph.nodes)
    )


def assign_channels(edges: Sequence[tuple[int, int, str]]) -> dict[int, int]:
    """Channel (0 is the nearest to the boxes) of every row whose output goes past the next row.

    Two rows share a channel only if their lines do not overlap; the shortest lines lie nearest.
    """
    last: dict[int, int] = {}
    for start, end, _ in edges:
        last[start] = max(end, last.get(start, 0))
    long = sorted((end - start, start, end) for start, end in last.items() if end > start + 1)
    taken: list[list[tuple[int, int]]] = []
    channels = {}
    for _, start, end in long:
        place = next(
            (i for i, used in enumerate(taken) if all(end <= a or b <= start for a, b in used)),
            len(taken),
        )
        if place == len(taken):
            taken.append([])
        taken[place].append((start, end))
        channels[start] = place
    return channels


def _source(value: str, identity: str) -> Node:
    name = value.rstrip("/").rsplit("/", 1)[-1] or value
    texts = (f"given: {value}", "", "", identity[:8])
    return Node(name=name, identity=identity[:8], kind=None, texts=texts)


def _stage(run: RunData, stage: StageData) -> Node:
    result = result_of(run, stage) if stage.status != "waiting" else "waiting"
    if stage.status not in ("done", "waiting"):
        result = ", ".join(part for part in (stage.status, result) if part)
    time = format_seconds(stage.seconds) if stage.seconds is not None else ""
    return Node(
        name=stage.name,
        identity=stage.id,
        kind=kind_of(run, stage),
        status=stage.status,
        texts=(result, time, output_name(stage), stage.id),
    )


def _row_of(identity: str, rows: Mapping[str, int]) -> int | None:
    """Sources are known by their whole identity, stages by its beginning."""
    return rows.get(identity, rows.get(identity[:8]))


def _middle(row: int) -> float:
    return 30 + ROW * row + BOX_HEIGHT / 2


def _header(left: float) -> list[str]:
    edge = left + BOX_WIDTH
    return [f'<text class="head" x="{edge + x}" y="16">{name}</text>' for name, x in COLUMNS]


def _lines(graph: Graph, channels: Mapping[int, int], left: float) -> list[str]:
    """Short edges straight down; the others out to their channel, down, and back in."""
    incoming: dict[int, list[int]] = {}
    for start, end, _ in graph.edges:
        if start in channels and start not in incoming.setdefault(end, []):
            incoming[end].append(start)
    for starts in incoming.values():  # outer channels come in on top: their lines do not cross
        starts.sort(key=lambda start: -channels[start])
    drawn = []
    for start, end, name in graph.edges:
        said = f"{graph.nodes[start].name} is the {name} of {graph.nodes[end].name}"
        tip = f"<title>{escape(said)}</title>"
        color = f"var({LINE_COLORS[start % len(LINE_COLORS)]})"
        if start not in channels:
            x, top = left + 22, _middle(start) + BOX_HEIGHT / 2
            path = f"M{x} {top}V{_middle(end) - BOX_HEIGHT / 2 - 6}"
            drawn.append(_arrow(path, color, x, _middle(end) - BOX_HEIGHT / 2, tip, down=True))
            continue
        x, top = left - CHANNEL * (1 + channels[start]), _middle(start)
        y = _middle(end) + _spread(incoming[end].index(start), len(incoming[end]))
        path = (
            f"M{left} {top}H{x + RADIUS}Q{x} {top} {x} {top + RADIUS}"
            f"V{y - RADIUS}Q{x} {y} {x + RADIUS} {y}H{left - 6}"
        )
        drawn.append(_arrow(path, color, left, y, tip, down=False))
    return drawn


def _spread(index: int, count: int) -> float:
    """Where on the side of a box the n-th of several lines comes in."""
    step = min(7.0, (BOX_HEIGHT - 8) / max(1, count - 1)) if count > 1 else 0.0
    return (index - (count - 1) / 2) * step


def _arrow(path: str, color: str, x: float, y: float, tip: str, *, down: bool) -> str:
    head = (
        f"M{x - 4} {y - 6}H{x + 4}L{x} {y}Z" if down else f"M{x - 6} {y - 3.5}V{y + 3.5}L{x} {y}Z"
    )
    return (
        f'<g>{tip}<path d="{path}" fill="none" stroke="{color}" stroke-width="1.6"/>'
        f'<path d="{head}" fill="{color}"/></g>'
    )


def _box(node: Node, row: int, left: float) -> str:
    top, middle = _middle(row) - BOX_HEIGHT / 2, _middle(row)
    color = f"var({KIND_COLORS[node.kind]})" if node.kind else "var(--faint)"
    dashes = ' stroke-dasharray="4 4"' if node.status == "waiting" or node.kind is None else ""
    waiting = " waiting" if node.status == "waiting" else ""
    bar = "" if node.kind is None else (
        f'<rect x="{left}" y="{top}" width="5" height="{BOX_HEIGHT}" rx="2.5" fill="{color}"/>'
    )  # fmt: skip
    texts = zip((x for _, x in COLUMNS), node.texts, strict=True)
    beside = "".join(
        f'<text x="{left + BOX_WIDTH + x}" y="{middle + 4.5}">'
        f"{escape(_cut(text, MAX_RESULT_CHARS))}</text>"
        for x, text in texts
    )
    return (
        f'<g class="node{waiting}"><rect x="{left}" y="{top}" width="{BOX_WIDTH}" '
        f'height="{BOX_HEIGHT}" rx="6" fill="var(--card)" stroke="{color}"{dashes}/>{bar}'
        f'<text class="name" x="{left + 16}" y="{middle + 5}">'
        f"{escape(_cut(node.name, MAX_NAME_CHARS))}</text>{beside}</g>"
    )


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def _legend(nodes: Sequence[Node]) -> str:
    kinds = dict.fromkeys(node.kind for node in nodes if node.kind)
    items = "".join(
        f'<span><i style="background:var({KIND_COLORS[kind]})"></i>{KIND_NAMES[kind]}</span>'
        for kind in kinds
    )
    return f'<p class="key kinds">{items}<span><i class="given"></i>given</span></p>'
