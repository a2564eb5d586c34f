"""Writes golden_logits.json with transformers; run by hand in an environment that has it.

PYTHONPATH=. python tests/model/make_golden.py
"""

import json
from pathlib import Path

import torch
import transformers

from tests.model.checkpoints import CASES, fill, raw_config, tokens

GOLDEN = Path(__file__).with_name("golden_logits.json")


def main() -> None:
    """The last row's logits of nine tokens at two positions, for every case."""
    golden: dict[str, object] = {"origin": f"transformers {transformers.__version__}, float32"}
    for case in CASES:
        raw = raw_config(case)
        config = transformers.AutoConfig.for_model(raw.pop("model_type"), **raw)
        model = transformers.AutoModelForCausalLM.from_config(config).eval()
        fill(model)
        with torch.no_grad():
            logits = model(tokens()).logits
        golden[case] = [[round(x, 6) for x in row] for row in logits[-1, [20, 39], :9].tolist()]
    GOLDEN.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
