"""`aha emergence MODEL --causal`: the arms measured, resumed after a kill, as one JSON object."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from aha.errors import UserError
from aha.evals.emergence.causal import CausalConfig, measure
from aha.evals.plan import local_model, model_name, problems_sha256, weights_sha256
from aha.evals.scaling.journal import Journal
from aha.evals.suites.suite import Suite, load_suite
from aha.model.hf_folder import load_model
from aha.pipeline.ranks import Ranks
from aha.pipeline.run_dir import versions


def run_causal(
    reference: str, config: CausalConfig, journal: Path, note: Callable[[str], None]
) -> dict[str, Any]:
    """Measure a model; equal settings and an equal seed give an equal object.

    reference: as for `aha eval`, a model on this machine. journal: a folder for what is finished;
    whoever has written the result removes it. Raises UserError.
    """
    data = Path(config.data).expanduser() if config.data is not None else None
    suite = load_suite(config.suite, data=data)
    problems = suite.task.problems("heldout")[: config.problems]
    if not problems or not suite.task.checkable or suite.needs_judge:
        raise UserError(
            f"{suite.name} has no problems that rules can grade", hint="choose another --suite"
        )
    folder, trained_with = local_model(reference)
    resolved = resolve(config, suite, trained_with)
    header = {
        "suite": suite.name,
        "model": {"name": model_name(reference, folder), "sha256": weights_sha256(folder)},
        "settings": resolved.table(),
        "problems_sha256": problems_sha256(problems),
        "versions": versions(),
    }
    identity = hashlib.sha256(json.dumps(header, sort_keys=True).encode()).hexdigest()[:16]
    loaded = load_model(folder, dtype=getattr(torch, resolved.dtype))
    finished = Journal(journal, identity, Ranks())
    return {**header, **measure(loaded, suite, resolved, finished, note)}


def resolve(config: CausalConfig, suite: Suite, trained_with: str | None = None) -> CausalConfig:
    """Fill in what is left open: from the model's training, else from the suite's protocol."""
    protocol = suite.protocol
    names = ("temperature", "top_p", "max_new_tokens")
    open_ones = {name: getattr(protocol, name) for name in names if getattr(config, name) is None}
    return config.replace(
        template=config.template or trained_with or protocol.template, **open_ones
    )
