"""The README and the reference of the command line say what is so."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import mainstream
from mainstream import io
from mainstream.extensions import METHODS
from mainstream.io import load_problem

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SUFFIXES = {".py", ".md", ".toml", ".csv", ".json", ".yaml", ".svg", ".ipynb"}
FILES = [
    ROOT / ".ci" / "run",
    *(path for path in ROOT.glob("*") if path.suffix in SUFFIXES),
    *(
        path
        for folder in ("benchmarks", "data", "docs", "examples", "mainstream", "tests")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in SUFFIXES and ROOT / "benchmarks" / "out" not in path.parents
    ),
]
PAGES = [path.relative_to(ROOT).as_posix() for path in FILES if path.suffix in {".md", ".ipynb"}]


def blocks(language: str, page: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def test_the_reference_of_the_command_line_is_current() -> None:
    script = ROOT / "docs" / "make_cli.py"
    made = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True).stdout
    written = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert made == written, "run: python docs/make_cli.py > docs/cli.md"


def test_ci_finds_the_two_commands_of_the_readme() -> None:
    pattern = re.search(r"sed -n '(.*)' README\.md", (ROOT / ".ci" / "run").read_text(encoding="utf-8"))
    assert pattern
    found = subprocess.run(
        ["sed", "-n", pattern[1], str(ROOT / "README.md")], capture_output=True, text=True, check=True
    )
    first, second = found.stdout.splitlines()
    assert first == "pip install -e . && mainstream solve data/problems/crossing.yaml"
    assert second.startswith("pip install -e '.[") and second.endswith("]' && pytest -n 2 --dist worksteal")


def test_the_readme_is_short_and_begins_with_a_picture() -> None:
    lines = README.splitlines()
    assert len(lines) < 120
    assert any(line.startswith("![") for line in lines[:10])


def test_the_example_in_the_readme_prints_what_is_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (code,), (shown,) = blocks("python", "README.md"), blocks("text", "README.md")
    monkeypatch.chdir(ROOT)
    exec(code, {})
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    told = [line.split() for line in shown.splitlines() if line != "..."]
    assert [line for line in told if line not in printed] == []
    bound = next(line for line in printed if line[0] == "bound")[1].rstrip(",")
    assert f"no other choice within the budget has a mean f1 over {bound}." in README.lower().replace("\n", " ")


def test_the_calls_on_the_page_on_python_work(capsys: pytest.CaptureFixture[str]) -> None:
    first, again = blocks("python", "docs/python.md")
    names: dict[str, Any] = {}
    exec(first, names)
    assert "mean f1 " in capsys.readouterr().out
    assert names["result"].status == "optimal"
    assert names["result"].cost > 0.5 * names["result"].budget
    exec(again, names)
    shown = capsys.readouterr().out
    assert "door" in shown and "budget,objective,bound" in shown
    assert names["least"] < names["result"].cost < names["most"]


def test_every_public_name_is_on_a_page_of_the_reference() -> None:
    pages = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "api").glob("*.md"))
    shown = re.findall(r"^\.\. auto(?:class|data|exception|function):: (\w+)$", pages, flags=re.MULTILINE)
    assert sorted({*mainstream.__all__, *io.__all__} - {*shown, "__version__"}) == []


def test_what_is_added_as_the_docs_say_works(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    problem = load_problem(ROOT / "data" / "problems" / "crossing.yaml")
    given = {"apps": problem.apps, "model": problem.model, "video": problem.video, "budget": problem.budget}
    method, event_model = re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    try:
        exec(method, dict(given))
        assert "best-of-many, " in capsys.readouterr().out
    finally:
        METHODS.unregister("best-of-many")
    exec(event_model, dict(given))
    assert "mean f1 0.854" in capsys.readouterr().out


def test_the_problem_file_that_is_shown_loads(tmp_path: Path) -> None:
    (text,) = blocks("yaml", "docs/problems.md")
    (tmp_path / "problem.yaml").write_text(text.replace("../", f"{ROOT}/data/"), encoding="utf-8")
    assert load_problem(tmp_path / "problem.yaml").given() == {"budget": 60}


@pytest.mark.parametrize("file", PAGES)
def test_files_that_are_named_exist(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert ((ROOT / file).parent / target).exists(), target


@pytest.mark.parametrize("file", PAGES)
def test_sections_that_are_named_exist(file: str) -> None:
    for target, section in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", (ROOT / file).read_text(encoding="utf-8")):
        page = (ROOT / file).parent / target if target else ROOT / file
        headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert section in [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings], section


def test_paths_in_the_architecture_exist() -> None:
    prose = re.sub(r"^    .*$", "", (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    named = [
        name for name in re.findall(r"`([^`\n]+)`", prose) if re.fullmatch(r"[\w.-]+(/[\w.-]*)+|[\w-]+\.\w+", name)
    ]
    assert len(named) > 20
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_nothing_refers_to_what_is_not_here() -> None:
    elsewhere = re.compile("DESIGN" + r"\.md|\bissues?[ #]+\d", flags=re.IGNORECASE)
    assert len(FILES) > 200
    texts = {file: file.read_text(encoding="utf-8", errors="replace") for file in FILES}
    assert [f"{file}: {match[0]}" for file, text in texts.items() for match in elsewhere.finditer(text)] == []
