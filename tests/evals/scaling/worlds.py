"""A random model of a few words, the tags among them, and problems for it."""

import torch
from tokenizers import AddedToken, models, pre_tokenizers
from tokenizers import Tokenizer as Backend

from aha.chat.grammar import parse_response
from aha.engine.engine import Engine
from aha.engine.types import SamplingParams
from aha.evals.scaling.journal import Journal
from aha.evals.scaling.sampler import Sampler, SearchSettings
from aha.evals.suites.suite import Protocol, Suite
from aha.model.config import ModelConfig
from aha.model.decoder import Decoder
from aha.model.tokenizer import Tokenizer
from aha.pipeline.ranks import Ranks
from aha.rewards.verdict import Verdict
from aha.tasks.task import Problem, Task
from aha.trainers.rollouts import Prompter

EOS = "<end>"
TAGS = ("<think>", "</think>", "<answer>", "</answer>")
WORDS = (EOS, "?", "a", "b", "c", "d", "e", ".", "Wait,", "x", "y", "z")


def tokenizer():
    """Words between spaces; the tags need none."""
    backend = Backend(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="?"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.add_special_tokens([EOS])
    backend.add_tokens([AddedToken(tag, normalized=False) for tag in TAGS])
    return Tokenizer(backend, eos_token=EOS)


def model(seed=0, *, max_positions=64):
    config = ModelConfig(
        vocab_size=len(WORDS) + len(TAGS),
        hidden_size=32,
        intermediate_size=64,
        num_layers=2,
        num_heads=4,
        num_kv_heads=2,
        head_dim=8,
        max_positions=max_positions,
        eos_token_ids=(0,),
    )
    decoder = Decoder(config)
    generator = torch.Generator().manual_seed(seed)
    decoder.init_weights(generator)
    with torch.no_grad():
        for parameter in decoder.parameters():
            if parameter.ndim == 2:
                parameter.normal_(0.0, 0.15, generator=generator)
    return decoder


class LetterTask(Task):
    """Right is an answer block that begins with the letter asked for."""

    name = "letters"

    def problems(self, split):
        return [
            Problem(id=f"letters/{i}", question=f"{'abcde'[i % 5]} {'xyz'[i % 3]} <think>",
                    gold="abcde"[i % 5])
            for i in range(8)
        ]  # fmt: skip

    def score(self, problem, response):
        answer = parse_response(response).answer
        if not answer:
            return Verdict.unparseable("no answer")
        first = answer.split()[0]
        right = first == problem.gold
        return Verdict.correct(first) if right else Verdict.wrong(first, "another letter")


def suite():
    protocol = Protocol(template="none")
    return Suite(name="letters", description="letters", task=LetterTask(), protocol=protocol)


def sampler(folder, *, seed=0, max_new_tokens=40, max_positions=64, reward=None, **settings):
    """Over the random model; responses start inside the thinking, which the prompt has opened."""
    words = tokenizer()
    defaults = {"samples": 3, "pool": 6, "answer_tokens": 4, "step_ends": (".",), "step_tokens": 5}
    return Sampler(
        engine=Engine(model(max_positions=max_positions), words, seed=seed),
        prompter=Prompter("none", words),
        suite=suite(),
        params=SamplingParams(max_new_tokens=max_new_tokens),
        journal=Journal(folder, "0", Ranks()),
        settings=SearchSettings(**(defaults | settings)),
        reward=reward,
    )


def chunk_of(world, num=4):
    problems = world.suite.task.problems("heldout")[:num]
    return [world.question(i, problem) for i, problem in enumerate(problems)]
