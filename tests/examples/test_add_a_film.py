"""The example, run as people run it, against a real service."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import polars as pl
import pytest
from tiny import TINY
from worlds import checkerboard

from training.config import TrainingConfig
from training.dataset import Dataset
from training.pipeline import Pipeline
from training.preparation import Preparation

SCRIPT = Path(__file__).parents[2] / "examples" / "add_a_film.py"
FILMS = 48
CONTENT = {"model": "hybrid", "width": 4, "epochs": 2, "fields": {"image": True}}
START_SECONDS = 40.0


@pytest.fixture(scope="module")
def hybrid_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Who likes one western likes them all, and nobody likes westerns and musicals."""
    events = checkerboard(users=90, items=FILMS)
    ids = events["item_id"].unique().sort()
    number = pl.col("item_id").str.strip_prefix("item ").cast(pl.Int64)
    category = pl.when(number % 2 == 0).then(pl.lit("Western")).otherwise(pl.lit("Musical"))
    films = pl.DataFrame({"item_id": ids}).with_columns(
        title=category + pl.lit(" ") + pl.col("item_id"), categories=pl.concat_list(category), year=pl.lit(1990)
    )
    config = TrainingConfig.model_validate({**TINY, "content": CONTENT, "report": False})
    folder = tmp_path_factory.mktemp("films") / "b"
    dataset = Dataset("films", {"all": events.lazy()}, films.lazy())
    Pipeline(Preparation.of(dataset, config), config, print).run(folder)
    return folder


@pytest.fixture(scope="module")
def url(hybrid_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    environment["LIVEREC_VAR"] = str(tmp_path_factory.mktemp("v"))
    command = [sys.executable, "-m", "liverec", "serve", "--bundle", str(hybrid_bundle), "--port", port]
    with subprocess.Popen(command, env=environment, cwd=SCRIPT.parents[1]) as process:
        try:
            _wait(f"http://127.0.0.1:{port}", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None
        try:
            if httpx.get(f"{address}/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError("the service did not become ready")


def added(url: str, category: str, liked: range) -> str:
    command = [sys.executable, str(SCRIPT), "--url", url, "--title", f"{category} at night", "--category", category]
    command += ["--year", "1990", "--liked", *(f"item {film}" for film in liked)]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def rank_in(said: str) -> int:
    found = re.search(r"after \d+ ms: rank (\d+), by content", said)
    assert found, said
    return int(found[1])


def test_the_right_user_sees_the_new_film_at_once(url: str) -> None:
    said = added(url, "Musical", range(1, 13, 2))
    assert re.match(r"before: film-\w+ is not among \d+ films\n", said)
    assert rank_in(said) < rank_in(added(url, "Western", range(1, 13, 2)))


def test_films_of_its_kind_are_similar(url: str) -> None:
    said = added(url, "Western", range(0, 12, 2))
    similar = said.splitlines()[-1].removeprefix("similar: ").split("; ")
    assert [title.split()[0] for title in similar] == ["Western"] * 5


def test_what_the_service_has_against_a_call_is_shown(url: str) -> None:
    command = [sys.executable, str(SCRIPT), "--url", url, "--year", "1000000"]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 1
    assert "year" in finished.stderr
