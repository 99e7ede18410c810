"""Resolution: `python -m supply.resolution` makes the locks of both images anew from pyproject.toml (`make lock`)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.requirements import Requirement

from supply.lock import Lock

PYTHON = "3.11"
"""Of the base image in the Dockerfile."""
PLATFORMS = ("x86_64-manylinux_2_28", "aarch64-manylinux_2_28")
UV = Path(sys.executable).parent / "uv"
PACKAGE_INDEX = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple")
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
GPU_ONLY = re.compile(r"torch|triton|(nvidia|cuda)-.*")
"""What torch of the package index needs and its CPU build does not."""


class Resolution:
    """Runs uv; versions that are locked stay as long as pyproject.toml allows them, unless told to `upgrade`."""

    def __init__(self, folder: Path, upgrade: bool = False) -> None:
        self._folder = folder
        self._upgrade = upgrade

    def run(self) -> None:
        """Write all locks; raises RuntimeError if two machines would need two, or if the CPU index is out of reach."""
        torch = _torch()
        service, gpu = self._folder / "service.txt", self._folder / "torch.txt"
        self._lock("build", "-", given="pip\nsetuptools\n")
        self._lock("service", "pyproject.toml", "--extra=audio")
        self._lock("torch", "-", f"--constraints={service}", given=f"{torch}\n")
        of_gpu = [name for name in Lock.read(gpu).pins if GPU_ONLY.fullmatch(name)]
        same = [f"--constraints={service}", f"--constraints={gpu}"]
        without = [f"--no-emit-package={name}" for name in of_gpu]
        self._lock("trainer", "pyproject.toml", "--extra=audio", "--extra=train", *same, *without)
        self._lock("torch", "-", *(f"--no-emit-package={name}" for name in self._beside(of_gpu)), given=f"{torch}\n")
        self._lock_cpu_build(torch)

    def _beside(self, of_gpu: list[str]) -> set[str]:
        return Lock.read(self._folder / "torch.txt").pins.keys() - set(of_gpu)

    def _lock(self, name: str, source: str, *options: str, given: str = "") -> None:
        target = self._folder / f"{name}.txt"
        self._compile(PLATFORMS[0], source, options, given, target)
        for platform in PLATFORMS[1:]:
            with TemporaryDirectory() as folder:
                other = Path(folder) / target.name
                other.write_bytes(target.read_bytes())
                self._compile(platform, source, options, given, other)
                if Lock.read(other) != Lock.read(target):
                    raise RuntimeError(f"{target} would differ on {platform}; give it a lock of its own")

    def _lock_cpu_build(self, torch: Requirement) -> None:
        target = self._folder / "torch-cpu.txt"
        index = os.environ.get("TORCH_INDEX_URL") or CPU_INDEX
        try:
            self._compile(PLATFORMS[0], "-", ("--no-deps",), f"{torch}\n", target, index)
        except subprocess.CalledProcessError as error:
            # Its hashes stand on no other index; what is locked stays good for as long as the version does.
            if not target.exists() or not torch.specifier.contains(Lock.read(target).pins["torch"].version):
                raise RuntimeError(f"{index} cannot be read; set TORCH_INDEX_URL, or write {target} by hand") from error
            print(f"{index} cannot be read: {target} stays as it is", file=sys.stderr)

    def _compile(
        self, platform: str, source: str, options: tuple[str, ...], given: str, target: Path, index: str = PACKAGE_INDEX
    ) -> None:
        flags = ["--generate-hashes", "--python-version", PYTHON, "--python-platform", platform, "--quiet"]
        flags += ["--no-build", "--no-config", "--default-index", index, *(["--upgrade"] if self._upgrade else [])]
        command = [str(UV), "pip", "compile", source, *options, *flags, "--output-file", str(target)]
        environment = os.environ | {"UV_CUSTOM_COMPILE_COMMAND": "make lock"}
        subprocess.run(command, input=given, text=True, check=True, env=environment)  # nosec B603 # no shell


def _torch() -> Requirement:
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    return next(each for each in map(Requirement, project["optional-dependencies"]["train"]) if each.name == "torch")


if __name__ == "__main__":
    Resolution(Path("requirements"), upgrade="--upgrade" in sys.argv[1:]).run()
