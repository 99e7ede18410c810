"""ContentConfig: how the content of items becomes vectors, and how that is learned."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from torch import nn

from models.picture_network import PictureNetwork
from models.text_networks import TextCNN, TextGRU
from training.feature_learning import ContentFields
from training.stage_config import StageConfig, check_network

Positive = Annotated[float, Field(gt=0)]
TEXTS: dict[str, type[nn.Module]] = {"cnn": TextCNN, "gru": TextGRU}
WIDE = ("categories", "hashed", "numbers", "tokens", "image", "audio", "sentence")
PARTS = (*WIDE, "tokens.deep", "image.deep", "audio.deep")


class ContentConfig(StageConfig):
    """The networks that read items, so that an item is recommendable that nobody has met."""

    model: Literal["none", "hybrid"] = "none"
    """"hybrid": items are known by what has been learned of them and, where nothing has, by their content."""
    fields: ContentFields = Field(default_factory=ContentFields)
    width: int = Field(default=64, ge=1, le=1_024)
    """Dimensions of the content vectors; those of the space of who likes what."""
    text: Literal["none", "cnn", "gru"] = "cnn"
    """Which network reads the text (models/text_networks.py), beside the bag of its words."""
    text_network: dict[str, Any] = Field(default_factory=dict)
    """Arguments of that network's class."""
    pictures: bool = True
    """Whether a network reads images and spectrograms, beside their statistics (models/picture_statistics.py)."""
    picture_network: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the network that reads images and spectrograms (models/picture_network.py)."""
    landmarks: int = Field(default=1_000, ge=1, le=10_000)
    """How many of the training items' pictures others are compared with by their statistics (models/landmarks.py)."""
    bag_of_words: bool = True
    """Whether the words of the text count by themselves too."""
    part_weights: dict[str, Positive] = Field(default_factory=dict)
    """Where the search for the weights of the parts begins (1 unless it is said here): categories, hashed, numbers,
    tokens, tokens.deep, image, image.deep, audio, audio.deep, sentence. More means less regularisation."""
    penalties: tuple[Positive, ...] = Field(default=(3.0, 10.0, 30.0, 100.0), min_length=1)
    """Squares of the weights are penalised by one of these, chosen by items that are left out."""
    most_items: int = Field(default=10_000, ge=10, le=50_000)
    """The weights are solved for on at most so many items, the most popular; cost grows with the cube."""
    rehearsed_items: int = Field(default=3_000, ge=10, le=20_000)
    """Penalty and weights of the parts are chosen on at most so many items, each held out once."""
    loss: Literal["likes", "contrastive"] = "likes"
    """What a deep network learns: binary cross entropy on who likes an item, or to tell the item's place in the space
    of who likes what from those of its batch mates (InfoNCE, van den Oord et al., 2018)."""
    users: int = Field(default=512, ge=1)
    """How many users, most of whom do not like it, each item of a batch is judged by."""
    folds: int = Field(default=3, ge=2, le=20)
    """Deep networks are trained so many times, each without a part of the items: what one says of items that it learned
    from is no measure of what it says of others. A new item is read by all of them."""
    items_per_batch: int = Field(default=64, ge=2)
    """Items in one step."""
    tower_power: float = Field(default=0.5, ge=0, le=1)
    """An item counts by its popularity to this power where a network's vectors are learned from content vectors: at 0 a
    new item is taken for one of the many that hardly anybody meets."""
    id_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the items that the networks of the sources, going on from their first form (which a ranker needs), meet
    at each step by their content alone (models/hybrid_encoder.py). It costs known items a little (docs/decisions/0007).
    """
    cold_share: float = Field(default=0.1, ge=0, le=1)
    """Share of the lists in which a ranker meets half the candidates, in training, as if nobody had met them before."""
    epochs: int = Field(default=12, ge=1, le=10_000)
    patience: int = Field(default=3, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0, le=1)
    warmup_steps: int = Field(default=20, ge=0)
    weight_decay: float = Field(default=0.05, ge=0, le=1)
    averaging: float = Field(default=0.9, ge=0, lt=1)

    @model_validator(mode="after")
    def _known_arguments(self) -> Self:
        if self.network:
            raise ValueError("network: there are several; give text_network or picture_network")
        if self.text != "none":
            check_network("text", self.text, self.text_network, TEXTS, {"vocabulary", "output"})
        elif self.text_network:
            raise ValueError("text_network: no network reads the text; set text = 'cnn', or leave it out")
        picture = {"picture_network": PictureNetwork}
        check_network("picture", "picture_network", self.picture_network, picture, {"channels", "output"})
        if strange := sorted(self.part_weights.keys() - set(PARTS)):
            raise ValueError(f"part_weights: there is no part {strange[0]!r}; there are {sorted(PARTS)}")
        return self
