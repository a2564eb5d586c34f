"""Knights and knaves: solving, reading answers, and judging them."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aha.rewards.logic.knights import parse_answer, parse_statements, solve, verify
from aha.rewards.logic.reply import NoAnswer
from aha.rewards.service import VerifierPool

PUZZLE = "aha.rewards.logic:verify_puzzle"
NAMES = ["Zoey", "Noël", "Penelope"]
# Zoey: "Noël is not a knight"; Noël: "Noël lies or Penelope tells the truth";
# Penelope: "Zoey tells the truth if and only if Noël does".
STATEMENTS = (
    ("not", ("telling-truth", 1)),
    ("or", ("lying", 1), ("telling-truth", 2)),
    ("<=>", ("telling-truth", 0), ("telling-truth", 1)),
)


def draw_statement(rng, people, depth=2):
    kind = rng.choice(("telling-truth", "lying", "not", "and", "or", "->", "<=>"))
    if depth == 0 or kind in ("telling-truth", "lying"):
        return (rng.choice(("telling-truth", "lying")), rng.randrange(people))
    parts = 1 if kind == "not" else 2
    return (kind, *(draw_statement(rng, people, depth - 1) for _ in range(parts)))


def say(names, roles, joined="\n"):
    return joined.join(
        f"({i}) {name} is a {'knight' if role else 'knave'}"
        for i, (name, role) in enumerate(zip(names, roles, strict=True), 1)
    )


def puzzles(number, people):
    """Random puzzles with one solution, and that solution."""
    rng = random.Random(people)
    while number:
        statements = tuple(draw_statement(rng, people) for _ in range(people))
        if len(solutions := solve(statements, people)) == 1:
            number -= 1
            yield statements, solutions[0]


class TestSolving:
    def test_by_hand(self):
        # Noël lying makes his own words true, so he is a knight, hence Penelope too; Zoey lies,
        # so what Penelope says is false: no solution.
        assert solve(STATEMENTS, 3) == []
        assert solve((("lying", 1), ("lying", 0)), 2) == [(True, False), (False, True)]
        assert solve(str((("lying", 1), ("->", ("lying", 0), ("lying", 0)))), 2) == [(False, True)]

    @pytest.mark.parametrize("people", [2, 3, 5])
    def test_gold_scores_and_every_flip_does_not(self, people):
        names = ["Amelia", "Bo", "Chloé", "Dörte", "Evelyn"][:people]
        for statements, roles in puzzles(40, people):
            for puzzle in ({"statements": statements}, {"statements": repr(statements)},
                           {"gold": say(names, roles)}, {"gold": list(roles)}):  # fmt: skip
                assert verify(say(names, roles), names=names, **puzzle).is_correct
                for i in range(people):
                    flipped = [role != (i == k) for k, role in enumerate(roles)]
                    verdict = verify(say(names, flipped), names=names, **puzzle)
                    assert verdict.kind == "wrong", (statements, flipped)

    @pytest.mark.parametrize(
        "statements",
        ["", "x", "(" * 5000, "__import__('os')", "1", (), ((),) * 3, (("lying",),) * 3,
         (("lying", 3),) * 3, (("lying", True),) * 3, (("lying", "0"),) * 3, (("xor", 1, 2),) * 3,
         (("not", ("lying", 0), ("lying", 1)),) * 3, ((["not"], ("lying", 0)),) * 3, None, 7],
    )  # fmt: skip
    def test_what_is_no_puzzle(self, statements):
        with pytest.raises(ValueError):
            parse_statements(statements, 3)
        if statements is not None:
            assert verify(say(NAMES, (1, 0, 1)), names=NAMES, statements=statements).kind == "error"

    def test_a_gold_answer_that_contradicts_the_puzzle(self):
        names = ["Ann", "Bob"]
        two = {"names": names, "statements": (("lying", 1), ("lying", 0))}
        assert verify(say(names, (1, 0)), gold=[True, True], **two).kind == "error"
        assert verify(say(names, (1, 0)), gold=[False, True], **two).is_correct  # as good


GOLD = [True, False, True]


@pytest.mark.parametrize(
    "text",
    [
        "(1) Zoey is a knight\n(2) Noël is a knave\n(3) Penelope is a knight",
        "(3) Penelope is a knight (1) Zoey is a knight (2) Noël is a knave",
        "Zoey is a knight, Noël is a knave, and Penelope is a knight.",
        "Zoey and Penelope are knights; Noël is a knave.",
        "Zoey and Penelope are both knights, and Noël is a knave.",
        "**Zoey**: Knight\n**Noël**: Knave\n**Penelope**: Knight",
        "ZOEY = KNIGHT, NOËL = KNAVE, PENELOPE = KNIGHT",
        "- Zoey → knight\n- Noël → knave\n- Penelope → knight",
        "| Name | Role |\n|---|---|\n| Zoey | knight |\n| Noël | knave |\n| Penelope | knight |",
        '{"Zoey": "knight", "Noël": "knave", "Penelope": "knight"}',
        "Knights: Zoey, Penelope\nKnaves: Noël",
        "Knights: Zoey, Penelope. Knave: Noël.",
        "（1）Zoey：knight（2）Noël：knave（3）Penelope：knight",
        "Zoey is a knight, Noe\u0308l is a knave, Penelope is a knight",
        "<think>Zoey is a knave?</think><answer>Zoey is a knight. Noël is a knave. "
        "Penelope is a knight.</answer>",
        "If Zoey is a knave then Noël ... no.\nAnswer: Zoey: knight, Noël: knave, Penelope: knight",
        "\\boxed{Zoey: knight, Noël: knave, Penelope: knight}",
    ],
)  # fmt: skip
def test_answers_that_are_read(text):
    assert verify(text, names=NAMES, gold=GOLD).is_correct, verify(text, names=NAMES, gold=GOLD)
    assert verify(text, names=NAMES, gold=[True, True, True]).kind == "wrong"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Zoey is a knight and Noël is a knave.",  # Penelope?
        "Zoey is a knight, Noël is a knave, Penelope is a knight or a knave?",
        "Zoey is a knight, Noël is a knave, Penelope is not a knave",
        "Zoey is a knight, Noël is a knave, Penelope is a knight, Penelope is a knave",
        "Zoey is a knight, Zoey is a knight, Noël is a knave, Penelope is a knight",
        "Zoey said Noël is a knave. Penelope is a knight",
        "Zoey is either a knight or a knave, Noël is a knave, Penelope is a knight",
        "Z\u043eey is a knight, Noël is a knave, Penelope is a knight",  # a Cyrillic o
        "<answer>Zoey: knight, Noël: knave, Penelope: knight</answer>"
        "<answer>Zoey: knight, Noël: knave, Penelope: knight</answer>",
        "<think>Zoey: knight, Noël: knave, Penelope: knight</think><answer>yes</answer>",
        "Zoey Noël Penelope",
        "knight knave knight",
        "Knights: Zoey, Penelope or Noël",
        "Zoey is a knight, Noël is a knave, Penelope is a knight, or a knave",
        "Knights and knaves: Zoey, Noël, Penelope",
        "x" * 1_000_000,
    ],
)
def test_answers_that_are_not_read(text):
    assert verify(text, names=NAMES, gold=GOLD).kind == "unparseable"


def test_all_options_earn_nothing():
    lines = [f"{name} is a {role}" for name in NAMES for role in ("knight", "knave")]
    assert verify("\n".join(lines), names=NAMES, gold=GOLD).score == 0


def test_other_roles_and_languages():
    names = ["小明", "小红"]
    found = parse_answer("小明是骑士，小红是无赖。", names, roles=("骑士", "无赖"))
    assert found == {"小明": True, "小红": False}
    with pytest.raises(NoAnswer):
        parse_answer("小明不是骑士，小红是无赖。", names, roles=("骑士", "无赖"))
    saints = parse_answer(
        "Ann is a saint, Bob is a sinner", ["Ann", "Bob"], roles=("saint", "sinner")
    )
    assert saints == {"Ann": True, "Bob": False}


def test_names_come_from_the_gold_text():
    gold = "(1) Mia is a knave\n(2) O'Neil is a knight"
    assert verify("O'Neil: knight, Mia: knave", gold=gold).is_correct
    assert verify("Mia: knave", gold="nobody knows").kind == "error"
    assert verify("Mia: knave", names=["Mia"]).kind == "error"


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.sampled_from(
            [*NAMES, "knight", "knaves", "is", "a", "not", ":", "\n", ".", ",", "and", "<answer>",
             "</answer>", "\\boxed{", "}", "or", "|", "answer:", "{", "\0"]
        ),
        max_size=40,
    )
)  # fmt: skip
def test_any_reply_is_judged(words):
    verdict = verify(" ".join(words), names=NAMES, gold=GOLD)
    assert verdict.is_scored
    if verdict.is_correct:
        assert all(words.count(name) >= 1 for name in NAMES)


def test_it_runs_in_a_worker():
    row = {"names": ["Ann", "Bob"], "statements": "(('lying', 1), ('lying', 1))"}
    with VerifierPool(num_workers=1) as pool:
        for reply, kind in (("Ann: knight, Bob: knave", "wrong"), ("Ann: knave", "unparseable")):
            assert pool.run(PUZZLE, reply, "knights_knaves", row).kind == kind
        row["statements"] = (("lying", 1), ("lying", 0))
        assert pool.run(PUZZLE, "Ann: knight, Bob: knave", "knights_knaves", row).is_correct
