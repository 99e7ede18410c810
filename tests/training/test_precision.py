"""Precision: bfloat16 only where it was measured to pay, and the run says which it was and why."""

from __future__ import annotations

import pytest
from tiny import TINY

from training.config import TrainingConfig
from training.precision import faster, settled


def config(**fields: object) -> TrainingConfig:
    return TrainingConfig.model_validate({**TINY, **fields})


@pytest.mark.parametrize(("bfloat16", "chosen"), [(0.5, "bfloat16"), (0.9, "float32"), (2.0, "float32")])
def test_bfloat16_is_taken_where_it_is_clearly_faster(bfloat16: float, chosen: str) -> None:
    precision, why = faster(1.0, bfloat16)
    assert precision == chosen
    assert chosen in why
    assert f"{1 / bfloat16:.2f}x" in why


def test_auto_is_settled_by_measuring_and_says_so() -> None:
    said: list[str] = []
    found = settled(config(precision="auto"), said.append)
    assert found.precision in ("float32", "bfloat16")
    assert said[0].startswith(f"training in {found.precision}: ")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_is_asked_for_is_not_measured(precision: str) -> None:
    said: list[str] = []
    assert settled(config(precision=precision), said.append).precision == precision
    assert not said
