"""Imports go one way, and `aha --help` stays fast because nothing heavy is imported early."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import aha

ROOT = Path(aha.__file__).parent

LAYERS = [
    {"aha", "errors", "config"},
    {"pipeline", "algorithms", "model", "chat"},
    {"engine", "rewards", "tasks"},
    {"data", "trainers", "evals"},
    {"recipes"},
    {"report", "serve", "export", "cluster"},
    {"cli"},
]
PLACED_ELSEWHERE = {"aha.chat.terminal": "serve"}
"""Modules that belong to another layer than their package: the chat loop drives an engine."""
HEAVY = ("torch", "numpy", "transformers", "safetensors", "tokenizers", "rich", "pydantic")


def module_name(file):
    parts = list(file.relative_to(ROOT.parent).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(file): file for file in sorted(ROOT.rglob("*.py"))}


def layer_of(module):
    part = PLACED_ELSEWHERE.get(module) or [*module.split("."), "aha"][1]
    return next(i for i, layer in enumerate(LAYERS) if part in layer)


def imports_of(file):
    """(line, module) of every import in a file, inside functions too."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno} is a relative import"
            for alias in node.names:
                dotted = f"{node.module}.{alias.name}"
                yield node.lineno, dotted if dotted in MODULES else str(node.module)


@pytest.mark.parametrize("module", [name for name in MODULES if name != "aha"])
def test_imports_go_one_way(module):
    file = MODULES[module]
    upward = [
        f"line {line}: {imported}"
        for line, imported in imports_of(file)
        if imported.split(".")[0] == "aha" and layer_of(imported) > layer_of(module)
    ]
    assert not upward, f"{module} imports from a higher layer: {upward}"


def test_the_rule_notices_an_upward_import():
    assert layer_of("aha.trainers.grpo") < layer_of("aha.recipes.zero") < layer_of("aha.cli.main")
    assert layer_of("aha.chat.terminal") > layer_of("aha.engine.types") > layer_of("aha.chat")


def test_every_package_has_a_layer():
    for module in MODULES:
        assert layer_of(module) >= 0


def test_the_command_line_imports_nothing_heavy():
    code = f"import sys, aha.cli.main; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_dry_run_does_not_import_torch(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    code = (
        "import sys; from aha.cli.main import invoke\n"
        f"status = invoke(['run', 'zero', '--dry-run', '--model', {str(tmp_path)!r}])\n"
        "sys.exit(status or 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_public_names_exist():
    for name in aha.__all__:
        assert getattr(aha, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = aha.nonsense
