"""Benchmarks by name, each with the protocol of the R1 paper: see docs/suites.md."""

from aha.evals.suites.suite import Protocol, Suite, load_suite, suite_names

__all__ = ["Protocol", "Suite", "load_suite", "suite_names"]
