"""The chart by itself: its own tests, its README, its alerts."""

import shutil

import pytest

from tests.cluster.kube import CHART, run


def test_chart_unit_tests_pass() -> None:
    needs("helm-unittest")
    run("helm-unittest", CHART)


def test_readme_is_made_from_the_values() -> None:
    needs("helm-docs")
    made = run("helm-docs", "--chart-search-root", CHART.parent, "--dry-run", "--log-level=error").stdout
    assert made.strip() == (CHART / "README.md").read_text("utf-8").strip(), "run: helm-docs"


def test_alerts_fire_when_they_should() -> None:
    needs("promtool")
    run("promtool", "check", "rules", CHART / "files" / "alerts.yaml")
    run("promtool", "test", "rules", CHART / "tests" / "alerts.test.yaml")


def needs(tool: str) -> None:
    if not shutil.which(tool):
        pytest.skip(f"needs {tool} on PATH")
