"""Sampling of problems with several turns: each later question follows the model's own reply.

What stays of a reply for the next turn is what the user has read of it: no reasoning, as R1's chat
template and DeepSeek's API have it.
"""

from collections.abc import Iterator, Sequence

from aha.engine.replies import Conversation
from aha.evals.backends import EndpointBackend, Place, Response, Tell, as_ready
from aha.evals.plan import Plan
from aha.evals.suites.reply import visible
from aha.evals.suites.turns import joined, later_questions

TURN_SHIFT, PROBLEM_SHIFT = 48, 16
"""Random numbers of a later turn are named by turn, problem and sample."""


def converse(planned: Plan, places: Sequence[Place], tell: Tell) -> Iterator[list[Response]]:
    """Whole conversations in these places, in batches as they are ready."""
    backend = planned.backend
    if isinstance(backend, EndpointBackend):

        def whole(place: Place) -> Response:
            said = [backend.ask(planned.prompts[place[0]], place)]
            while (messages := next_messages(planned, place, said)) is not None:
                said.append(backend.ask(messages, (name_of(place, len(said)), 0)))
            return merged(place, said)

        yield from as_ready(whole, places, num_threads=backend.endpoint.most_at_once)
        return
    for batch in backend.sample(planned.prompts, places, tell):
        replies = {response.place: [response] for response in batch}
        while going := _asked_on(planned, replies):
            prompts = {name: backend.conversation(asked) for name, (_, asked) in going.items()}
            for later in backend.sample(prompts, [(name, 0) for name in prompts], tell):
                for response in later:
                    replies[going[response.place[0]][0]].append(response)
        yield [merged(place, said) for place, said in replies.items()]


def next_messages(planned: Plan, place: Place, said: Sequence[Response]) -> Conversation | None:
    """The conversation up to the next question; None where there is no other one.

    Nor is there one behind a reply that says nothing, as of thoughts that were cut off.
    """
    problem = planned.problems[place[0]]
    asked = (problem.question, *later_questions(problem))
    if len(said) == len(asked) or not visible(said[-1].text):
        return None
    questions = [planned.suite.protocol.ask(question) for question in asked]
    messages: list[dict[str, str]] = []
    for question, response in zip(questions, said, strict=False):
        messages.append({"role": "user", "content": question})
        messages.append({"role": "assistant", "content": visible(response.text)})
    return [*messages, {"role": "user", "content": questions[len(said)]}]


def name_of(place: Place, turn: int) -> int:
    """The number of a conversation in a turn after the first, in place of a problem's."""
    return (turn << TURN_SHIFT) | (place[0] << PROBLEM_SHIFT) | place[1]


def merged(place: Place, said: Sequence[Response]) -> Response:
    """All turns of a conversation as one response."""
    is_cut = any(response.finish_reason == "length" for response in said)
    return Response(
        place=place,
        text=joined([response.text for response in said]),
        finish_reason="length" if is_cut else said[-1].finish_reason,
        length_tokens=sum(response.length_tokens for response in said),
    )


def _asked_on(
    planned: Plan, replies: dict[Place, list[Response]]
) -> dict[int, tuple[Place, Conversation]]:
    """The conversations that go on, by their names."""
    found = {}
    for place, said in replies.items():
        messages = next_messages(planned, place, said)
        if messages is not None:
            found[name_of(place, len(said))] = (place, messages)
    return found
