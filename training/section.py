"""Section: a part of the config."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the config; unknown keys are an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
