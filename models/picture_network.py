"""PictureNetwork: a small residual network for images and for spectrograms, trained from scratch.

He et al., "Deep Residual Learning for Image Recognition", 2016, with the normalisation and activation before each
convolution (He et al., "Identity Mappings in Deep Residual Networks", 2016).
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional


class ResidualBlock(nn.Module):
    """x + conv(relu(norm(conv(relu(norm(x)))))), where `stride` halves both sides and 1 x 1 convolutions carry x."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first_norm, self.second_norm = nn.BatchNorm2d(before), nn.BatchNorm2d(after)
        self.first = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
        self.second = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.shortcut = nn.Conv2d(before, after, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B,C,H,W] to [B,C',H',W']."""
        x = functional.relu(self.first_norm(x))
        result: Tensor = self.shortcut(x) + self.second(functional.relu(self.second_norm(self.first(x))))
        return result


class PictureNetwork(nn.Module):
    """pictures [B,C,H,W] -> [B,W]: a stem of stride 2, residual blocks of stride 2, mean over all places, a layer."""

    def __init__(
        self, channels: int, output: int, widths: tuple[int, ...] = (16, 32, 64, 96), dropout: float = 0.3
    ) -> None:
        super().__init__()
        if min(channels, output, *widths) < 1 or not 0 <= dropout < 1:
            raise ValueError(
                f"channels {channels}, output {output}, widths {widths} must be above 0, dropout in [0, 1)"
            )
        self.stem = nn.Conv2d(channels, widths[0], 5, stride=2, padding=2, bias=False)
        self.blocks = nn.Sequential(*(ResidualBlock(before, after, 2) for before, after in pairwise(widths)))
        self.norm = nn.BatchNorm2d(widths[-1])
        self.output = nn.Linear(widths[-1], output)
        self.dropout = nn.Dropout(dropout)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return one vector a picture."""
        seen = functional.relu(self.norm(self.blocks(self.stem(pictures))))
        result: Tensor = self.output(self.dropout(seen.mean(dim=(2, 3))))
        return result
