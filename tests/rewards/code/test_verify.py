"""Programs judged by their tests, in every shape that data sets have."""

import json
import time

import pytest

from aha.errors import UserError
from aha.rewards import sandbox
from aha.rewards.code import CodeTests, Rules, judge, verify, verify_program
from aha.rewards.code.asserts import as_calls
from aha.rewards.code.hostile import FORGERIES, FORGERY_TESTS, MARK, RIGHT_PROGRAM
from aha.rewards.sandbox.layout import tool

REASON = sandbox.is_available()
pytestmark = pytest.mark.skipif(REASON is not None, reason=f"no isolation here: {REASON}")
ECHO = "n = int(input())\nprint(n * 2)"
DOUBLE = "def double(n):\n    return n * 2"
METHOD = (
    "class Solution:\n    def double(self, n: int, by: int = 2) -> Optional[int]:\n"
    "        return n * by"
)
CHECK = "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(n=5) == 10\n"

SHAPES = {
    "pairs": (ECHO, [{"input": "2", "output": "4"}, {"input": "5\n", "output": "10\n"}]),
    "columns": (ECHO, {"inputs": ["2", "5"], "outputs": ["4", "10"]}),
    "APPS as text": (
        ECHO,
        json.dumps({"input_output": json.dumps({"inputs": ["2"], "outputs": ["4"]})}),
    ),
    "code contests": (ECHO, {"public_tests": {"input": ["2"], "output": ["4"]}}),
    "APPS function": (DOUBLE, {"inputs": [[2], [5]], "outputs": [[4], [10]], "fn_name": "double"}),
    "verl function": (DOUBLE, {"inputs": ["2"], "outputs": ["4"], "fn_name": "double"}),
    "LiveCodeBench": (
        METHOD,
        [
            {
                "input": "2\n3",
                "output": "6",
                "testtype": "functional",
                "metadata": {"func_name": "double"},
            }
        ],
    ),
    "PRIME": (
        DOUBLE,
        [{"input": [2], "output": [4], "type": "function_call", "fn_name": "double"}],
    ),
    "keyword calls": (
        DOUBLE,
        [{"args": [], "kwargs": {"n": 2}, "expected": 4, "fn_name": "double"}],
    ),
    "LeetCode": (METHOD, {"functional": CHECK + "check(Solution().double)"}),
    "HumanEval": (DOUBLE, {"test": CHECK, "entry_point": "double"}),
    "check without a name": (DOUBLE, {"test": CHECK}),
    "MBPP": (
        DOUBLE,
        {"test_list": ["assert double(x) == 4"], "test_setup_code": "x = 2"},
    ),
    "asserts": (DOUBLE, ["assert double(2) == 4", "assert double([1]) == [1, 1]"]),
    "KodCode": (
        DOUBLE,
        "from solution import double\n\ndef test_a():\n    assert double(2) == 4\n",
    ),
    "unittest": (
        DOUBLE,
        "import unittest\nfrom solution import *\nclass T(unittest.TestCase):\n"
        "    def test_a(self): self.assertEqual(double(2), 4)\nunittest.main()",
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_right_passes_and_wrong_fails(shape):
    program, tests = SHAPES[shape]
    assert verify_program(program, tests).kind == "correct"
    wrong = program.replace("* 2", "* 2 + 1").replace("* by", "* by + 1")
    verdict = verify_program(wrong, tests)
    assert (verdict.kind, verdict.score) == ("wrong", 0.0), verdict
    assert verify(f"So:\n```python\n{program}\n```\nDone.", tests).kind == "correct"


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("print(5)", "expected '4', printed '5"),
        ("raise KeyError('x')", "crashed (exit status 1): KeyError: 'x'"),
        ("print(4)\nraise SystemExit(1)", "crashed (exit status 1)"),
        ("def f(:", "SyntaxError"),
        ("import time\ntime.sleep(60)", "timeout after"),
        ("a = 'x' * (1 << 40)", "memory limit"),
        ("while True: print('x' * 99_999)", "output limit"),
        ("a\0b", "null bytes"),
    ],
)
def test_a_program_that_fails_is_wrong_and_says_why(program, reason):
    tests = [{"input": "2", "output": "4"}]
    verdict = verify_program(program, tests, timeout_seconds=1.0)
    assert verdict.kind == "wrong" and reason in verdict.reason, verdict


def test_no_program_is_unparseable():
    tests = [{"input": "2", "output": "4"}]
    for response in ("", "I do not know.", "<think>\n```python\nprint(4)\n```", "```python\n```"):
        assert verify(response, tests).kind == "unparseable"


