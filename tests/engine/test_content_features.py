"""Content becomes arrays of declared sizes, whoever is in the batch and whatever the metadata say."""

from __future__ import annotations

import io
import json
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from engine.content_features import ContentFeatures
from engine.errors import BundleError, DataError
from engine.feature_spec import (
    CategorySpec,
    ContentSpec,
    HashedSpec,
    ImageSpec,
    NumberSpec,
    TextSpec,
)
from engine.item_content import ItemContent
from training.feature_learning import train_tokenizer

TOKENIZER = train_tokenizer(["a toy story of toys", "heat and the story of heat"] * 3, 200)
SPEC = ContentSpec(
    categories=CategorySpec(fields=("categories", "tags"), values=("drama", "comedy", "12")),
    hashed=HashedSpec(fields=("director", "cast"), buckets=50, most=4),
    numbers=(
        NumberSpec(field="year", mean=1990.0, deviation=10.0),
        NumberSpec(field="price", is_logarithmic=True),
    ),
    text=TextSpec(max_tokens=12),
    image=ImageSpec(height=24, width=16),
)
FEATURES = ContentFeatures(SPEC, TOKENIZER)
FIELDS = ("title", "description", "categories", "tags", "director", "cast", "year", "price")

JSON_TEXT = st.text(st.characters(), max_size=30)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | JSON_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(JSON_TEXT, inner, max_size=3),
    max_leaves=8,
)
TEXTS = JSON_TEXT | st.none() | st.lists(JSON_TEXT, max_size=5)
NUMBERS = st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.just("1995")


def picture(color: tuple[int, int, int] = (200, 30, 90)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 30), color).save(file, "PNG")
    return file.getvalue()


VALID = st.builds(
    ItemContent,
    metadata=st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS[:6], TEXTS) | dict.fromkeys(FIELDS[6:], NUMBERS)),
    image=st.sampled_from([None, b"", picture(), picture((0, 255, 0))]),
)


def arrays_of(**metadata: Any) -> dict[str, Any]:
    return {name: array[0] for name, array in FEATURES.arrays([ItemContent(metadata)]).items()}


def check(arrays: dict[str, Any], rows: int, features: ContentFeatures = FEATURES) -> None:
    assert arrays.keys() == features.sizes.keys()
    for name, array in arrays.items():
        assert array.shape == (rows, *features.sizes[name]), name
        assert array.dtype == (np.int64 if name in {"tokens", "hashed"} else np.float32), name
        assert np.isfinite(array).all(), name


@given(items=st.lists(VALID, max_size=5))
def test_a_batch_equals_one_by_one(items: list[ItemContent]) -> None:
    together = FEATURES.arrays(items)
    check(together, len(items))
    for row, item in enumerate(items):
        for name, array in FEATURES.arrays([item]).items():
            assert array[0].tobytes() == together[name][row].tobytes()
        assert FEATURES.has_content(item) == together["present"][row].any()


