"""The figure of `aha scale`: its axes by hand, its marks where the numbers are, its page alone."""

import math
import re
from xml.etree import ElementTree

import pytest

from aha.errors import UserError
from aha.report.axes import Axis, log_axis, step_axis
from aha.report.scaling import (
    curves,
    figure_svg,
    load_scaling,
    page_html,
    table_text,
    write_figures,
)

SVG = "{http://www.w3.org/2000/svg}"


def point(strategy, size, tokens, accuracy, *, stderr=0.02, oracle=False):
    return {
        "strategy": strategy,
        "title": f"{strategy} <&>",
        "size": size,
        "unit": "samples",
        "oracle": oracle,
        "tokens": tokens,
        "accuracy": accuracy,
        "stderr": stderr,
        "n": 64,
        "example": "<script>alert(1)</script>",
    }


def result(**more):
    return {
        "kind": "scaling",
        "suite": "arithmetic",
        "model": {"name": "zero <b>", "reference": "runs/zero", "sha256": "0"},
        "settings": {"num_problems": 64, "temperature": 1.0, "top_p": 1.0, "seed": 0},
        "versions": {"aha-rl": "1.0"},
        "points": [
            point("majority", 4, 400.0, 0.8),
            point("majority", 1, 100.0, 0.5),
            point("oracle", 4, 400.0, 0.95, oracle=True),
            point("budget", 8, 10.0, 0.25, stderr=0.0),
        ],
        **more,
    }


TRAINING = {"stage": "01", "metric": "eval/arithmetic/pass@1",
            "points": [[0, 0.1, 0.01], [10, 0.4, 0.02], [20, 0.9, 0.01]]}  # fmt: skip


def test_axes_by_hand():
    axis = Axis(0.0, 1.0, 450.0, 50.0, ())
    assert (axis.at(0.25), axis.at(-1.0), axis.at(2.0)) == (350.0, 450.0, 50.0)
    log = log_axis([10.0, 1000.0], left=0.0, right=100.0)
    assert log.at(100.0) == pytest.approx(50.0)
    assert log.at(8.0) == pytest.approx(0.0) and log.at(1250.0) == pytest.approx(100.0)
    assert [words for _, words in log.marks] == ["10", "20", "50", "100", "200", "500", "1,000"]
    steps = step_axis([0, 8, 48], left=0.0, right=96.0)
    assert [value for value, _ in steps.marks] == [0, 10, 20, 30, 40] and steps.at(24) == 48.0
    assert step_axis([5], left=0.0, right=10.0).at(5) == 5.0
    assert log_axis([0.0], left=0.0, right=10.0).at(0.0) == 0.0


def test_curves_are_in_order_of_the_tokens():
    found = curves(result())
    assert list(found) == ["majority", "oracle", "budget"]
    assert [row["tokens"] for row in found["majority"]] == [100.0, 400.0]


def test_marks_stand_where_the_numbers_are():
    root = ElementTree.fromstring(figure_svg(result()))
    places = {}
    for group in root.iter(f"{SVG}g"):
        name = group.find(f"{SVG}title").text.partition(":")[0]
        numbers = re.match(r"M([\d.]+) ([\d.]+)", group.findall(f"{SVG}path")[-1].get("d"))
        places[name] = float(numbers[1]), float(numbers[2])
    assert set(places) == {"majority=4", "majority=1", "oracle=4", "budget=8"}
    decade = places["majority=1"][0] - places["budget=8"][0]  # 10 to 100 tokens, but for the marks
    quadruple = places["majority=4"][0] - places["majority=1"][0]
    assert quadruple / decade == pytest.approx(math.log10(4), abs=0.03)
    assert places["majority=4"][1] < places["majority=1"][1] < places["budget=8"][1]
    bars = [path for path in root.iter(f"{SVG}path") if "h6M" in path.get("d")]
    assert len(bars) == 3  # nothing where the error is 0
    dashed = [path for path in root.iter(f"{SVG}path") if path.get("stroke-dasharray")]
    assert len(dashed) == 2  # the oracle's line and its legend


def test_training_stands_beside_it():
    alone, both = figure_svg(result()), figure_svg(result(training=TRAINING))
    widths = [int(re.search(r'width="(\d+)"', svg)[1]) for svg in (alone, both)]
    assert widths[0] < widths[1]
    assert "train steps" in both and "train steps" not in alone


def test_the_page_is_one_file_and_inert():
    page = page_html(result(training=TRAINING))
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")
    assert "<script" not in page and "&lt;script&gt;" in page
    assert "zero <b>" not in page and "default-src 'none'" in page
    assert "oracle (knows the answers)" in page


def test_the_table_has_a_row_a_point():
    lines = table_text(result()).splitlines()
    assert len(lines) == 5
    assert lines[2].split() == ["majority", "1", "sample", "100.0", "50.0%", "\u00b12.0", "64"]


def test_files_lie_beside_the_result(tmp_path):
    svg, page = write_figures(result(), tmp_path / "scale.json")
    assert (svg.name, page.name) == ("scale.svg", "scale.html")
    assert ElementTree.fromstring(svg.read_text()).tag == f"{SVG}svg"


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "other.json"
    for text in ("[]", '{"kind": "evaluation"}', "{", ""):
        path.write_text(text)
        with pytest.raises(UserError):
            load_scaling(path)
