"""ContentNetwork: what is known of an item becomes a vector in the space of who likes what.

    content vector = m + sum_p W_p f_p(x_p)

f_p turns a part into numbers of about unit length: a multi-hot row, a bag of hashed values, radial functions of
numbers, a bag of tokens weighed by how rare they are, statistics of a picture, a frozen sentence vector, or what a deep
network says of text, image or sound. Wide and deep parts stand side by side (Cheng et al., "Wide & Deep Learning for
Recommender Systems", 2016). A part that an item lacks adds nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.landmarks import Landmarks
from models.picture_statistics import PictureStatistics

CENTRES = 24
CENTRE_RANGE = 3.0
SMALLEST = 1e-6
AT_ONCE = 256


class ContentPart(nn.Module):
    """One part: `features` [B,F] of about unit length, times weights [F,V] that are given."""

    weights: Tensor

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.register_buffer("weights", torch.zeros(features, width))

    def features(self, x: Tensor) -> Tensor:
        """Return what the weights are solved for [B,F]."""
        raise NotImplementedError

    def take(self, weights: Tensor) -> None:
        """Take the weights [F,V] of the features."""
        self.weights.copy_(weights)

    def forward(self, x: Tensor) -> Tensor:
        """Return what the part adds to the content vector [B,V]."""
        return self.features(x) @ self.weights


class DensePart(ContentPart):
    """Rows as they are, at length 1: categories, sentence vectors."""

    def features(self, x: Tensor) -> Tensor:
        """Return rows of length 1 (zeros stay zeros)."""
        return functional.normalize(x, dim=1, eps=SMALLEST)


class NumberPart(ContentPart):
    """Standardised numbers [B,M] by radial functions around 24 centres in -3..3: any curve is a weighted sum."""

    centres: Tensor

    def __init__(self, numbers: int, width: int) -> None:
        super().__init__(numbers * CENTRES, width)
        self.register_buffer("centres", torch.linspace(-CENTRE_RANGE, CENTRE_RANGE, CENTRES))

    def features(self, x: Tensor) -> Tensor:
        """Return [B,M*24], rows of length 1."""
        step = 2 * CENTRE_RANGE / (CENTRES - 1)
        places = x.clamp(-CENTRE_RANGE, CENTRE_RANGE)[..., None]
        near = torch.exp(-0.5 * ((places - self.centres) / step).square())
        return functional.normalize(near.flatten(1), dim=1, eps=SMALLEST)


class BagPart(ContentPart):
    """A bag of ids [B,T], 0 being padding, each weighed: f = sum_t g(t) onehot(t) / sqrt(sum_t g(t)^2)."""

    gains: Tensor

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__(vocabulary, width)
        gains = torch.ones(vocabulary)
        gains[0] = 0.0
        self.register_buffer("gains", gains)

    def weigh(self, ids: Tensor) -> None:
        """Set the gains to log(N / n) of the ids [N,T], n being in how many rows an id occurs."""
        seen = torch.zeros(len(self.gains))
        for row in ids:
            seen[row.unique()] += 1
        gains = torch.log((len(ids) + 1) / (seen + 1)).clamp(min=0)
        gains[0] = 0.0
        self.gains.copy_(gains)

    def features(self, x: Tensor) -> Tensor:
        """Return [B,F]."""
        bag = torch.zeros(len(x), len(self.gains), device=x.device)
        return bag.scatter_add_(1, x, self._gains(x))

    def forward(self, x: Tensor) -> Tensor:
        """Return what the part adds to the content vector [B,V], without the long rows."""
        return (functional.embedding(x, self.weights) * self._gains(x)[..., None]).sum(dim=1)

    def _gains(self, x: Tensor) -> Tensor:
        gains = functional.embedding(x, self.gains[:, None])[..., 0]
        return gains / gains.square().sum(dim=1, keepdim=True).sqrt().clamp(min=SMALLEST)


class StatisticsPart(ContentPart):
    """Fixed statistics of a picture or a spectrogram, by how near they are to those of some others."""

    def __init__(self, statistics: PictureStatistics, landmarks: int, width: int) -> None:
        super().__init__(landmarks, width)
        self.statistics = statistics
        self.landmarks = Landmarks(statistics.size, landmarks)

    def learn(self, pictures: Tensor) -> None:
        """Take means and landmarks from pictures [N,C,H,W], at least as many as there are to be landmarks."""
        self.statistics.centre(pictures)
        self.landmarks.place(torch.cat([self.statistics(part) for part in torch.split(pictures, AT_ONCE)]))

    def features(self, x: Tensor) -> Tensor:
        """Return [B,F]."""
        found: Tensor = self.landmarks(self.statistics(x))
        return found

    def take(self, weights: Tensor) -> None:
        """Take the weights [F,V] of the features, as weights of how near the landmarks are: one table less to carry."""
        self.weights.copy_(self.landmarks.root @ weights)

    def forward(self, x: Tensor) -> Tensor:
        """Return what the part adds to the content vector [B,V]."""
        return self.landmarks.near(self.statistics(x)) @ self.weights


class DeepPart(ContentPart):
    """What a deep network says [B,F], by the usual length of that."""

    typical: Tensor

    def __init__(self, network: nn.Module, features: int, width: int) -> None:
        super().__init__(features, width)
        self.network = network
        self.register_buffer("typical", torch.ones(()))

    def features(self, x: Tensor) -> Tensor:
        """Return [B,F]."""
        said: Tensor = self.network(x)
        return said / self.typical


class ContentNetwork(nn.Module):
    """Parts by name, each of an array of that name or, after a dot, of another way to read it ("tokens.deep")."""

    mean: Tensor

    def __init__(self, parts: Mapping[str, ContentPart], columns: Mapping[str, int], width: int) -> None:
        """Take the parts, and the column of "present" that says whether an item has the array."""
        super().__init__()
        self.names = tuple(parts)
        self.columns = dict(columns)
        self.parts = nn.ModuleList(parts.values())
        self.register_buffer("mean", torch.zeros(width))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the arrays that it reads, in their order; the last is "present"."""
        return (*dict.fromkeys(array_of(name) for name in self.names), "present")

    @property
    def parameter_count(self) -> int:
        """How many numbers were learned or solved for."""
        deep = sum(parameter.numel() for parameter in self.parameters())
        return deep + sum(cast(ContentPart, part).weights.numel() for part in self.parts)

    def part(self, name: str) -> ContentPart:
        """Return one part."""
        return cast(ContentPart, self.parts[self.names.index(name)])

    def forward(self, *arrays: Tensor) -> Tensor:
        """Return content vectors [B,V] from the arrays in the order of `inputs`."""
        given = dict(zip(self.inputs, arrays, strict=True))
        present = given["present"]
        total = self.mean.expand(len(present), -1)
        for name, part in zip(self.names, self.parts, strict=True):
            column = self.columns[array_of(name)]
            total = total + part(given[array_of(name)]) * present[:, column, None]
        return total


def array_of(part: str) -> str:
    """Return the array that a part reads."""
    return part.partition(".")[0]
