"""Values that cross between the process of the tests and that of the program."""

import collections
import datetime
import decimal
import fractions
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aha.rewards.code.inside.wire import Decoder, Encoder, WireError, no_objects, refuse


def there_and_back(value):
    message = json.loads(json.dumps(Encoder(refuse).encode(value)))
    return Decoder(message, no_objects).decode()


atoms = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
    | st.binary() | st.complex_numbers(allow_nan=False) | st.fractions()
)  # fmt: skip
values = st.recursive(
    atoms,
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@settings(max_examples=40)
@given(values)
def test_plain_values_survive(value):
    back = there_and_back(value)
    assert back == value and type(back) is type(value)


@pytest.mark.parametrize(
    "value",
    [
        10**5000, -(1 << 62), float("inf"), {1, (2, 3)}, frozenset({1}), range(1, 9, 2), ...,
        collections.Counter("aab"), collections.OrderedDict(a=1), collections.deque([1], maxlen=3),
        decimal.Decimal("0.10"), fractions.Fraction(1, 3), datetime.date(2025, 1, 2),
        datetime.datetime(2025, 1, 2, 3, tzinfo=datetime.UTC), datetime.timedelta(days=-1),
        bytearray(b"x"), {(1, 2): [3]}, int, "\ud800", {"a": 1}.keys(), {"a": 1}.items(),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_other_values_survive(value):
    back = there_and_back(value)
    assert back == value and type(back) is type(value)


def test_structure_survives():
    shared = [1]
    twice = there_and_back([shared, shared])
    assert twice[0] is twice[1]
    cyclic: list = []
    cyclic.append(cyclic)
    back = there_and_back(cyclic)
    assert back[0] is back
    deep = []
    for _ in range(10_000):
        deep = [deep]
    depth, back = 0, there_and_back(deep)
    while back:
        depth, back = depth + 1, back[0]
    assert depth == 10_000


def test_a_subclass_arrives_as_what_it_extends():
    class Liar(int):
        def __eq__(self, other):
            return True

        __hash__ = int.__hash__

    back = there_and_back(Liar(3))
    assert type(back) is int and back != 4


@pytest.mark.parametrize(
    "message",
    [
        None, [], {}, {"nodes": 3}, {"root": [0], "nodes": []}, {"root": [0], "nodes": [["what"]]},
        {"root": [0], "nodes": [[]]}, {"root": [0], "nodes": [["tuple", [[0]]]]},
        {"root": [0], "nodes": [["set", [[1]]], ["list", []]]}, {"root": ["x"], "nodes": []},
        {"root": [0], "nodes": [["int", "zz"]]}, {"root": [0], "nodes": [["object", "A", []]]},
    ],
)  # fmt: skip
def test_a_bad_message_is_an_error_of_a_known_kind(message):
    known = (WireError, LookupError, TypeError, ValueError, AttributeError, RecursionError)
    with pytest.raises(known):
        Decoder(message, no_objects).decode()
