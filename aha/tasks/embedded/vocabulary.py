"""The tokenizer of the embedded world: byte-level BPE, so that any text can be encoded."""

from itertools import islice

from tokenizers import AddedToken, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend

from aha.chat.grammar import ANSWER_CLOSE, ANSWER_OPEN, THINK_CLOSE, THINK_OPEN
from aha.model.tokenizer import Tokenizer
from aha.tasks.embedded.corpus import documents

END_OF_TEXT = "<|endoftext|>"
TAGS = (THINK_OPEN, THINK_CLOSE, ANSWER_OPEN, ANSWER_CLOSE)
NUM_DOCUMENTS = 12_000


def build_tokenizer(seed: int, *, vocab_size: int) -> Tokenizer:
    """Byte-level BPE with GPT-2's word pattern, which llama.cpp knows and which keeps ` 57` whole.

    Every number from 0 to 99 with a leading space becomes one token; the four tags are tokens that
    decoding keeps; everything else falls back to bytes.
    """
    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(TAGS),
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
        min_frequency=2,
    )
    numbers = "".join(f" {number}" for number in range(100))
    texts = [numbers] * 200 + list(islice(documents(seed, part="vocabulary"), NUM_DOCUMENTS))
    backend.train_from_iterator(texts, trainer)
    backend.add_tokens([AddedToken(tag, normalized=False) for tag in TAGS])
    return Tokenizer(backend, eos_token=END_OF_TEXT, pad_token=END_OF_TEXT)
