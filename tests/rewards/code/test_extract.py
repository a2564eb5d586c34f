"""Which part of a reply is the program."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aha.rewards.code import extract_program
from aha.rewards.code.extract import find_blocks


@pytest.mark.parametrize(
    ("response", "program"),
    [
        ("Here:\n```python\nprint(1)\n```\nIt prints\n```\n1\n```", "print(1)\n"),
        ("```py\na = 1\n```\nbetter\n```python\nb = 2\n```", "b = 2\n"),
        ("```\nprint(1)\n```", "print(1)\n"),
        ("```bash\npip install x\n```", None),
        ("one line ```python\nprint(1)```", "print(1)"),
        ("```python\nprint(1)\n    ```\n   ", "print(1)\n"),
        ("- so\n    ```python\n    if 1:\n        print(1)\n    ```", "if 1:\n    print(1)\n"),
        ("~~~python\nprint('```')\n~~~", "print('```')\n"),
        ("```python\nprint(1)", "print(1)"),
        ("```python\nprint(1)\n```python\nprint(2)\n```", "print(2)\n"),
        ("````python\ns = '''\n```\n'''\n````", "s = '''\n```\n'''\n"),
        ("<think>```python\nprint(0)\n```</think>Now\n```python\nprint(1)\n```", "print(1)\n"),
        ("<think>\n```python\nprint(0)\n```\n</think>\nI have it.", None),
        ("<think>\n```python\nprint(0)\n```", None),
        ("<think>x</think><answer>```python\nprint(1)\n```</answer>", "print(1)\n"),
        ("<answer>print(1)</answer>", "print(1)"),
        ("def f():\n    return 1", "def f():\n    return 1"),
        ("Sure:\ndef f():\n    return 1", None),
        ("answer", None),
        ("", None),
        ("```python\r\nprint(1)\r\n```", "print(1)\n"),
    ],
)
def test_the_program_of_a_reply(response, program):
    assert extract_program(response) == program


def test_the_block_that_defines_what_is_tested():
    response = "```python\ndef f(): return 1\n```\nUse it:\n```python\nprint(f())\n```"
    assert extract_program(response) == "print(f())\n"
    assert extract_program(response, wanted_names=["f"]) == "def f(): return 1\n"


def test_the_language_chooses_the_block():
    response = "```cpp\nint main(){}\n```\n```python\nprint(1)\n```"
    assert extract_program(response, "c++") == "int main(){}\n"
    assert extract_program(response, "py") == "print(1)\n"
    assert extract_program(response, "javascript") is None
    assert extract_program("#include <x>\nint main(){}", "cpp") == "#include <x>\nint main(){}"
    assert extract_program("console.log(1)", "js") == "console.log(1)"
    assert extract_program("I would write console.log(1)", "js") is None


@settings(max_examples=40)
@given(st.text(alphabet="`~pyth \n<>/answerik", max_size=200))
def test_any_text_has_blocks_that_are_parts_of_it(text):
    for block in find_blocks(text):
        assert all(line.strip() in text for line in block.text.split("\n"))
    extract_program(text)


@pytest.mark.parametrize(
    "text",
    [
        "```a\n" * 200_000,
        "`" * 999_999 + "x`",
        "``` " * 240_000,
        "~" * 900_000,
        "(" * 999_999,
        "-" * 99_999 + "1",
        "<think>" * 100_000,
        "x" * 10_000_000,
    ],
    ids=lambda text: text[:4].strip(),
)
def test_long_replies_take_bounded_time(text):
    start = time.monotonic()
    assert extract_program(text) is None
    assert time.monotonic() - start < 5
