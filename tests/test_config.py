"""Configuration: every mistake is one line that names the key and what is allowed."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from aha.config import Config, build, load_toml, merge, parse_overrides, parse_value
from aha.errors import UserError


class Inner(Config):
    steps: int = Field(3, ge=1, le=1_000, description="optimizer updates")
    rate: float = Field(0.5, gt=0, lt=1, description="per update")
    clip: float | None = Field(1.0, gt=0, description="largest norm")
    kind: Literal["linear", "cosine", "none"] = Field("linear", description="of the schedule")
    name: str = Field("x", min_length=1, description="of the run")
    label: str | None = Field(None, description="free text; none is a text too")
    is_on: bool = Field(False, description="whether")


class Outer(Config):
    model: str = Field("m", description="where it is")
    first: Inner = Field(Inner(), description="stage one")
    second: Inner = Field(Inner(), description="stage two")


def outer(*overrides):
    return build(Outer, parse_overrides(Outer, overrides, default_stage="first"))


def test_a_bare_key_is_the_recipes_own_or_the_default_stages():
    config = outer("model=a", "steps=7", "second.steps=9")
    assert (config.model, config.first.steps, config.second.steps) == ("a", 7, 9)


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("steps=1_000", "steps", 1000),
        ("rate=2e-1", "rate", 0.2),
        ("clip=none", "clip", None),
        ("clip=2", "clip", 2.0),
        ("kind=none", "kind", "none"),
        ("kind=cosine", "kind", "cosine"),
        ('kind="cosine"', "kind", "cosine"),
        ("name=12", "name", "12"),
        ("name=true", "name", "true"),
        ('name="12"', "name", "12"),
        ("name=a b", "name", "a b"),
        ("name=a=b", "name", "a=b"),
        ("label=none", "label", "none"),
        ("is_on=true", "is_on", True),
        (" steps = 4 ", "steps", 4),
    ],
)
def test_values_are_toml_literals_else_text(text, key, value):
    got = getattr(outer(text).first, key)
    assert got == value and type(got) is type(value)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("stepps=1", "unknown key 'stepps'", "did you mean steps?"),
        ("first.stepps=1", "unknown key 'first.stepps'", "did you mean steps?"),
        ("modle=1", "unknown key 'modle'", "did you mean model?"),
        ("zzz=1", "unknown key 'zzz'", "keys: model, steps"),
        ("fist.steps=1", "unknown stage 'fist'", "did you mean first?"),
        ("a.b.c=1", "unknown stage 'a'", "stages: first, second"),
        ("first=1", "first is a stage, not a key", "first.KEY=VALUE"),
        ("steps", "--set 'steps' has no value", "--set key=value"),
        ("=1", "unknown key ''", "keys: model"),
        ("steps=0", "first.steps = 0 is not an integer >= 1 and <= 1_000", "optimizer updates"),
        ("second.steps=1001", "second.steps = 1001 is not an integer", "optimizer updates"),
        ("steps=2.0", "first.steps = 2.0 is not an integer", "optimizer updates"),
        ("steps=true", "first.steps = True is not an integer", "optimizer updates"),
        ("steps=-1", "first.steps = -1 is not an integer", "optimizer updates"),
        ("steps=none", "first.steps = 'none' is not an integer", "optimizer updates"),
        ("steps=[1]", "first.steps = [1] is not an integer", "optimizer updates"),
        ("steps=1979-05-27", "first.steps = datetime.date(1979, 5, 27) is not", "updates"),
        ("rate=1", "first.rate = 1 is not a number > 0 and < 1", "per update"),
        ("rate=fast", "first.rate = 'fast' is not a number", "per update"),
        ("rate=nan", "first.rate = nan is not a number", "per update"),
        ("clip=inf", "first.clip = inf is not a number > 0, or none", "largest norm"),
        ("clip=0", "first.clip = 0 is not a number > 0, or none", "largest norm"),
        ("kind=cosin", "first.kind = 'cosin' is not one of linear, cosine", "did you mean cosine?"),
        ("kind=3", "first.kind = 3 is not one of linear, cosine, none", "of the schedule"),
        ("is_on=yes", "first.is_on = 'yes' is not true or false", "whether"),
        ("is_on=1", "first.is_on = 1 is not true or false", "whether"),
        ('name=""', "first.name = '' is not a text of length >= 1", "of the run"),
        ("steps=3\nrate=0.1", "first.steps = '3\\nrate=0.1' is not an integer", "updates"),
    ],
)
def test_mistakes_are_one_line_with_a_hint(text, message, hint):
    with pytest.raises(UserError) as caught:
        outer(text)
    assert message in caught.value.message and hint in caught.value.hint
    assert "\n" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"first": 3}, "first = 3 is not a table"),
        ({"first": {"stepps": 1}}, "unknown key 'first.stepps'"),
        ({"frist": {}}, "unknown key 'frist'"),
        ({"model": 3}, "model = 3 is not a text"),
        ({"first": {"steps": {}}}, "first.steps = {} is not an integer"),
    ],
)
def test_mistakes_in_a_file(table, message):
    with pytest.raises(UserError, match=message.replace("{}", r"\{\}")):
        build(Outer, table)


def test_configs_do_not_change():
    config = Inner()
    with pytest.raises(ValidationError):
        config.steps = 4
    assert config.replace(steps=4).steps == 4 and config.steps == 3
    with pytest.raises(UserError, match="steps = 0"):
        config.replace(steps=0)


def test_the_table_keeps_none_and_reads_back():
    config = Outer(first=Inner(clip=None))
    assert config.table()["first"]["clip"] is None
    assert build(Outer, config.table()) == config


def test_merge_goes_into_tables_and_does_not_touch_its_arguments():
    old = {"a": {"x": 1, "y": 2}, "b": [1]}
    new = {"a": {"y": 3}, "b": [2]}
    assert merge(old, new) == {"a": {"x": 1, "y": 3}, "b": [2]}
    assert old == {"a": {"x": 1, "y": 2}, "b": [1]}


@given(st.text())
def test_any_text_is_a_value_or_itself(text):
    value = parse_value(text)
    assert value == text or not isinstance(value, str) or text.strip()[:1] in "\"'"
    assert parse_value(text, is_text=True) is not None


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**18), 10**18))
def test_numbers_survive_the_command_line(number):
    assert parse_value(repr(number)) == number


@pytest.mark.parametrize("content", [b"x = ", b"\xff\xfe", b"[a]\n[a]", b"a = " + b"[" * 5000])
def test_a_file_that_is_not_toml(tmp_path, content):
    (tmp_path / "c.toml").write_bytes(content)
    with pytest.raises(UserError, match="is not TOML"):
        load_toml(tmp_path / "c.toml")


def test_a_file_that_is_missing_or_a_folder(tmp_path):
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(UserError) as caught:
            load_toml(path)
        assert str(path) in caught.value.message