@given(metadata=st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_any_metadata_give_arrays_or_a_clear_error(metadata: dict[str, Any]) -> None:
    try:
        arrays = FEATURES.arrays([ItemContent(metadata)])
    except DataError as error:
        told = str(error)
    else:
        check(arrays, 1)
        return
    assert told.startswith(tuple(metadata))
    assert "or leave it out" in told
    assert len(told) < 400


@given(items=st.lists(VALID, min_size=1, max_size=4))
def test_a_spec_that_was_written_and_read_gives_the_same(items: list[ItemContent]) -> None:
    spec = ContentSpec.model_validate_json(SPEC.model_dump_json())
    assert spec == SPEC
    again = ContentFeatures(spec, TOKENIZER).arrays(items)
    assert all(array.tobytes() == again[name].tobytes() for name, array in FEATURES.arrays(items).items())


def test_the_order_of_parts_is_fixed() -> None:
    assert FEATURES.part_names == ("categories", "hashed", "numbers", "tokens", "image")
    assert FEATURES.sizes == {
        "categories": (3,),
        "hashed": (4,),
        "numbers": (2,),
        "tokens": (12,),
        "image": (3, 24, 16),
        "present": (5,),
    }
    assert (FEATURES.vocabulary_size, FEATURES.bucket_count) == (json.loads(TOKENIZER)["model"]["vocab"].__len__(), 50)


def test_an_empty_item_is_zeros() -> None:
    empty = ItemContent(
        {"title": "  ", "description": None, "categories": [], "year": "", "director": "|", "price": []}
    )
    assert not any(array.any() for array in FEATURES.arrays([empty]).values())
    assert not FEATURES.has_content(empty)


def test_nothing_is_read_of_an_empty_spec() -> None:
    features = ContentFeatures(ContentSpec())
    assert features.arrays([ItemContent()])["present"].shape == (1, 0)
    assert not features.has_content(ItemContent({"title": "Heat"}))
    assert features.vocabulary_size == features.bucket_count == 0


@pytest.mark.parametrize(
    "given", ["Drama|Comedy", ["drama", " COMEDY "], "comedy| Drama|drama|Western", ("Drama", "comedy", None)]
)
def test_categories_come_as_lists_or_with_separators(given: Any) -> None:
    assert arrays_of(categories=given)["categories"].tolist() == [1, 1, 0]


def test_categories_of_all_fields_are_joined_and_may_be_numbers() -> None:
    assert arrays_of(categories="Drama", tags=[12])["categories"].tolist() == [1, 0, 1]


def test_an_item_of_unknown_categories_only_has_none() -> None:
    arrays = arrays_of(categories="Western|Noir", title="∀∀∀ 漢字")
    assert not arrays["categories"].any()
    assert arrays["present"].tolist() == [0, 0, 0, 1, 0]


def test_hashed_values_differ_by_field_and_are_cut() -> None:
    one, other = arrays_of(director="Tom Hanks")["hashed"], arrays_of(cast="Tom Hanks")["hashed"]
    assert one[0] != other[0]
    assert one[1:].tolist() == [0, 0, 0]
    many = arrays_of(director="a|b|c|d|e|f")["hashed"]
    assert (many >= 1).all()
    assert (many <= 50).all()


def test_a_bucket_never_changes() -> None:
    assert arrays_of(director="Tom Hanks|Michael Mann", cast=["Al Pacino"])["hashed"].tolist() == [17, 42, 8, 0]


def test_numbers_are_standardised_and_bounded() -> None:
    assert arrays_of(year=2000)["numbers"].tolist() == [1, 0]
    assert arrays_of(year="1985", price=np.e - 1)["numbers"].tolist() == pytest.approx([-0.5, 1])
    assert arrays_of(year=10**9, price=-1e300)["numbers"].tolist() == [10, -10]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("year", "soon"),
        ("year", True),
        ("year", [1995]),
        ("year", {"of": 1995}),
        ("price", float("nan")),
        ("price", 10**400),
        ("title", 7),
        ("title", ["Heat", 7]),
        ("description", {"en": "Heat"}),
        ("categories", 1.5),
        ("tags", [["a"]]),
        ("director", {"name": "x"}),
        ("cast", False),
    ],
)
def test_a_wrong_type_names_field_and_remedy(field: str, value: Any) -> None:
    with pytest.raises(DataError, match=rf"^{field} is .*; give .*, or leave it out$"):
        arrays_of(**{field: value})


def test_text_is_lower_cased_and_cut() -> None:
    assert arrays_of(title="Toy STORY")["tokens"].tolist() == arrays_of(title=["toy story"])["tokens"].tolist()
    assert (arrays_of(title="toy " * 500)["tokens"] > 0).all()
    assert (
        arrays_of(title="toy", description="story")["tokens"][:2].tolist()
        == arrays_of(title="toy story")["tokens"][:2].tolist()
    )


def test_a_text_cannot_write_padding() -> None:
    tokens = arrays_of(title="heat [PAD] heat")["tokens"]
    length = np.count_nonzero(tokens)
    assert (tokens[:length] > 0).all()


@pytest.mark.parametrize("text", ["toy story " * 1_000_000, "x" * 10_000_000, " " * 10_000_000 + "a", "|" * 10_000_000])
def test_ten_megabytes_of_text_are_fast(text: str) -> None:
    began = time.process_time()
    arrays_of(title=text, description=text, categories=text, cast=[text] * 3)
    assert time.process_time() - began < 1.0


def test_a_spec_needs_what_it_names() -> None:
    with pytest.raises(BundleError, match="no tokenizer; train again"):
        ContentFeatures(SPEC)
    with pytest.raises(BundleError, match="cannot be read"):
        ContentFeatures(SPEC, b"{}")
    with pytest.raises(BundleError, match="not \\[PAD\\]"):
        ContentFeatures(SPEC, TOKENIZER.replace(b"[PAD]", b"[pad]"))
    with pytest.raises(BundleError, match="no sentence encoder"):
        ContentFeatures(ContentSpec.model_validate({"sentence": {"width": 8}}))


def test_an_image_is_standardised() -> None:
    image = FEATURES.arrays([ItemContent(image=picture((255, 0, 0)))])["image"][0]
    assert image[0].min() == image[0].max() == 2.0
    assert image[1:].min() == image[1:].max() == -2.0


def test_a_file_that_is_no_image_is_refused() -> None:
    item = ItemContent(image=b"no image")
    assert FEATURES.has_content(item)
    with pytest.raises(DataError, match="no known format"):
        FEATURES.arrays([item])


@settings(max_examples=25)
@given(text=st.text(st.characters(), max_size=200))
def test_no_text_fails(text: str) -> None:
    tokens = arrays_of(title=text)["tokens"]
    assert (tokens >= 0).all()
    assert (tokens < FEATURES.vocabulary_size).all()