@pytest.mark.parametrize("tests", [FORGERY_TESTS, FORGERY_TESTS[:1]], ids=["tests", "calls"])
@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda attack: attack.name)
def test_a_forgery_is_wrong(forgery, tests):
    verdict = verify_program(forgery.source, list(tests), timeout_seconds=0.4)
    assert verdict.kind == "wrong", verdict
    assert MARK not in verdict.reason


def test_after_forgeries_a_right_program_is_right():
    assert verify_program(RIGHT_PROGRAM, list(FORGERY_TESTS)).is_correct


def test_plain_asserts_are_compared_by_the_host_as_python_does():
    tests = CodeTests.parse(["assert f([1], k=(2,)) == (1, 2)", "assert f([3]) == (3, None)"])
    calls = as_calls(tests)
    assert calls is not None and calls.function == "f"
    assert [(c.args, c.kwargs, c.expected) for c in calls.calls] == [
        (([1],), {"k": (2,)}, (1, 2)),
        (([3],), {}, (3, None)),
    ]
    right = "def f(a, k=(None,)): return (a[0], k[0])"
    assert judge(right, tests).verdict.is_correct
    assert not judge(right.replace("(a[0], k[0])", "[a[0], k[0]]"), tests).verdict.is_correct
    for more in (
        "assert f(x) == 1",
        "assert f(1) != 2",
        "assert f(1) == g(1)",
        "assert len([1]) == 1",
        "assert gcd(2, 4) == 2",
        "assert f(**{}) == 1",
        "x = 1\nassert f(1) == 1",
        "assert f(1)",
    ):
        assert as_calls(CodeTests.parse([more])) is None, more


@pytest.mark.parametrize(
    "value",
    [
        "{n * ((1 << 61) - 1) for n in range(300_000)}",  # all hashes are equal
        "fractions.Fraction(7 ** 200_000, 3 ** 200_000)",
        "numpy_like()",
        "10 ** 1_000_000",
        "[list(range(1000))] * 100_000",
        "functools.reduce(lambda a, _: [a, a], range(60), [])",
        "{functools.reduce(lambda a, _: (a, a), range(60), ())}",
        "{1: functools.reduce(lambda a, _: (a, a), range(60), ())}",
    ],
)
def test_a_value_is_no_trap_for_the_host(value):
    start = time.monotonic()
    program = f"import numpy\ndef f(x): return {value}\ndef numpy_like(): return numpy.array(['x'])"
    assert verify_program(program, ["assert f(1) == 5"], timeout_seconds=1.0).kind == "wrong"
    assert time.monotonic() - start < 6


def test_names_of_the_tests_are_not_the_programs():
    cheat = "import math\nmath.isclose = lambda *a, **k: True\nabs = isclose = lambda *a: 0\n"
    cheat += "def f(x): return 0"
    for test in (
        "assert abs(f(2) - 4) < 1e-6",
        "import math\nassert math.isclose(f(2), 4)",
        "assert math.isclose(f(2), 4)",
        "from math import isclose\nassert isclose(f(2), 4)",
    ):
        assert verify_program(cheat, [test]).kind == "wrong", test
        assert verify_program("def f(x): return x * x", [test]).kind == "correct", test


def test_a_function_may_have_the_name_of_a_builtin():
    assert verify_program("def sum(a, b): return a - b", ["assert sum(5, 3) == 2"]).is_correct


def test_helpers_of_the_prompt_are_the_tasks_own():
    prompt = "def poly(x):\n    return x * x\n\ndef root(n):\n    '''the root'''\n"
    tests = "def check(candidate):\n    assert poly(candidate(9)) == 9\n"
    row = {"prompt": prompt, "entry_point": "root"}
    right = "def root(n): return n ** 0.5"
    cheat = "def poly(x): return 9\ndef root(n): return 0"
    assert verify_program(right, tests, **row).kind == "correct"
    assert verify_program(cheat, tests, **row).kind == "wrong"


OBJECTS = """
class Full(ValueError): pass
class Stack:
    def __init__(self): self.items = []
    def push(self, item):
        if len(self.items) == 2: raise Full('at most 2')
        self.items.append(item)
    def __len__(self): return len(self.items)
    def __iter__(self): return iter(self.items)
    def __eq__(self, other): return self.items == other.items
def fill(stack): stack.push(0)
def sort(items): items.sort()
def each(function, items): return [function(item) for item in items]
def count():
    n = 0
    while True:
        yield n
        n += 1
def add(head, value):
    node = ListNode(value)
    node.next = head
    return node
def show(x): print('value', x)
"""
OBJECT_TESTS = """
import pytest
from itertools import islice
from solution import *
def test_stack():
    s = Stack()
    s.push(1)
    fill(s)
    assert len(s) == 2 and list(s) == [1, 0] and s.items == [1, 0] and s != Stack()
    with pytest.raises(Full, match='at most'): s.push(3)
    with pytest.raises(ValueError): s.push(3)
def test_in_place():
    items = [3, 1, 2]
    sort(items)
    assert items == [1, 2, 3]
@pytest.mark.parametrize('by, expected', [(1, [2, 3]), (2, [3, 4])])
def test_callback(by, expected):
    assert each(lambda x: x + by, [1, 2]) == expected
def test_generator():
    assert list(islice(count(), 3)) == [0, 1, 2]
def test_list_node():
    head = ListNode(1)
    longer = add(head, 2)
    assert longer.val == 2 and longer.next is head and longer.next.next is None
def test_output(capsys):
    show(5)
    assert capsys.readouterr().out == 'value 5\\n'
"""


