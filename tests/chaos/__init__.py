"""Scenarios that break things for real; `python benchmarks/chaos.py` runs them whole."""
