"""Small lexicons: the words of running text and of worked solutions that tell a language.

They decide most words of a chain of thought; what they do not decide follows its neighbours. A word
that two languages share stands in both lists and decides nothing; so a word of one list that is
also common English ("die", "also", "son") has to stand under English too. Written for this project.
"""

from functools import cache
from importlib.resources import files


@cache
def words_of(language: str) -> frozenset[str]:
    """The lexicon of a language; "loans": words that European languages share."""
    lines = files(__package__).joinpath("assets", f"{language}.txt").read_text("utf-8").splitlines()
    return frozenset(" ".join(line for line in lines if not line.startswith("#")).split())