def test_objects_exceptions_callbacks_and_output_cross_the_wall():
    judgement = judge(OBJECTS, CodeTests.parse(OBJECT_TESTS), rules=Rules(run_all=True))
    assert [result.kind for result in judgement.results] == ["pass"] * 7, judgement.results


def test_each_test_has_a_result_when_asked():
    tests = CodeTests.parse([f"assert double({n}) == {n * n}" for n in range(4)])
    judgement = judge(DOUBLE, tests, rules=Rules(run_all=True))
    assert [result.kind for result in judgement.results] == ["pass", "wrong", "pass", "wrong"]
    assert judgement.pass_fraction == 0.5
    assert judge(DOUBLE, tests).pass_fraction == 0.25  # stopped at the first failure


def test_broken_tests_are_an_error():
    for tests in ("import no_such_module\n", "def test_a(:\n", ["assert double(2 == 4"]):
        verdict = verify_program(DOUBLE, tests)
        assert verdict.kind == "error" and not verdict.is_scored, verdict


@pytest.mark.parametrize("tests", [[], {}, {"x": 1}, 5, [1, "a"], {"inputs": ["1"], "outputs": []}])
def test_tests_of_no_shape_are_the_users_error(tests):
    with pytest.raises(UserError):
        verify_program(ECHO, tests)


def test_checkers_judge_the_output():
    row = {"inputs": ["10"], "outputs": ["1 9"]}
    function = "def check(input, output):\n    return sum(map(int, output.split())) == int(input)"
    script = (
        "import sys\ngiven, _, output = (open(name).read() for name in sys.argv[1:])\n"
        "print(int(sum(map(int, output.split())) == int(given)))"
    )
    status = script.replace("print(int(", "sys.exit(not (")
    for checker in (function, script, status):
        assert verify_program("print(4, 6)", {**row, "checker": checker}).kind == "correct"
        assert verify_program("print(4, 7)", {**row, "checker": checker}).kind == "wrong"
    broken = verify_program("print(4, 6)", {**row, "checker": "def check(a, b): return 1 / 0"})
    assert broken.kind == "error"


@pytest.mark.skipif(tool("g++") is None, reason="g++ is not installed")
def test_cpp():
    program = "#include <iostream>\nint main(){ long n; std::cin >> n; std::cout << n * 2; }"
    tests = SHAPES["pairs"][1]
    assert verify(f"```cpp\n{program}\n```", tests).kind == "correct"
    assert verify_program(program.replace("* 2", "* 3"), tests, language="c++").kind == "wrong"
    said = verify_program("int main(){ return x; }", tests, language="cpp")
    assert said.kind == "wrong" and "does not compile" in said.reason
    secret = verify_program('#include "/etc/shadow"\nint main(){}', tests, language="cpp")
    assert "No such file" in secret.reason


@pytest.mark.skipif(tool("node") is None, reason="node is not installed")
def test_javascript():
    program = "const n = +require('fs').readFileSync(0, 'utf8');\nconsole.log(n * 2)"
    assert verify(f"```js\n{program}\n```", SHAPES["pairs"][1]).kind == "correct"
    assert verify_program("x", SHAPES["pairs"][1], language="javascript").kind == "wrong"
    function = "function double(n) { return n * 2 }"
    calls = [{"args": [n], "expected": 2 * n, "fn_name": "double"} for n in range(3)]
    assert verify_program(function, calls, language="js").kind == "correct"
    assert verify_program(function.replace("2", "3"), calls, language="js").kind == "wrong"


def test_a_missing_language_is_the_users_error():
    with pytest.raises(UserError, match="cobol"):
        verify_program("x", SHAPES["pairs"][1], language="cobol")


def test_without_isolation_it_raises_and_does_not_score(monkeypatch):
    def refuse(*_, **__):
        raise UserError("programs cannot be isolated here", hint="--unsafe-code")

    monkeypatch.setattr(sandbox.pool, "_get", refuse)
    with pytest.raises(UserError, match="isolated"):
        verify_program(ECHO, SHAPES["pairs"][1])
