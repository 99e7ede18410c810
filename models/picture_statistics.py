"""PictureStatistics: colours, their places, and where edges are; what little data can tell of a picture.

    colours: root of the share of pixels near each of 5 x 5 x 5 places in RGB (only of pictures with three channels)
    layout: the picture shrunk to 6 x 4; edges: root of the mean difference of neighbours, in 12 x 8 fields

Three blocks, each of length 1, the last less its mean over many pictures. Histograms as in Swain & Ballard, "Color
Indexing", 1991, their root as in Arandjelovic & Zisserman, "Three things everyone should know to improve object
retrieval", 2012.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

LEVELS = 5
LAYOUT, FIELDS = (6, 4), (12, 8)
SMALLEST = 1e-6


class PictureStatistics(nn.Module):
    """pictures [B,C,H,W], about -2..2, -> [B,size]; height at least 24 and width at least 16."""

    edge_centre: Tensor
    levels: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.register_buffer("levels", torch.linspace(-2.0, 2.0, LEVELS))
        self.register_buffer("edge_centre", torch.zeros(2 * FIELDS[0] * FIELDS[1]))

    @property
    def size(self) -> int:
        """How many numbers it gives."""
        colours = LEVELS**3 if self.channels == 3 else 0
        return colours + self.channels * LAYOUT[0] * LAYOUT[1] + len(self.edge_centre)

    def centre(self, pictures: Tensor) -> None:
        """Take the mean of the edges from many pictures."""
        self.edge_centre.copy_(torch.cat([self._edges(part) for part in torch.split(pictures, 256)]).mean(dim=0))

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the three blocks side by side."""
        layout = functional.adaptive_avg_pool2d(pictures, LAYOUT).flatten(1)
        edges = self._edges(pictures) - self.edge_centre
        blocks = [functional.normalize(block, dim=1, eps=SMALLEST) for block in (layout, edges)]
        return torch.cat([*([self._colours(pictures)] if self.channels == 3 else []), *blocks], dim=1)

    def _edges(self, pictures: Tensor) -> Tensor:
        grey = pictures.mean(dim=1, keepdim=True)
        across = functional.pad((grey[..., 1:] - grey[..., :-1]).abs(), (1, 0))
        down = functional.pad((grey[..., 1:, :] - grey[..., :-1, :]).abs(), (0, 0, 1, 0))
        return functional.adaptive_avg_pool2d(torch.cat((across, down), dim=1), FIELDS).flatten(1).sqrt()

    def _colours(self, pictures: Tensor) -> Tensor:
        pixels = functional.avg_pool2d(pictures, 2).flatten(2)
        # Each value is shared between the two levels beside it.
        near = (1 - (pixels.clamp(-2.0, 2.0)[..., None] - self.levels).abs()).clamp(min=0)
        red, green, blue = near.unbind(dim=1)
        pairs = (red[..., :, None] * green[..., None, :]).flatten(2)
        shares = torch.bmm(pairs.transpose(1, 2), blue) / pixels.shape[2]
        return (shares.flatten(1) + SMALLEST**2).sqrt()
