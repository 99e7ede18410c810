"""Sounds of any rate and length become spectrograms of one size."""

from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.audio_decoding import check_audio, decode_audio, log_mel
from engine.content_features import ContentFeatures
from engine.errors import DataError, UnsupportedError
from engine.feature_spec import AudioSpec, ContentSpec
from engine.item_content import ItemContent

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")
pytest.importorskip("kaldi_native_fbank")

SPEC = AudioSpec(seconds=2.56, frames=64, mels=32)
SILENCE = np.log(np.finfo(np.float32).eps)


def tone(hertz: float = 440.0, seconds: float = 3.0, rate: int = 16_000) -> np.ndarray[Any, np.dtype[np.float64]]:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


def encode(samples: Any, rate: int = 16_000, kind: str = "WAV", subtype: str | None = None) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def test_silence_is_the_floor() -> None:
    energies = log_mel(encode(np.zeros(16_000)), SPEC)
    assert energies.shape == (32, 64)
    assert energies.dtype == np.float32
    assert np.allclose(energies, SILENCE)


def test_a_higher_tone_lies_in_a_higher_band() -> None:
    bands = [log_mel(encode(tone(hertz)), SPEC).mean(axis=1).argmax() for hertz in (150, 600, 2_400, 6_000)]
    assert bands == sorted(set(bands))


def test_a_short_sound_is_followed_by_silence() -> None:
    short = log_mel(encode(tone(seconds=1.0)), SPEC)
    assert (short[:, :24].max(axis=0) > -2).all()
    assert np.allclose(short[:, 27:], SILENCE)
    padded = np.concatenate([tone(seconds=1.0), np.zeros(100_000)])
    assert short.tobytes() == log_mel(encode(padded), SPEC).tobytes()


def test_of_a_long_sound_the_beginning_is_read() -> None:
    long = np.concatenate([tone(seconds=2.56), tone(3_000, seconds=20)])
    assert log_mel(encode(long), SPEC).tobytes() == log_mel(encode(tone(seconds=2.56)), SPEC).tobytes()
    assert len(decode_audio(encode(long, 8_000), 16_000, 1.0)) == pytest.approx(16_000, abs=4)


def test_channels_are_mixed() -> None:
    both = np.stack([tone(), np.zeros(48_000)], axis=1)
    assert np.allclose(decode_audio(encode(both), 16_000, 3.0), tone() / 2, atol=1e-3)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_rates_are_resampled(rate: int) -> None:
    samples = decode_audio(encode(tone(rate=rate), rate), 16_000, 2.0)
    middle = slice(4_000, 28_000)
    assert np.allclose(samples[middle], tone()[middle], atol=2e-3)


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3", "AIFF"])
def test_every_kind_is_read(kind: str) -> None:
    energies = log_mel(encode(tone(), kind=kind), SPEC)
    assert energies[:, 5:60].max(axis=0).min() > 0


def test_floats_that_are_no_samples_do_no_harm() -> None:
    samples = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30] * 999, dtype=np.float32)
    assert np.isfinite(log_mel(encode(samples, subtype="FLOAT"), SPEC)).all()


@pytest.mark.parametrize(
    "encoded", [b"", b"no sound", b"RIFF\x00\x00\x00\x00WAVE", b"\xff\xfb\x90\x00", b"\x00" * 5_000]
)
def test_what_is_no_sound_is_refused(encoded: bytes) -> None:
    with pytest.raises(DataError, match=r"the sound .*; give"):
        log_mel(encoded, SPEC)


def test_other_kinds_are_refused() -> None:
    with pytest.raises(DataError, match="the sound is AU; give one of WAV"):
        log_mel(encode(tone(), kind="AU"), SPEC)
    with pytest.raises(DataError, match="16 channels at 16000 Hz; give at most 8"):
        log_mel(encode(np.zeros((100, 16))), SPEC)
    with pytest.raises(DataError, match="no samples"):
        log_mel(encode(np.zeros(0)), SPEC)


WHOLE = [encode(tone(seconds=0.2), kind=kind) for kind in ("WAV", "FLAC", "OGG", "MP3", "AIFF")]


@settings(max_examples=150, deadline=None)
@given(
    at=st.integers(0, 10_000), byte=st.integers(0, 255), length=st.integers(0, 10_000), kind=st.sampled_from(range(5))
)
def test_a_damaged_file_gives_samples_or_an_error(at: int, byte: int, length: int, kind: int) -> None:
    whole = WHOLE[kind]
    damaged = bytearray(whole[: length % len(whole) + 1])
    damaged[at % min(len(damaged), 200)] = byte
    try:
        samples = decode_audio(bytes(damaged), 16_000, 1.0)
    except DataError:
        return
    assert np.isfinite(samples).all()
    assert len(samples) <= 16_000 + 200


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(UnsupportedError, match=r"soundfile, which is missing; pip install 'liverec\[audio\]'"):
        log_mel(encode(tone()), SPEC)


def test_sounds_are_features() -> None:
    features = ContentFeatures(ContentSpec(audio=SPEC))
    items = [ItemContent(audio=encode(tone())), ItemContent(), ItemContent(audio=encode(np.zeros(99)))]
    arrays = features.arrays(items)
    assert arrays["audio"].shape == (3, *features.sizes["audio"]) == (3, 1, 32, 64)
    assert arrays["audio"].dtype == np.float32
    assert arrays["present"].tolist() == [[1], [0], [1]]
    assert not arrays["audio"][1].any()
    assert [features.has_content(item) for item in items] == [True, False, True]
    for row, item in enumerate(items):
        assert features.arrays([item])["audio"][0].tobytes() == arrays["audio"][row].tobytes()


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3", "AIFF"])
@pytest.mark.parametrize("has_library", [True, False])
def test_a_sound_is_known_by_how_it_begins(kind: str, has_library: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = encode(tone(), kind=kind)
    if not has_library:
        monkeypatch.setitem(sys.modules, "soundfile", None)
    check_audio(encoded)
    for other in (b"", b"no sound", b"\x89PNG", b" " + encoded):
        with pytest.raises(DataError, match="no known format; give one of WAV"):
            check_audio(other)


@pytest.mark.parametrize(
    "encoded",
    [
        encode(tone(), kind="RF64"),
        b"RIFF\x00\x00\x00\x00AVI LIST",
        b"RIFF\x00\x00\x00\x00WEBPVP8 ",
        b"FORM\x00\x00\x00\x00ILBMBMHD",
        "text".encode("utf-16"),
        b"\xff\xf9 reserved layer",
        b"\xff\xea reserved version",
    ],
)
def test_what_only_begins_alike_is_refused_without_the_library(encoded: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(DataError, match="no known format"):
        check_audio(encoded)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100])
def test_a_bare_frame_of_any_version_is_an_mp3(rate: int, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = encode(tone(rate=rate), rate, "MP3")
    frame = encoded[encoded.index(b"\xff") :]
    monkeypatch.setitem(sys.modules, "soundfile", None)
    check_audio(frame)


def test_a_head_that_promises_more_than_there_is_needs_the_library() -> None:
    with pytest.raises(DataError, match="cannot be decoded"):
        check_audio(b"fLaC and nothing")
