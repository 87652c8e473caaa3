"""The repository checks itself: boundaries, documents, sizes."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from models import detectors, plugins
from services import purposes, sinks
from services.settings import Settings
from serving.cli import app

ROOT = Path(__file__).parents[2]
ROOMS = ("models", "services", "training", "serving")
SOURCES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
DOCS = "\n".join(path.read_text() for path in (ROOT / "docs").rglob("*.md"))
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()


def test_docs_name_every_command():
    for name in get_command(app).commands:
        assert f"vigie {name}" in DOCS, f"docs/ never mentions `vigie {name}`"


def test_docs_name_every_plugin():
    for package in (detectors, purposes, sinks):
        for name in plugins.names(package):
            assert re.search(rf"\b{name}\b", DOCS)


def test_docs_name_every_setting():
    for name in Settings.model_fields:
        assert f"VIGIE_{name.upper()}" in DOCS


def test_every_command_has_an_example():
    for name, command in get_command(app).commands.items():
        assert f"vigie {name}" in (command.help or ""), f"`vigie {name} --help` has no example"


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=lambda p: str(p.relative_to(ROOT)))
def test_no_file_is_long_without_its_reason(path):
    lines = len(path.read_text().splitlines())
    assert lines <= 300 or str(path.relative_to(ROOT)) in CONTRIBUTING


def test_only_the_fleet_and_the_doors_know_ray():
    for path in SOURCES:
        names = {
            alias.name.partition(".")[0]
            for node in ast.walk(ast.parse(path.read_text()))
            for alias in getattr(node, "names", [])
            if isinstance(node, ast.Import)
        }
        assert "ray" not in names or path.name == "fleet.py"


def test_help_is_quick_because_heavy_libraries_wait():
    code = (
        "import sys, serving.cli; print([m for m in ('torch', 'ray', 'cv2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_loads_pickles():
    for path in SOURCES:
        text = path.read_text()
        assert not re.search(r"^\s*(import|from) (pickle|joblib|dill)\b", text, re.MULTILINE)
        assert text.count("torch.load(") == text.count("weights_only=True")
