"""What the user reads of a response, and the last line that names the answer."""

import re

from aha.rewards.math.extraction import MARKED, after_reasoning, extract
from aha.rewards.response import TAGS, in_answer_tags

MAX_ANSWER_CHARS = 2_000
_ANSWER_LINE = re.compile(
    r"^[ \t*_#>]*(?:final )?answer[ \t]{0,4}[*_]{0,4}[ \t]{0,4}[:\uff1a][*_]{0,4}", re.I | re.M
)


def visible(response: str) -> str:
    """The reply without its reasoning, of an answer block its inside.

    Empty where the reasoning never ends: the user then reads nothing.
    """
    text = after_reasoning(response)
    _, opened, rest = text.rpartition("<answer>")
    return rest.partition("</answer>")[0].strip() if opened else text


def answer_line(response: str) -> str | None:
    """What follows the last line that begins with "Answer:"; None without one."""
    text = visible(response)[-20 * MAX_ANSWER_CHARS :]
    end = max((match.end() for match in _ANSWER_LINE.finditer(text)), default=None)
    if end is None:
        return None
    lines = text[end : end + MAX_ANSWER_CHARS].strip().split("\n")
    return lines[0].strip() or None


def tagged(response: str) -> str:
    """The response with its answer in answer tags, as embedded tasks judge it.

    Of a summary behind the thinking its answer; of a reply without any tag an answer that is
    marked (a box, an answer phrase) or all of it. Others come back as they are.
    """
    if "<answer>" in response:
        return response
    if any(tag in response for tag in TAGS):
        return in_answer_tags(response, "think")
    found = extract(response)
    if found is None or found.where not in MARKED:
        return response
    return f"<think></think><answer>{found.text}</answer>"
