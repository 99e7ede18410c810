"""What `make sbom` writes: valid CycloneDX, the same each time, with every package of the image and its digests."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from supply.lock import Lock

ROOT = Path(__file__).parents[2]
IMAGES = {"service": ["service"], "trainer": ["trainer", "torch"], "trainer-cpu": ["trainer", "torch-cpu"]}


def written(folder: Path, images: Iterable[str] = IMAGES) -> dict[str, str]:
    """Run the target's own commands, those of these images, with another folder to write to."""
    # -o: as if everything were installed.
    dry = ["make", "--no-print-directory", "--dry-run", "-o", ".venv/.installed-dev", "sbom"]
    recipe = subprocess.run(dry, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    here = (
        recipe.replace("build/", f"{folder}/")
        .replace("mkdir -p build", "")
        .replace(".venv/bin", str(Path(sys.executable).parent))
    )
    lines = [line for line in here.splitlines() if any(f"/{image}.cdx.json" in line for image in images)]
    assert len(lines) == len(tuple(images))
    subprocess.run(["/bin/sh", "-ce", "\n".join(lines)], cwd=ROOT, capture_output=True, text=True, check=True)
    return {image: (folder / f"{image}.cdx.json").read_text(encoding="utf-8") for image in images}


@pytest.fixture(scope="module")
def bills(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return written(tmp_path_factory.mktemp("bills"))


def test_it_fits_the_schema(bills: dict[str, str]) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bills["service"]) is None


@pytest.mark.parametrize("image", IMAGES)
def test_it_holds_every_locked_package_once_with_its_digests(bills: dict[str, str], image: str) -> None:
    components = json.loads(bills[image])["components"]
    found = {
        each["name"]: (each["version"], sorted(one["content"] for one in each["externalReferences"][0]["hashes"]))
        for each in components
    }
    locked = {
        name: (pin.version, sorted(pin.hashes))
        for lock in IMAGES[image]
        for name, pin in Lock.read(ROOT / "requirements" / f"{lock}.txt").pins.items()
    }
    assert found == locked
    assert len(components) == len(locked)


def test_it_says_what_it_describes(bills: dict[str, str]) -> None:
    assert json.loads(bills["service"])["metadata"]["component"]["name"] == "liverec"


def test_it_is_the_same_each_time(bills: dict[str, str], tmp_path: Path) -> None:
    assert written(tmp_path, ["service"]) == {"service": bills["service"]}
