"""Distillation (arXiv 2501.12948, 2.4 and 4.1): a teacher's samples make a small model reason.

    teacher --rejection sampling--> samples; student --SFT on samples--> distilled
    student --RL alone, the same budget--> rl_student                       (compare_rl)
    distilled --reverse KL to the teacher on its own samples--> on_policy   (on_policy)

The paper's comparison: distilled 72.6, RL on the same 32B student 47.0 (AIME 2024, Table 6). The
teacher of the tiny preset is trained first: R1-Zero with the language reward.
"""

from typing import Any

from pydantic import Field

from aha.data.config import RejectionConfig
from aha.evals.config import StageTableConfig
from aha.pipeline.machine import default_ranks
from aha.pipeline.sources import Source, model_source
from aha.pipeline.stage import Stage
from aha.recipes import loops
from aha.recipes.r1 import data_stage, rl_stage
from aha.recipes.recipe import Recipe, RecipeConfig
from aha.recipes.zero import Algorithm, prompt_files
from aha.trainers.config import GrpoConfig, PretrainConfig, SftConfig

TRAINED_HERE = "trained"


class DistillConfig(RecipeConfig):
    """The whole recipe: a teacher, a student, and what the student becomes."""

    model: str = Field(
        TRAINED_HERE,
        min_length=1,
        description="the student: trained (a small one, pre-trained here), or a model folder",
    )
    teacher: str = Field(
        TRAINED_HERE,
        min_length=1,
        description="trained (R1-Zero on the embedded model, here), a model folder or a run",
    )
    algorithm: Algorithm = Field(
        "modern", description="named values of keys of the RL stages; keys you set yourself win"
    )
    compare_rl: bool = Field(True, description="also train the student by RL alone")
    train_teacher: GrpoConfig = Field(
        GrpoConfig(), description="the teacher, where it is trained here"
    )
    student: PretrainConfig = Field(
        PretrainConfig(), description="the student, where it is pre-trained here"
    )
    samples: RejectionConfig = Field(RejectionConfig(), description="the teacher's right samples")
    distilled: SftConfig = Field(SftConfig(), description="fine-tuning of the student on them")
    rl_student: GrpoConfig = Field(GrpoConfig(), description="RL on the student alone")
    evaluate: StageTableConfig = Field(StageTableConfig(), description="all models side by side")


def stages(config: DistillConfig) -> list[Stage[Any]]:
    """The graph above; stages whose result is given as a folder are left out."""
    todo: list[Stage[Any]] = []

    def add(stage: Stage[Any]) -> Stage[Any]:
        todo.append(stage)
        return stage

    teacher: Stage[Any] | Source
    student: Stage[Any] | Source
    if config.teacher == TRAINED_HERE:
        teacher = add(rl_stage("train_teacher", config.train_teacher, model_source("embedded")))
    else:
        teacher = model_source(config.teacher)
    if config.model == TRAINED_HERE:
        student = add(Stage("student", config.student, loops.pretrain))
    else:
        student = model_source(config.model)
    samples = add(data_stage("samples", config.samples, loops.collect_rejection, model=teacher))
    given = {"model": student, "data": samples}
    distilled = add(Stage("distilled", config.distilled, loops.fine_tune, given))
    models = {"teacher": teacher, "student": student, "distilled": distilled}
    if config.compare_rl:
        models["rl_student"] = add(rl_stage("rl_student", config.rl_student, student))
    evaluation = config.evaluate
    judging = prompt_files(evaluation.task or config.samples.task, evaluation.template)
    add(Stage("evaluate", evaluation, loops.compare_models, {**models, **judging}))
    return todo


def resolve(config: DistillConfig) -> DistillConfig:
    """Fill in what is derived: the ranks from the machine, the table's task from the samples."""
    ranks = config.ranks or default_ranks(config.rl_student.prompts_per_step)
    student = config.student.replace(
        kv_heads=config.student.kv_heads or config.student.heads,
        mlp_width=config.student.mlp_width or 3 * config.student.width,
    )
    evaluation = config.evaluate.replace(
        task=config.evaluate.task or config.samples.task,
        dtype=config.evaluate.dtype or config.samples.dtype,
    )
    update = {"ranks": ranks, "student": student, "evaluate": evaluation}
    return config.model_copy(update=update)


def sentence(config: DistillConfig) -> str:
    """The size of a run."""
    drawn = config.samples.problems * config.samples.samples
    compared = f"; RL alone: {config.rl_student.num_steps:,} steps" if config.compare_rl else ""
    return (
        f"distillation on {config.ranks or 1} ranks: {drawn:,} samples of the teacher, "
        f"{config.distilled.epochs} epochs of those accepted{compared}."
    )


RECIPE = Recipe(
    name="distill",
    config=DistillConfig,
    main_stage="rl_student",
    default_preset="tiny",
    stages=stages,
    resolve=resolve,
    sentence=sentence,
)
