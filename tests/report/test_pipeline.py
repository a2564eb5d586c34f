"""Reports of runs of many stages: the stage table, curves end to end, lineage, funnels, samples."""

import html
import json
import re
import shutil

import pytest

from aha.report.across import across_groups, bands_of, since_nonzero
from aha.report.lineage import assign_channels, lineage
from aha.report.models import headline_outcomes, model_table, training_rows
from aha.report.page import page_bytes
from aha.report.reader import StageData, read_run
from aha.report.stages import kind_of, result_of
from aha.report.summary import show_json, summary_text
from tests.report.fake_r1 import FakePipeline, stage_table
from tests.report.test_page import HOSTILE, read_page

MODELS = ["base", "zero", "dev1", "dev2", "dev3", "r1"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return read_run(FakePipeline().write(tmp_path_factory.mktemp("runs") / "r1"))


@pytest.fixture(scope="module")
def page(run):
    return page_bytes(run)


def figures_of(run):
    return {figure.id: figure for group in across_groups(run) for figure in group.figures}


def test_json_has_the_table_and_a_flat_headline_of_the_last_model(run):
    shown = json.loads(json.dumps(show_json(run)))
    table = stage_table(MODELS)
    assert shown["stage_table"] == table
    assert shown["headline"]["model"] == "r1"
    assert shown["headline"]["accuracy"] == table["r1"]["accuracy"]["value"]
    assert shown["headline"]["cons@16_stderr"] == table["r1"]["cons@16"]["stderr"]
    assert "stage_table" not in shown["headline"]


def test_the_best_of_a_row_is_the_best_for_its_metric(run):
    table = model_table(run)
    best = {row.spec.key: {table.models[i] for i in row.best} for row in table.rows}
    assert best["accuracy"] == {"dev3"} and best["format"] == {"r1"}
    assert best["mixed_responses"] == {"r1"} and best["refusal_harmless"] == {"base"}
    assert best["length_tokens"] == best["safe_harmful"] == set()  # no good end; all equal
    assert table.row("cons@").spec.key == "cons@16"


def test_the_terminal_shows_models_as_columns_with_errors(run):
    lines = summary_text(run, width=100).splitlines()
    header = next(line for line in lines if line.startswith("held-out (* best)"))
    assert header.split()[3:] == MODELS
    row = next(line for line in lines if line.startswith("accuracy, %"))
    recorded = stage_table(MODELS)["dev3"]["accuracy"]
    assert f"{100 * recorded['value']:.1f}\u00b1{100 * recorded['stderr']:.1f}*" in row
    assert row.count("*") == 1 and row.count("\u00b1") == 6
    assert max(map(len, lines)) <= 100 and "\u2026" not in "".join(lines)
    assert any(line.startswith("helpful ") and "87.5%" in line for line in lines)


def test_a_narrow_terminal_loses_the_errors_and_nothing_else(run):
    row = next(x for x in summary_text(run, width=76).splitlines() if x.startswith("accuracy, %"))
    assert "\u00b1" not in row and len(row.split()) == 2 + len(MODELS)


def test_the_headline_compares_base_with_the_final_model(run):
    shown = {row.spec.measure: row for row in headline_outcomes(run)}
    table = stage_table(MODELS)
    for key, row in shown.items():
        assert (row.before.value, row.after.value) == (
            table["base"][key]["value"],
            table["r1"][key]["value"],
        )
    assert "base -&gt; r1" in page_bytes(run).decode()


def test_a_distillation_compares_the_student_with_the_distilled(tmp_path):
    run = read_run(FakePipeline(recipe="distill").write(tmp_path / "run"))
    table = model_table(run)
    assert table.models == ["teacher", "student", "distilled", "rl_student"]
    (first, *_) = headline_outcomes(run)
    assert first.before == table.row("accuracy").cells[1]
    assert first.after == table.row("accuracy").cells[2]
    assert "72.6" in page_bytes(run).decode()
    assert show_json(run)["headline"]["model"] == "distilled"


def test_stages_of_rl_lie_end_to_end(run):
    figure = figures_of(run)["across-accuracy"]
    assert [(b.name, b.start, b.end) for b in figure.bands] == [
        ("zero", 0, 4), ("dev2", 5, 9), ("r1", 10, 14),
    ]  # fmt: skip
    measured = [line for line in figure.series if line.style == "measured"]
    assert [line.points for line in measured] == [
        [[start, 0.1, 0.02], [start + 4, 0.9, 0.02]] for start in (0, 5, 10)
    ]
    training = next(line for line in figure.series if line.quiet and line.name == "dev2")
    rows = next(stage for stage in run.stages if stage.name == "dev2").metrics[1:]
    assert training.points == [[row["step"] + 5, row["rollout/accuracy"]] for row in rows]


def test_preference_rewards_begin_with_the_first_judged_prompt(run):
    figure = figures_of(run)["across-preference"]
    assert [band.name for band in figure.bands] == ["r1"]
    lines = {line.name: line.points for line in figure.series}
    assert lines == {
        "helpful": [[3, 0.8], [4, 0.9]],
        "held-out quality": [[step, 0.25 * step] for step in (1, 2, 3, 4)],
    }


def test_losses_and_held_out_accuracies_of_the_other_stages(run):
    figures = figures_of(run)
    loss, accuracy = figures["across-sft-loss"], figures["across-reward-accuracy"]
    assert [band.name for band in loss.bands] == ["dev1", "dev3"]
    assert [band.name for band in accuracy.bands] == ["helpful", "harmless"]
    held = [line.points for line in accuracy.series if line.style == "measured"]
    assert held == [[[4, 0.875, 0.02]], [[9, 0.875, 0.02]]]


def test_bands_do_not_touch(tmp_path):
    stages = [
        StageData(name=n, id=n, path=tmp_path, status="done", metrics=[{"step": s}])
        for n, s in (("a", 3), ("b", 1))
    ]
    assert [(b.start, b.end) for b in bands_of(stages)] == [(0, 3), (4, 5)]
    assert since_nonzero([[1, 0.0], [2, 1.0], [3, 0.0]]) == [[2, 1.0], [3, 0.0]]
    assert since_nonzero([[1, 0.0]]) == [[1, 0.0]]


def test_the_lineage_is_that_of_the_inputs(run):
    graph = lineage(run)
    names = [node.name for node in graph.nodes]
    assert names == ["embedded", *(stage.name for stage in run.stages)]
    edges = {(names[a], names[b]) for a, b, _ in graph.edges}
    assert {("embedded", "dev3"), ("mix", "dev3"), ("dev3", "r1"), ("helpful", "r1")} <= edges
    assert {a for a, b in edges if b == "evaluate"} == {"embedded", *MODELS[1:]}
    assert ("dev2", "dev3") not in edges


def test_lines_in_one_channel_do_not_overlap(run):
    graph = lineage(run)
    last = {a: max(b for x, b, _ in graph.edges if x == a) for a, _, _ in graph.edges}
    channels = assign_channels(graph.edges)
    assert set(channels) == {a for a, b in last.items() if b > a + 1}
    for one, channel in channels.items():
        for other, same in channels.items():
            if one < other and channel == same:
                assert last[one] <= other


def test_the_picture_has_every_stage_and_edge(run, page):
    text = page.decode()
    svg = re.search(r'<div class="scroll card lineage".*?</svg>', text, re.DOTALL)[0]
    for stage in run.stages:
        assert f">{stage.name}</text>" in svg and stage.id in svg
    assert svg.count("<title>") == len(lineage(run).edges)
    assert "dev3 is the model of r1" in svg
    assert "http" not in svg


def test_funnels_show_what_was_dropped_and_only_that(page):
    card = re.search(r"<h3>cold_start</h3>.*?</article>", page.decode(), re.DOTALL)[0]
    assert "90 kept of 400 (22.5%)" in card
    assert re.findall(r'class="step">([^<]*)<', card) == ["drawn", "wrong", "repetition"]
    assert re.findall(r'class="count">([^<]*)<', card) == ["400", "\u2212100", "\u2212210"]
    assert 'style="width:22.50%"' in card and 'class="lost" style="width:52.50%"' in card
    mixed = re.search(r"<h3>mix</h3>.*?</article>", page.decode(), re.DOTALL)[0]
    assert "80 kept" in mixed and "30 reasoning left out" in mixed


def test_masks_mark_the_trained_tokens(page):
    assert "Assistant:<mark>&lt;think&gt; 2&lt;/think&gt; 2</mark>" in page.decode()


def test_held_out_problems_go_through_all_models(page):
    data = read_page(page)[1]
    assert data["models"] == MODELS
    groups = [group for group in data["groups"] if group["when"]]
    assert {(group["when"], group["id"]) for group in groups} == {
        (model, f"arithmetic/train/{n:06d}") for model in MODELS for n in range(3)
    }
    assert all(len(group["samples"]) == 2 for group in groups)
    assert all(sample["reward"] is None for group in groups for sample in group["samples"])


def test_a_small_page_keeps_the_comparison_of_models(run, page):
    all_groups = read_page(page)[1]["groups"]
    room = len(page) - sum(len(json.dumps(g)) for g in all_groups if not g["when"])
    groups = read_page(page_bytes(run, max_bytes=room))[1]["groups"]
    assert len(groups) < len(all_groups)
    assert len([g for g in groups if g["when"]]) > 0.8 * len(groups)


def test_the_page_is_still_one_inert_file(page):
    elements, _ = read_page(page)
    assert [tag for tag, _ in elements.found].count("script") == 2
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert not re.search(r"https?:", page.decode())


@pytest.mark.parametrize("begun", [0, 1, 2, 4, 8, 10, 12, 13])
@pytest.mark.parametrize("status", ["running", "failed"])
def test_a_run_on_its_way_has_a_page(tmp_path, begun, status):
    folder = FakePipeline(num_begun=begun, status=status).write(tmp_path / "run")
    run = read_run(folder)
    data = read_page(page_bytes(run))[1]
    lines = summary_text(run).splitlines()
    assert sum(line.split()[1:2] == ["waiting"] for line in lines) == 13 - begun
    assert len(lineage(run).nodes) == (13 + (begun > 0))
    assert not data["models"] and show_json(run)["stage_table"] == {}
    if begun >= 1:
        first = headline_outcomes(run)[0]
        assert (first.before.value, first.after.value) == (0.1, 0.9)
        assert data["across"][0]["title"].startswith("Reinforcement learning")


def test_kinds_are_known_before_a_stage_begins(tmp_path):
    run = read_run(FakePipeline(num_begun=0, status="running").write(tmp_path / "run"))
    kinds = {stage.name: kind_of(run, stage) for stage in run.stages}
    assert kinds["dev2"] == "rl" and kinds["mix"] == kinds["general"] == "data"
    assert kinds["harmless"] == "reward" and kinds["evaluate"] == "evaluation"


def test_what_came_of_a_stage(run):
    said = {stage.name: result_of(run, stage) for stage in run.stages}
    assert said["zero"] == "4 steps, pass@1 90.0% \u00b12.0"
    assert said["dev1"] == "4 updates, validation loss 2"
    assert said["helpful"] == "right on 87.5% \u00b12.0 of 160 held back"
    assert said["cold_start"] == "90 rows of 400 drawn"
    assert said["preferences"] == "90 pairs, 300 labels"
    assert (said["mix"], said["evaluate"]) == ("80 rows", "")


def test_deleted_and_hostile_files_are_survived(tmp_path):
    folder = FakePipeline().write(tmp_path / "run")
    shutil.rmtree(next(folder.glob("stages/*-dev3-*")))
    for name, text in (("inputs.json", "[1]"), ("funnel.json", '{"steps": [1, {"count": "x"}]}')):
        for file in folder.glob(f"stages/*/{name}"):
            file.write_text(text)
    next(folder.glob("stages/*-dev1-*/mask.txt")).write_text(f"x\n[[{HOSTILE}", errors="replace")
    done = next(folder.glob("stages/*-evaluate-*/DONE.json"))
    table = {
        HOSTILE: {"accuracy": {"value": 0.5}, HOSTILE: {"value": 1}},
        "r1": 5,
        "zero": {"x": {}},
    }
    done.write_text(json.dumps({"output": "x", "summary": {"stage_table": table}}))
    page = page_bytes(read_run(folder))
    elements, data = read_page(page)
    assert not any(tag == "img" for tag, _ in elements.found)
    assert [tag for tag, _ in elements.found].count("script") == 2
    assert len(data["models"]) == 3
    assert html.escape("</script><script>alert(1)") in page.decode()
    summary_text(read_run(folder))


def test_arms_of_an_ablation_stand_side_by_side(tmp_path):
    folder = FakePipeline().write(tmp_path / "run")
    info = json.loads((folder / "run.json").read_text()) | {"recipe": "ablation"}
    (folder / "run.json").write_text(json.dumps(info))
    training = {
        "grpo": {"steps": 48, "peak_memory_bytes": [3e8, 4.5e8], "seconds_to_target": None},
        "ppo_1": {"steps": 48, "peak_memory_bytes": 5e8, "seconds_to_target": 61.5},
    }
    table = {"grpo": {"accuracy": {"value": 0.9}}, "ppo_1": {"accuracy": {"value": 0.8}}}
    done = next(folder.glob("stages/*-evaluate-*/DONE.json"))
    summary = {"stage_table": table, "training": training}
    done.write_text(json.dumps({"output": "result.json", "summary": summary}))
    run = read_run(folder)
    assert headline_outcomes(run) == []
    assert training_rows(run) == [
        ["training", "grpo", "ppo_1"],
        ["steps", "48", "48"],
        ["peak memory, MB", "450.0", "500.0"],
        ["seconds to target", "", "61.5"],
    ]
    assert "<td>peak memory, MB</td><td>450.0</td>" in page_bytes(run).decode()


def test_a_run_of_two_stages_has_no_picture(tmp_path):
    folder = FakePipeline().write(tmp_path / "run")
    info = json.loads((folder / "run.json").read_text())
    info |= {"recipe": "zero", "stages": info["stages"][:2]}
    (folder / "run.json").write_text(json.dumps(info))
    for number in range(3, 14):
        shutil.rmtree(next(folder.glob(f"stages/{number:02d}-*")))
    assert b'id="lineage"' not in page_bytes(read_run(folder))
