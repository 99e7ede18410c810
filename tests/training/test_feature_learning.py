"""What features learn, they learn from the training items alone, and always the same."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from engine.content_features import ContentFeatures
from engine.errors import DataError
from engine.feature_spec import ContentSpec
from engine.item_content import ItemContent
from training.feature_learning import ContentFields, learn_features, train_tokenizer

ITEMS = [
    ItemContent(
        {"title": "Toy Story", "categories": "Comedy|Animation", "year": 1995, "price": 1.0, "cast": "Tom Hanks"}
    ),
    ItemContent({"title": "Heat", "description": "A heist.", "categories": ["Drama"], "year": 1995, "price": "9.0"}),
    ItemContent({"title": "Story of Heat", "categories": "Drama|Comedy", "tags": "drama", "year": 2005}),
    ItemContent({}),
]
TEXTS = [
    f"the {word} story of {word}s, 漢字 {number}" for number, word in enumerate(["toy", "heat", "été", "wind"] * 50)
]
DIGEST = """
import hashlib
from training.feature_learning import train_tokenizer
print(hashlib.sha256(train_tokenizer({!r}, 300)).hexdigest())
"""


def test_categories_are_the_most_frequent() -> None:
    learned = learn_features(ContentFields(most_categories=2), ITEMS).spec
    assert learned.categories is not None
    assert learned.categories.values == ("comedy", "drama")


def test_numbers_are_scaled_by_what_is_there() -> None:
    features = learn_features(ContentFields(), ITEMS)
    numbers = features.arrays(ITEMS)["numbers"]
    assert numbers[:3, 0].mean() == pytest.approx(0, abs=1e-6)
    assert numbers[:3, 0].std() == pytest.approx(1, abs=1e-6)
    assert numbers[:2, 1].tolist() == pytest.approx([-1, 1])
    assert numbers[2, 1] == 0
    assert features.spec.numbers[1].is_logarithmic


def test_a_number_that_never_varies_is_zero() -> None:
    features = learn_features(ContentFields(numbers=("year",)), [ItemContent({"year": 1995})] * 3)
    assert features.arrays([ItemContent({"year": 1995})])["numbers"].tolist() == [[0.0]]


def test_parts_that_no_item_has_are_left_out_and_told() -> None:
    told: list[str] = []
    fields = ContentFields(hashed=("director",), numbers=("year", "weight"), image=True, audio=True)
    features = learn_features(fields, ITEMS, say=told.append)
    assert features.part_names == ("categories", "numbers", "tokens")
    assert features.sizes["numbers"] == (1,)
    assert [line.split(" has ")[1] for line in told] == [
        "values to hash (director): left out",
        "a number (weight): left out",
        "an image: left out",
        "a sound: left out",
    ]


def test_nothing_to_learn_from_is_an_empty_spec() -> None:
    features = learn_features(ContentFields(), [ItemContent({}), ItemContent({"title": ""})])
    assert features.spec == ContentSpec()
    assert features.tokenizer is None


def test_all_that_is_asked_for_is_learned() -> None:
    file = io.BytesIO()
    Image.new("RGB", (9, 9)).save(file, "PNG")
    items = [*ITEMS, ItemContent(image=file.getvalue(), audio=b"not decoded here")]
    features = learn_features(ContentFields(hashed=("cast",), image=True, audio=True, image_height=32), items)
    assert features.part_names == ("categories", "hashed", "numbers", "tokens", "image", "audio")
    assert features.sizes["image"] == (3, 32, 64)
    assert features.bucket_count == 4_096
    assert features.vocabulary_size > 2


def test_a_learned_spec_is_restored_from_its_bytes() -> None:
    features = learn_features(ContentFields(hashed=("cast",)), ITEMS)
    again = ContentFeatures(ContentSpec.model_validate_json(features.spec.model_dump_json()), features.tokenizer)
    assert again.sizes == features.sizes
    for name, array in features.arrays(ITEMS).items():
        assert array.tobytes() == again.arrays(ITEMS)[name].tobytes()


def test_the_order_of_processes_changes_no_tokenizer() -> None:
    root = Path(__file__).parents[2]
    digest = hashlib.sha256(train_tokenizer(TEXTS, 300)).hexdigest()
    for _ in range(2):
        code = DIGEST.format(TEXTS)
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
        assert ran.stdout.strip() == digest


def test_a_tokenizer_has_no_more_pieces_than_asked() -> None:
    features = learn_features(ContentFields(pieces=100), [ItemContent({"title": text}) for text in TEXTS])
    assert features.vocabulary_size <= 100
    assert np.count_nonzero(features.arrays([ItemContent({"title": "zzz 漢"})])["tokens"]) > 0


def test_metadata_that_cannot_be_read_are_an_error() -> None:
    with pytest.raises(DataError, match="year is 'soon'; give a number"):
        learn_features(ContentFields(), [ItemContent({"year": "soon"})])


def test_a_misspelt_field_is_an_error() -> None:
    with pytest.raises(ValidationError, match="catgories"):
        ContentFields.model_validate({"catgories": ["genre"]})
    with pytest.raises(ValidationError, match="no text to read"):
        ContentFields.model_validate({"text": [], "sentence": "models/minilm"})
