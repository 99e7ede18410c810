"""Who signed a bundle: a service that trusts some keys opens nothing else."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from engine.bundle import Bundle
from engine.bundle_folder import BundleFolder
from engine.bundle_key import BundleKey
from engine.bundle_layout import MANIFEST, SEAL, SIGNATURE
from engine.bundle_signature import BundleSignature
from engine.errors import BundleError, ConfigError


@pytest.fixture(scope="module")
def key() -> BundleKey:
    return BundleKey.generate()


@pytest.fixture
def copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_bundle, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture
def signed(copy: Path, key: BundleKey) -> Path:
    BundleFolder.sign(copy, key)
    return copy


def test_a_signed_bundle_opens_with_its_key_among_others_and_with_none(signed: Path, key: BundleKey) -> None:
    other = BundleKey.generate().public_key
    version = Bundle.open(signed).model_version
    assert Bundle.open(signed, [other, key.public_key]).model_version == version
    assert BundleFolder.open(signed).signed_by == key.public_key


def test_an_unsigned_bundle_is_refused_where_keys_are_set(copy: Path, key: BundleKey) -> None:
    assert BundleFolder.open(copy).signed_by is None
    with pytest.raises(BundleError, match=r"manifest\.sig is missing.*liverec bundle sign"):
        Bundle.open(copy, [key.public_key])


def test_the_key_of_someone_else_is_refused_by_name(signed: Path, key: BundleKey) -> None:
    with pytest.raises(BundleError, match=rf"manifest\.sig: it is by {key.public_key}, none of the trusted keys"):
        Bundle.open(signed, [BundleKey.generate().public_key])


def test_new_digests_do_not_make_an_old_signature_fit(signed: Path, key: BundleKey) -> None:
    manifest = signed / MANIFEST
    manifest.write_bytes(manifest.read_bytes().replace(b'"seed": ', b'"seed": 1'))
    (signed / SEAL).write_text(hashlib.sha256(manifest.read_bytes()).hexdigest())
    for keys in ([key.public_key], []):
        with pytest.raises(BundleError, match=r"manifest\.sig: it does not fit the manifest"):
            Bundle.open(signed, keys)
    (signed / SIGNATURE).unlink()
    Bundle.open(signed)


def test_the_signature_is_looked_at_before_the_manifest_is_believed(copy: Path, key: BundleKey) -> None:
    (copy / MANIFEST).write_bytes(b"no manifest at all")
    (copy / SEAL).write_text(hashlib.sha256(b"no manifest at all").hexdigest())
    with pytest.raises(BundleError, match=r"manifest\.sig"):
        Bundle.open(copy, [key.public_key])
    with pytest.raises(BundleError, match=r"manifest\.json"):
        Bundle.open(copy)


def test_what_was_signed_for_something_else_counts_for_nothing(copy: Path, key: BundleKey) -> None:
    bare = key._key.sign((copy / MANIFEST).read_bytes()).signature.hex()
    (copy / SIGNATURE).write_bytes(BundleSignature(key.public_key, bare).encode())
    with pytest.raises(BundleError, match=r"manifest\.sig: it does not fit"):
        Bundle.open(copy, [key.public_key])


@pytest.mark.parametrize(
    "content", [b"", b"x" * 300, b"ed25519 00 00\n", b"ed25519 " + b"0" * 64 + b" " + b"0" * 128 + b"\n"]
)
def test_what_is_no_signature_is_named(copy: Path, key: BundleKey, content: bytes) -> None:
    (copy / SIGNATURE).write_bytes(content)
    for keys in ([key.public_key], ["0" * 64], []):
        with pytest.raises(BundleError, match=r"manifest\.sig"):
            Bundle.open(copy, keys)


def test_a_damaged_bundle_is_not_signed(copy: Path, key: BundleKey) -> None:
    ids = copy / "item_ids.txt"
    ids.write_bytes(ids.read_bytes()[::-1])
    with pytest.raises(BundleError, match=r"item_ids\.txt is damaged"):
        BundleFolder.sign(copy, key)
    assert not (copy / SIGNATURE).exists()


def test_another_signature_takes_the_place_of_the_first(signed: Path, key: BundleKey) -> None:
    other = BundleKey.generate()
    (signed / SIGNATURE).write_bytes(b"broken")
    BundleFolder.sign(signed, other)
    Bundle.open(signed, [other.public_key])
    with pytest.raises(BundleError, match="none of the trusted keys"):
        Bundle.open(signed, [key.public_key])


def test_a_key_file_is_its_owner_s_alone_and_never_shown(tmp_path: Path) -> None:
    key, path = BundleKey.generate(), tmp_path / "keys" / "key"
    key.write(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert BundleKey.read(path).public_key == key.public_key
    with pytest.raises(ConfigError, match="exists"):
        BundleKey.generate().write(path)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        BundleKey.read(path)
    path.chmod(0o600)
    for content in ("secret words", "ab" * 31, "ab" * 33, "é" * 64):
        path.write_text(content)
        with pytest.raises(ConfigError, match="is no key") as refused:
            BundleKey.read(path)
        assert content not in str(refused.value)
        assert refused.value.__cause__ is None
    with pytest.raises(ConfigError, match="cannot be read"):
        BundleKey.read(tmp_path / "nowhere")
