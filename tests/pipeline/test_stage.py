"""A stage's identity, and what its context writes."""

import pytest

from aha.pipeline.sources import Source, fingerprint
from aha.pipeline.stage import Stage, checkpoints
from aha.pipeline.testing import stage_context
from tests.pipeline.toy import ToyConfig, count


def stage(name="count", inputs=None, **values):
    return Stage(name, ToyConfig(**values), count, inputs or {})


def test_identity_is_stable():
    """Golden value: a change of the hash would orphan every run on disk. Computed here, 2026-11."""
    assert stage().identity == stage().identity
    assert stage().id == GOLDEN_ID


GOLDEN_ID = "e521b91b"


def test_identity_changes_with_name_config_and_inputs():
    first = stage()
    ids = [
        first.identity,
        stage("other").identity,
        stage(num_steps=7).identity,
        stage(inputs={"model": first}).identity,
        stage(inputs={"base": first}).identity,
        stage(inputs={"model": stage(num_steps=7)}).identity,
    ]
    assert len(set(ids)) == len(ids)


def test_identity_does_not_change_with_the_order_of_inputs():
    a, b = stage("a"), stage("b")
    assert stage(inputs={"x": a, "y": b}).identity == stage(inputs={"y": b, "x": a}).identity


def test_a_source_is_known_by_its_content_and_not_by_its_place(tmp_path):
    for name, text in (("one", "abc"), ("two", "abc"), ("three", "abd")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(text)
    one, two, three = (Source(n, tmp_path / n) for n in ("one", "two", "three"))
    assert one.identity == two.identity != three.identity


def test_the_fingerprint_sees_names_and_both_ends_of_large_files(tmp_path, monkeypatch):
    monkeypatch.setattr("aha.pipeline.sources.WHOLE_FILE_BYTES", 10)
    monkeypatch.setattr("aha.pipeline.sources.EDGE_BYTES", 4)
    seen = set()
    for text in ("a" * 20, "b" + "a" * 19, "a" * 19 + "b", "a" * 21):
        (tmp_path / "weights").write_text(text)
        seen.add(fingerprint(tmp_path))
    (tmp_path / "weights").rename(tmp_path / "w")
    seen.add(fingerprint(tmp_path))
    assert len(seen) == 5


def test_the_newest_checkpoints_are_kept_and_torn_ones_are_not_seen(tmp_path):
    ctx = stage_context(tmp_path, ToyConfig())
    for step in (2, 4, 1_000_000, 6):
        ctx.save_checkpoint(step, lambda folder: (folder / "s").write_text("x"), keep=3)
    (tmp_path / "checkpoints" / "step-2000000.partial").mkdir()
    assert [c.name for c in checkpoints(tmp_path)] == ["step-000004", "step-000006", "step-1000000"]
    assert stage_context(tmp_path, ToyConfig()).resume_step == 1_000_000


def test_a_failing_write_leaves_the_older_checkpoint(tmp_path):
    ctx = stage_context(tmp_path, ToyConfig())
    ctx.save_checkpoint(2, lambda folder: (folder / "s").write_text("x"), keep=1)
    with pytest.raises(ZeroDivisionError):
        ctx.save_checkpoint(4, lambda folder: 1 / 0, keep=1)
    assert [c.name for c in checkpoints(tmp_path)] == ["step-000002"]
