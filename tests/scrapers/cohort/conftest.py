"""A bot that reads a cohort of the simulated X."""

from tests.scrapers.x.conftest import birds

__all__ = ["birds"]
