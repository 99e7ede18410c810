"""What is misspelt in the content section is named before anything is read."""

from __future__ import annotations

import pytest

from engine.errors import ConfigError
from training.config import load_config


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"content.text": "lstm"}, r"content\.text: .*'cnn'.*'gru'"),
        ({"content.text_network.filter": "3"}, r"cnn takes no \['filter'\]; it takes .*'filters'"),
        ({"content.text": "gru", "content.text_network.filters": "3"}, r"gru takes no \['filters'\]; .*'hidden'"),
        ({"content.text": "none", "content.text_network.width": "3"}, r"no network reads the text; set text = 'cnn'"),
        ({"content.picture_network.width": "3"}, r"picture_network takes no \['width'\]; it takes .*'widths'"),
        ({"content.picture_network.widths": "[0]"}, r"picture_network cannot be made with .*must be above 0"),
        ({"content.network.width": "3"}, r"give text_network or picture_network"),
        ({"content.part_weights.text": "3.0"}, r"there is no part 'text'; there are .*'tokens'"),
        ({"content.part_weights.tokens": "0.0"}, r"content\.part_weights\.tokens: .*greater than 0"),
        ({"content.fields.images": "true"}, r"content\.fields\.images: there is no such key; there are .*'image'"),
    ],
)
def test_a_wrong_value_is_named(overrides: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config([], {"content.model": "hybrid"} | overrides)


def test_right_values_are_taken() -> None:
    chosen = {"content.text": "gru", "content.text_network.hidden": "8", "content.picture_network.widths": "[4, 8]"}
    content = load_config([], chosen | {"content.part_weights": '{"tokens.deep" = 2.0}'}).content
    assert content.text_network == {"hidden": 8}
    assert content.part_weights == {"tokens.deep": 2.0}
