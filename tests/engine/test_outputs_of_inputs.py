"""Which outputs usually go with such inputs."""

from __future__ import annotations

import numpy as np

from engine.item_vectors import ItemVectors
from engine.outputs_of_inputs import OutputsOfInputs


def test_what_the_items_of_the_bundle_have_in_common_holds_for_live_ones() -> None:
    random = np.random.default_rng(0)
    inputs, turn = random.normal(size=(40, 3)).astype(np.float32), random.normal(size=(3, 4)).astype(np.float32)
    outputs = np.hstack((inputs @ turn, random.normal(size=(40, 1)))).astype(np.float32)
    vectors = ItemVectors(np.vstack((inputs, np.zeros((1, 3), np.float32))), outputs)
    new = random.normal(size=(2, 3)).astype(np.float32)
    vectors.put(np.array([41, 42]), new, np.full((2, 5), 9.0, dtype=np.float32))
    found = OutputsOfInputs(vectors)(np.array([7, 41, 42]))
    wanted = np.vstack((inputs[7], new)) @ turn
    np.testing.assert_allclose(found[:, :-1], wanted, atol=1e-3)
    np.testing.assert_allclose(found[:, -1], 0.0)
    assert found.dtype == np.float32
