"""The examples of the page of renewals."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cli.test_findings import run

from shelflife import plan
from shelflife.renew import gates
from shelflife.system import System
from shelflife.workspace import Settings


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "renewal.md").read_text()


@pytest.fixture(scope="module")
def text(root: Path) -> str:
    """The plan of the docs."""
    found = re.search(r"```yaml\n(shelflife: 1\n.*?)```", (root / "docs" / "plan.md").read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def parsed(text: str, **renew: Any) -> plan.Plan:
    """The plan of the docs with other parts of `renew`."""
    before, after = text[: text.index("renew:\n")], text[text.index("brief:\n") :]
    made = yaml.safe_dump({"renew": {**yaml.safe_load(text)["renew"], **renew}})
    return plan.parse(before + made + after).plan


def test_parts_of_plans_are_valid(page: str, text: str) -> None:
    written = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (told,) = [block for block in written if block.startswith("brief:\n")]
    assert plan.parse(re.sub(r"brief:\n(  .*\n)+", told, text)).plan.brief[1].on[0] == "renewal_started"
    blocks = [yaml.safe_load(block) for block in written if block != told]
    assert len(blocks) == 2
    for block in blocks:
        assert parsed(text, **block.get("renew", block)).renew is not None


def test_every_trigger_and_gate_of_the_tables_is_one(page: str, text: str) -> None:
    rows = [line.split("|")[1].strip() for line in page.splitlines() if line.startswith("| `")]
    said = [yaml.safe_load(word) for row in rows for word in re.findall(r"`([^`]+)`", row)]
    whens = [one for one in said if isinstance(one, dict) and {"age", "every", "outcomes"} & one.keys()]
    assert len(whens) == 4
    assert all(parsed(text, when=[one]) for one in whens)
    asked = [one for one in said if isinstance(one, dict) and {"metric", "flips", "latency_p95", "size_mb",
                                                              "function"} & one.keys()]  # fmt: skip
    words = ["beats_baseline", "calibrated", "reproducible", "data_checks"]
    assert set(words) <= {one for one in said if isinstance(one, str)}
    named = [{**one, "metric": "accuracy"} if one.get("metric") == "…" else one for one in asked]
    assert len(named) == 7
    assert parsed(text, gates=[*named, *words])


def test_figures_are_those_of_the_code(page: str) -> None:
    assert f"The level is {gates.LEVEL}." in page
    assert f"fewer than {gates.FEWEST} rows" in page


def test_commands_are_understood(page: str, text: str, tmp_path: Path) -> None:
    system = System(Settings(home=tmp_path / ".shelflife"))
    system.apply(plan.parse(text), by="lead", because="first")
    system.close()
    blocks = "\n".join(re.findall(r"```bash\n(.*?)```", page, re.DOTALL))
    commands = [shlex.split(line) for line in blocks.splitlines() if line]
    assert len(commands) == 12
    for command, *words in commands:
        assert command == "shelflife"
        done = run(tmp_path, *words)
        assert done.exit_code in (0, 1, 2)
        assert "Usage" not in done.output, (words, done.output)
