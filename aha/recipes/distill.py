"""Distillation (arXiv 2501.12948, 2.4 and 4.1): a teacher makes a small model reason.

    teacher --rejection sampling--> samples; student --SFT on samples--> distilled     method sft
    student --reverse KL to the teacher on its own samples--> on_policy          method on_policy
    student --RL alone, the same budget--> rl_student                                  compare_rl

The paper's comparison: distilled 72.6, RL on the same 32B student 47.0 (AIME 2024, Table 6). The
teacher of the tiny preset is trained first: R1-Zero with the language reward.
"""

from typing import Any, Literal

from pydantic import Field

from aha.data.config import RejectionConfig
from aha.evals.arms import ArmsConfig
from aha.pipeline.machine import default_ranks
from aha.pipeline.run_dir import model_of_run
from aha.pipeline.sources import Source, model_source
from aha.pipeline.stage import Stage
from aha.recipes import loops
from aha.recipes.r1 import data_stage, rl_stage
from aha.recipes.recipe import Recipe, RecipeConfig
from aha.recipes.zero import Algorithm, prompt_files
from aha.trainers.config import GrpoConfig, PretrainConfig, SftConfig
from aha.trainers.distillation_config import DistillationConfig

TRAINED_HERE = "trained"
Given = Stage[Any] | Source


class DistillConfig(RecipeConfig):
    """The whole recipe: a teacher, a student, and what the student becomes."""

    model: str = Field(
        TRAINED_HERE,
        min_length=1,
        description="the student: trained (a small one, pre-trained here), a model folder or a run",
    )
    teacher: str = Field(
        TRAINED_HERE,
        min_length=1,
        description="trained (R1-Zero on the embedded model, here), a model folder or a run",
    )
    algorithm: Algorithm = Field(
        "modern", description="named values of keys of the RL stages; keys you set yourself win"
    )
    method: Literal["sft", "on_policy", "both"] = Field(
        "sft",
        description="sft: fine-tuning on the teacher's right samples; on_policy: the teacher's "
        "distributions on the student's own samples; both: a student of each",
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
    on_policy: DistillationConfig = Field(
        DistillationConfig(), description="the student's own samples, read by the teacher"
    )
    rl_student: GrpoConfig = Field(GrpoConfig(), description="RL on the student alone")
    evaluate: ArmsConfig = Field(ArmsConfig(), description="all models side by side")


def stages(config: DistillConfig) -> list[Stage[Any]]:
    """The graph above; stages whose result is given as a folder are left out."""
    teacher, student = teacher_of(config), student_of(config)
    todo: list[Given] = [teacher, student]
    models = {"teacher": teacher, "student": student}
    if config.method != "on_policy":
        samples = data_stage("samples", config.samples, loops.collect_rejection, model=teacher)
        given = {"model": student, "data": samples}
        models["distilled"] = Stage("distilled", config.distilled, loops.fine_tune, given)
        todo += [samples, models["distilled"]]
    if config.method != "sft":
        asked = prompt_files(config.on_policy.task, config.on_policy.template)
        given = {"model": student, "teacher": teacher, **asked}
        models["on_policy"] = Stage("on_policy", config.on_policy, loops.distill, given)
        todo.append(models["on_policy"])
    if config.compare_rl:
        models["rl_student"] = rl_stage("rl_student", config.rl_student, student)
        todo.insert(2, models["rl_student"])  # so that the run's last model is a distilled one
    evaluation = config.evaluate
    judging = prompt_files(evaluation.task or config.samples.task, evaluation.template)
    todo.append(Stage("evaluate", evaluation, loops.compare_arms, {**models, **judging}))
    return [stage for stage in todo if isinstance(stage, Stage)]


def teacher_of(config: DistillConfig) -> Given:
    """The model that is asked or read."""
    if config.teacher == TRAINED_HERE:
        return rl_stage("train_teacher", config.train_teacher, model_source("embedded"))
    return folder_or_run(config.teacher)


def student_of(config: DistillConfig) -> Given:
    """The model that every way starts from."""
    if config.model == TRAINED_HERE:
        return Stage("student", config.student, loops.pretrain)
    return folder_or_run(config.model)


def folder_or_run(name: str) -> Source:
    """A model folder, or the last model of a run."""
    return model_source(str(model_of_run(name) or name))


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
    parts = []
    if config.method != "on_policy":
        drawn = config.samples.problems * config.samples.samples
        parts.append(
            f"{drawn:,} samples of the teacher, {config.distilled.epochs} epochs of those accepted"
        )
    if config.method != "sft":
        parts.append(f"on its own samples: {config.on_policy.num_steps:,} steps")
    if config.compare_rl:
        parts.append(f"RL alone: {config.rl_student.num_steps:,} steps")
    return f"distillation on {config.ranks or 1} ranks: {'; '.join(parts)}."


RECIPE = Recipe(
    name="distill",
    config=DistillConfig,
    main_stage="rl_student",
    default_preset="tiny",
    stages=stages,
    resolve=resolve,
    sentence=sentence,
)
