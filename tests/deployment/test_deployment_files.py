"""What must hold for the Makefile, the hooks, the Dockerfile and docker-compose.yml, whoever edits them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from supply.lock import Lock

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
ONE_SHOT = "trainer"
ENDING = {"users", "operator", ONE_SHOT}
UNASKED = {"archiver"}
"""It answers nobody; it ends if it cannot go on."""

Mapping = dict[str, Any]


@pytest.fixture(scope="module")
def services() -> Mapping:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]


def run(*command: str | Path) -> str:
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def options(command: list[str]) -> dict[str, str]:
    return dict(zip(command[1::2], command[2::2], strict=True))


def dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    run(BIN / "hadolint", "Dockerfile")


def test_the_compose_file_fits_its_schema() -> None:
    run(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml")


def test_the_hooks_run_what_make_check_runs() -> None:
    # -o: as if everything were installed, so that only the checks are left.
    recipe = run("make", "--no-print-directory", "--dry-run", "-o", ".venv/.installed-dev", "check").splitlines()
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    assert [hook["entry"] for hook in hooks] == recipe


def test_make_says_each_target_in_a_line() -> None:
    lines = [line for line in run("make", "--no-print-directory").splitlines() if line.startswith("make ")]
    assert [line.split()[1] for line in lines] == ["demo", "test", "check", "bench", "format", "lock", "sbom", "clean"]


def test_make_refuses_an_old_python(tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    old.write_text(f"#!{sys.executable}\nimport sys\nsys.version_info = (3, 9, 1)\nexec(sys.argv[2])\n")
    old.chmod(0o755)
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "pyproject.toml").touch()
    command = ["make", f"PYTHON={old}", "demo"]
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert finished.returncode == 2
    assert f"liverec needs Python 3.11 or newer, and {old} is 3.9" in finished.stderr
    assert not (tmp_path / ".venv").exists()


def test_ci_runs_make_check_test() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert "make check test" in script.read_text(encoding="utf-8")


def test_the_store_is_reached_from_inside_only(services: Mapping) -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    assert "ports" not in services["redis"]
    assert services["redis"]["networks"] == ["store"]
    assert compose["networks"]["store"] == {"internal": True}


def test_the_store_writes_before_it_answers_and_never_evicts(services: Mapping) -> None:
    redis = services["redis"]
    given = options(redis["command"])
    assert given["--appendonly"] == "yes"
    assert given["--appendfsync"] == "always"
    assert given["--maxmemory-policy"] == "noeviction"
    assert any(volume.endswith(":/data") for volume in redis["volumes"])


def test_all_that_keeps_running_has_a_health_check_and_restarts(services: Mapping) -> None:
    for name, service in services.items():
        assert ("healthcheck" in service) == (name not in ENDING | UNASKED), name
        assert service["restart"] == ("no" if name in ENDING else "unless-stopped"), name


def test_the_service_has_the_health_check_of_its_image(services: Mapping) -> None:
    assert "test" not in services["service"]["healthcheck"]
    assert services["service"]["build"]["target"] == "service"
    assert "HEALTHCHECK" in dockerfile().partition("AS service")[2]


@pytest.mark.parametrize("name", ["users", "redis", "trainer", "service", "archiver", "operator"])
def test_every_container_is_limited_and_hardened(services: Mapping, name: str) -> None:
    service = services[name]
    assert {"memory", "pids"} <= service["deploy"]["resources"]["limits"].keys()
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert any(mount.startswith("/tmp") for mount in service["tmpfs"])


def test_images_of_others_are_pinned_to_a_patch_release(services: Mapping) -> None:
    release = services["redis"]["image"].rpartition(":")[2].partition("-")[0]
    assert len(release.split(".")) == 3
    assert all(part.isdecimal() for part in release.split("."))


def test_the_service_is_published_to_this_machine_only_unless_told(services: Mapping) -> None:
    assert services["service"]["ports"] == ["${LIVEREC_HOST:-127.0.0.1}:${LIVEREC_PORT:-8000}:8000"]


def test_the_service_starts_after_training_and_only_reads_bundles(services: Mapping) -> None:
    service = services["service"]
    assert service["depends_on"]["redis"] == {"condition": "service_healthy"}
    assert service["depends_on"][ONE_SHOT] == {"condition": "service_completed_successfully"}
    assert service["volumes"] == ["bundles:/bundles:ro", "service-url:/run/liverec:ro"]


def test_each_client_of_the_store_has_its_own_url_and_no_other(services: Mapping) -> None:
    for name in ("trainer", "service", "archiver", "operator"):
        assert [volume for volume in services[name]["volumes"] if "-url:" in volume] == [f"{name}-url:/run/liverec:ro"]
        assert services[name]["environment"]["LIVEREC_SECRETS"] == "/run/liverec"
        assert "REDIS_URL" not in services[name]["environment"]
    assert services["users"]["network_mode"] == "none"
    assert services["redis"]["depends_on"]["users"] == {"condition": "service_completed_successfully"}
    assert "users:/users:ro" in services["redis"]["volumes"]


def test_what_must_finish_something_is_given_the_time(services: Mapping) -> None:
    # The service drains for 10 s at most.
    assert all(
        int(services[name]["stop_grace_period"].removesuffix("s")) >= 20 for name in ("redis", "service", "archiver")
    )


@pytest.mark.parametrize("trained", [False, True])
def test_the_trainer_trains_once_and_loads_always(services: Mapping, tmp_path: Path, trained: bool) -> None:
    command = [part.replace("$$", "$").replace("/bundles", str(tmp_path)) for part in services[ONE_SHOT]["command"]]
    if trained:
        (tmp_path / "current").mkdir()
    fake = tmp_path / "liverec"
    fake.write_text('#!/bin/sh\necho "$#" "$@"\n')
    fake.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "TRAINING_FLAGS": "--set a=1"}
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    train = f"7 train --out {tmp_path}/current --cache /data --set a=1"
    load = "5 load --cache /data --set a=1"
    assert finished.stdout.splitlines() == ([load] if trained else [train, load])


@pytest.mark.parametrize("name", ["build-trainer", "build-service"])
def test_both_images_read_sounds(name: str) -> None:
    lock = f"requirements/{name.removeprefix('build-')}.txt"
    assert lock in dockerfile().partition(f"AS {name}")[2].partition("FROM")[0]
    assert {"soundfile", "soxr", "kaldi-native-fbank"} <= Lock.read(ROOT / lock).pins.keys()


def test_the_package_index_is_asked_for_what_is_locked_only() -> None:
    installs = re.findall(r"pip\S* (?:--python \S+ )?install ([^&]*)", dockerfile().replace("\\\n", " "))
    assert len(installs) >= 6
    assert all("--require-hashes" in install or "--no-index" in install for install in installs)
    assert all("--no-deps" in install for install in installs)


def test_the_default_image_is_the_service() -> None:
    stages = [line.split()[-1] for line in dockerfile().splitlines() if line.startswith("FROM ")]
    assert stages[-1] == "service"
    assert "trainer" in stages
