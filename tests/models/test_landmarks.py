"""Landmarks: products of features say how near two rows are."""

from __future__ import annotations

import torch
from torch import Tensor

from models.landmarks import SHARPNESS, Landmarks


def rows(count: int, seed: int = 0) -> Tensor:
    return torch.nn.functional.normalize(torch.randn(count, 6, generator=torch.Generator().manual_seed(seed)), dim=1)


def nearness(one: Tensor, other: Tensor) -> Tensor:
    return torch.exp(-SHARPNESS * torch.cdist(one, other).square())


def test_products_with_landmarks_are_how_near_they_are() -> None:
    landmarks, known, new = Landmarks(6, 40), rows(40), rows(9, seed=1)
    landmarks.place(known)
    torch.testing.assert_close(landmarks(new) @ landmarks(known).T, nearness(new, known), atol=5e-3, rtol=0.0)
    torch.testing.assert_close(landmarks(known) @ landmarks(known).T, nearness(known, known), atol=5e-3, rtol=0.0)


def test_few_landmarks_say_about_as_much_as_many() -> None:
    landmarks, known = Landmarks(6, 60), rows(200)
    landmarks.place(known)
    found, wanted = landmarks(known) @ landmarks(known).T, nearness(known, known)
    assert (found - wanted).abs().mean() < 0.02


def test_equal_rows_as_landmarks_give_numbers() -> None:
    landmarks = Landmarks(6, 8)
    landmarks.place(rows(1).expand(8, -1))
    assert torch.isfinite(landmarks(rows(5))).all()
