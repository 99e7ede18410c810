"""Networks that read items: what is missing or padded says nothing, and the exported network says the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from engine.runtime import Network
from models.content_network import (
    BagPart,
    ContentNetwork,
    ContentPart,
    DeepPart,
    DensePart,
    NumberPart,
    StatisticsPart,
)
from models.item_tower import ItemTower
from models.network_committee import NetworkCommittee
from models.picture_network import PictureNetwork
from models.picture_statistics import FIELDS, LAYOUT, LEVELS, PictureStatistics
from models.text_networks import TextCNN, TextGRU
from training.export import export_content, export_tower

WORDS, OUTPUT, WIDTH = 30, 5, 6
TEXTS = {"cnn": TextCNN, "gru": TextGRU}
TOKENS = torch.tensor([[5, 9, 2, 7], [3, 0, 0, 0], [8, 8, 1, 0]])


def text_network(name: str) -> nn.Module:
    """A network whose biases are far from 0, so that padding would be seen."""
    network = TEXTS[name](WORDS, OUTPUT, width=4)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        network.words.weight[0] = 0.0
    return network.eval()


def pictures(count: int, channels: int = 3, height: int = 48, width: int = 32) -> Tensor:
    return torch.randn(count, channels, height, width).clamp(-2, 2)


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_longer_padding_changes_nothing(name: str) -> None:
    network = text_network(name)
    shorter = nn.functional.pad(TOKENS, (0, 1))
    for more in (2, 9, 40):
        longer = nn.functional.pad(TOKENS, (0, more))
        torch.testing.assert_close(network(longer), network(shorter), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_a_batch_of_texts_equals_one_by_one(name: str) -> None:
    network = text_network(name)
    alone = torch.cat([network(row[None]) for row in TOKENS])
    torch.testing.assert_close(network(TOKENS), alone, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(alone[0], alone[2], atol=1e-3)


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_the_order_of_words_counts(name: str) -> None:
    network = text_network(name)
    assert not torch.allclose(network(TOKENS), network(TOKENS[:, [1, 0, 2, 3]]), atol=1e-3)


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_a_text_of_nothing_but_padding_is_finite(name: str) -> None:
    network = text_network(name).train()
    said = network(torch.zeros(2, 4, dtype=torch.long))
    assert said.shape == (2, OUTPUT)
    said.sum().backward()
    assert torch.isfinite(said).all()
    assert all(torch.isfinite(each.grad).all() for each in network.parameters() if each.grad is not None)


@pytest.mark.parametrize("wrong", [{"width": 0}, {"dropout": 1.0}])
@pytest.mark.parametrize("name", sorted(TEXTS))
def test_a_size_that_is_none_is_named(name: str, wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TEXTS[name](WORDS, OUTPUT, **wrong)


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_become_one_vector_each(channels: int) -> None:
    network = PictureNetwork(channels, OUTPUT, widths=(4, 6))
    seen = pictures(4, channels)
    network.train()(seen).sum().backward()
    assert all(each.grad is not None and torch.isfinite(each.grad).all() for each in network.parameters())
    network.eval()
    alone = torch.cat([network(row[None]) for row in seen])
    assert alone.shape == (4, OUTPUT)
    torch.testing.assert_close(network(seen), alone, atol=1e-5, rtol=1e-5)


def test_a_picture_network_without_channels_is_refused() -> None:
    with pytest.raises(ValueError, match="channels 0"):
        PictureNetwork(0, OUTPUT)


def blocks(statistics: PictureStatistics, seen: Tensor) -> tuple[Tensor, ...]:
    colours = LEVELS**3 if statistics.channels == 3 else 0
    layout = statistics.channels * LAYOUT[0] * LAYOUT[1]
    return statistics(seen).split([colours, layout, 2 * FIELDS[0] * FIELDS[1]], dim=1)


@pytest.mark.parametrize("channels", [1, 3])
def test_each_block_of_statistics_has_length_one(channels: int) -> None:
    statistics, seen = PictureStatistics(channels), pictures(5, channels)
    assert statistics(seen).shape == (5, statistics.size)
    for block in blocks(statistics, seen)[channels == 1 :]:
        torch.testing.assert_close(block.norm(dim=1), torch.ones(5), atol=1e-4, rtol=1e-4)
    statistics.centre(seen)
    torch.testing.assert_close(blocks(statistics, seen)[2].norm(dim=1), torch.ones(5), atol=1e-4, rtol=1e-4)


def test_a_mirrored_picture_has_the_same_colours_in_mirrored_places() -> None:
    statistics, seen = PictureStatistics(3), pictures(3)
    (colours, layout, _), (others, mirrored, _) = blocks(statistics, seen), blocks(statistics, seen.flip(3))
    torch.testing.assert_close(colours, others)
    torch.testing.assert_close(mirrored.view(3, 3, *LAYOUT).flip(3), layout.view(3, 3, *LAYOUT))
    assert not torch.allclose(mirrored, layout, atol=1e-2)


def test_colours_tell_one_from_another() -> None:
    red, blue = torch.full((2, 1, 3, 48, 32), -2.0).unbind()
    red[:, 0], blue[:, 2] = 2.0, 2.0
    seen, _, edges = blocks(PictureStatistics(3), torch.cat((red, blue)))
    assert float(seen[0] @ seen[1]) < 1e-3
    assert not edges.any()


def test_an_edge_is_where_it_stands() -> None:
    seen = torch.zeros(1, 1, 48, 32)
    seen[..., 8:] = 1.0
    across, down = blocks(PictureStatistics(1), seen)[2].view(2, *FIELDS)
    assert (across[:, 2] > 0).all()
    assert int((across > 0).sum()) == FIELDS[0]
    assert not down.any()


def test_a_bag_is_weighed_by_how_rare_its_words_are() -> None:
    bag = BagPart(WORDS, WIDTH)
    bag.weigh(torch.tensor([[1, 2, 0], [1, 1, 0], [1, 3, 0]]))
    one, two, never = (float(bag.gains[word]) for word in (1, 2, 4))
    assert 0 == one < two < never
    assert bag.gains[0] == 0


def test_what_a_bag_adds_is_its_features_times_the_weights() -> None:
    bag = BagPart(WORDS, WIDTH)
    bag.weigh(TOKENS)
    bag.weights.normal_()
    torch.testing.assert_close(bag(TOKENS), bag.features(TOKENS) @ bag.weights, atol=1e-5, rtol=1e-5)
    # A word that comes twice makes the third row a little longer.
    torch.testing.assert_close(bag.features(TOKENS)[:2].norm(dim=1), torch.ones(2))
    nothing = torch.zeros(2, 4, dtype=torch.long)
    assert not bag(nothing).any()
    assert not bag.features(nothing).any()


def test_numbers_are_places_on_a_line() -> None:
    part = NumberPart(2, WIDTH)
    features = part.features(torch.tensor([[0.0, 1.0], [0.05, 1.0], [2.0, 1.0], [9.0, 1.0], [3.0, 1.0]]))
    torch.testing.assert_close(features.norm(dim=1), torch.ones(5))
    near, far = float(features[0] @ features[1]), float(features[0] @ features[2])
    assert near > 0.95
    assert far < 0.6
    torch.testing.assert_close(features[3], features[4])


def test_any_curve_is_a_weighted_sum_of_numbers() -> None:
    part = NumberPart(1, 1)
    places = torch.linspace(-2.5, 2.5, 101)[:, None]
    curve = torch.sin(2 * places)
    part.weights.copy_(torch.linalg.lstsq(part.features(places), curve).solution)
    torch.testing.assert_close(part(places), curve, atol=0.02, rtol=0.0)


def test_rows_have_length_one_and_no_row_is_no_number() -> None:
    rows = DensePart(3, WIDTH).features(torch.tensor([[0.0, 3.0, 4.0], [0.0, 0.0, 0.0]]))
    torch.testing.assert_close(rows, torch.tensor([[0.0, 0.6, 0.8], [0.0, 0.0, 0.0]]))


COLUMNS = {"categories": 0, "hashed": 1, "numbers": 2, "tokens": 3, "image": 4, "audio": 5}


def whole_network() -> ContentNetwork:
    """A network of all kinds of parts with random weights."""
    parts: dict[str, ContentPart] = {
        "categories": DensePart(4, WIDTH),
        "hashed": BagPart(9, WIDTH),
        "numbers": NumberPart(2, WIDTH),
        "tokens": BagPart(WORDS, WIDTH),
        "image": StatisticsPart(PictureStatistics(3), 5, WIDTH),
        "audio": StatisticsPart(PictureStatistics(1), 5, WIDTH),
        "tokens.deep": DeepPart(text_network("cnn"), OUTPUT, WIDTH),
        "image.deep": DeepPart(PictureNetwork(3, OUTPUT, widths=(4, 6)), OUTPUT, WIDTH),
        "audio.deep": DeepPart(PictureNetwork(1, OUTPUT, widths=(4, 6)), OUTPUT, WIDTH),
    }
    network = ContentNetwork(parts, COLUMNS, WIDTH).eval()
    for part in parts.values():
        part.weights.normal_()
    network.mean.normal_()
    return network


def arrays(count: int, seed: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return {
        "categories": torch.randint(0, 2, (count, 4)).float(),
        "hashed": torch.randint(0, 9, (count, 3)),
        "numbers": torch.randn(count, 2),
        "tokens": torch.randint(0, WORDS, (count, 7)),
        "image": pictures(count, 3, 32, 24),
        "audio": pictures(count, 1, 24, 32),
        "present": torch.randint(0, 2, (count, len(COLUMNS))).float(),
    }


def test_a_missing_part_adds_nothing() -> None:
    network, given, others = whole_network(), arrays(4), arrays(4, seed=1)
    given["present"] = torch.eye(len(COLUMNS))[:4]
    found = network(*(given[name] for name in network.inputs))
    for item, name in enumerate(list(COLUMNS)[:4]):
        # Everything but the one part that is there may say anything.
        mixed = {other: (given if other in (name, "present") else others)[other][item][None] for other in given}
        alone = network(*(mixed[each] for each in network.inputs))
        parts = sum(network.part(each)(given[name])[item] for each in network.names if each.split(".")[0] == name)
        torch.testing.assert_close(found[item], alone[0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(found[item], network.mean + parts, atol=1e-5, rtol=1e-5)
    given["present"] = torch.zeros(4, len(COLUMNS))
    nothing = network(*(given[name] for name in network.inputs))
    torch.testing.assert_close(nothing, network.mean.expand(4, -1))


def test_a_network_names_what_it_reads() -> None:
    network = whole_network()
    assert network.inputs == (*COLUMNS, "present")
    deep = sum(parameter.numel() for parameter in network.parameters())
    wide = sum(network.part(name).weights.numel() for name in network.names)
    assert network.parameter_count == deep + wide


def recurrent_network() -> ContentNetwork:
    """A network that reads texts alone, and each as a sequence."""
    part = DeepPart(text_network("gru"), OUTPUT, WIDTH)
    part.weights.normal_()
    return ContentNetwork({"tokens.deep": part}, {"tokens": 0}, WIDTH).eval()


@pytest.mark.parametrize("made", [whole_network, recurrent_network])
def test_the_exported_network_says_the_same(made: Callable[[], ContentNetwork]) -> None:
    network, example = made(), arrays(2)
    sizes = {name: example[name].shape[1:] for name in network.inputs}
    exported = Network(export_content(network, sizes, {name: example[name].dtype for name in network.inputs}), "it")
    for count in (1, 5):
        given = {name: array for name, array in arrays(count, seed=count).items() if name in network.inputs}
        with torch.no_grad():
            wanted = network(*(given[name] for name in network.inputs))
        found = exported.run(**{name: array.numpy() for name, array in given.items()})
        torch.testing.assert_close(torch.from_numpy(found), wanted, atol=1e-4, rtol=1e-4)


def test_the_exported_tower_says_the_same() -> None:
    tower, content = ItemTower(WIDTH, 3, 4), torch.randn(5, WIDTH)
    exported = Network(export_tower(tower), "tower")
    for found, wanted in zip(exported.run_all(content_vectors=content.numpy()), tower(content), strict=True):
        torch.testing.assert_close(torch.from_numpy(found), wanted.detach(), atol=1e-5, rtol=1e-5)


def test_a_committee_says_the_mean_of_what_its_members_say_in_one_space() -> None:
    members = [torch.nn.Linear(3, 2, bias=False) for _ in range(2)]
    turns, centres = (
        torch.stack((torch.eye(2), torch.tensor([[0.0, 1.0], [-1.0, 0.0]]))),
        torch.tensor([[1.0, 2], [3, 4]]),
    )
    committee = NetworkCommittee(members, turns, centres)
    x = torch.randn(5, 3)
    first = members[0](x) - torch.tensor([1.0, 2.0])
    said = members[1](x)
    second = torch.stack((said[:, 1], -said[:, 0]), dim=1) - torch.tensor([3.0, 4.0])
    torch.testing.assert_close(committee.member(1, x), second)
    torch.testing.assert_close(committee(x), (first + second) / 2)


def test_pictures_are_read_alike_by_landmarks_and_by_how_near_they_are() -> None:
    part, given = StatisticsPart(PictureStatistics(3), 6, WIDTH), pictures(20, 3, 32, 24)
    part.learn(given)
    weights = torch.randn(6, WIDTH)
    part.take(weights)
    torch.testing.assert_close(part(given), part.features(given) @ weights, atol=1e-4, rtol=1e-4)
