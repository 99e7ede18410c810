"""The example, run as people run it, against a real service."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "examples" / "add_a_film.py"


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
