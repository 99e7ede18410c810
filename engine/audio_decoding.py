"""Audio: from a sound file of unknown origin to a log-mel spectrogram."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from engine.errors import DataError, UnsupportedError
from engine.feature_spec import AudioSpec

if TYPE_CHECKING:
    from soundfile import SoundFile

Floats = npt.NDArray[np.float32]
FORMATS = ("WAV", "WAVEX", "FLAC", "OGG", "MP3", "AIFF")
MARKS = re.compile(
    rb"RIF[FX]....WAVE|FORM....AIF[FC]|fLaC|OggS|ID3|\xff[\xe2-\xe5\xf2-\xf5\xfa-\xfd]",
    re.DOTALL,
)
"""How files of these formats begin.

An MP3 may begin with any of its frames: eleven bits that are set, a version, and layer II or III. Layer I, which nobody
uses, would let texts in UTF-16 pass: they begin with FF FE.
"""
MOST_CHANNELS = 8
MOST_RATE = 192_000
LEAST_WINDOW = 25.0


class SoundBytes(io.BytesIO):
    """Bytes as libsndfile reads them: damaged files make it seek before the beginning, whence no error can return."""

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move, to the beginning at the least."""
        return super().seek(max(offset, 0) if whence == io.SEEK_SET else offset, whence)


def log_mel(encoded: bytes, spec: AudioSpec) -> Floats:
    """Return the logarithms of the mel energies [M,T] of the first `spec.seconds`, silence where it is shorter.

    Raises DataError for what is no sound, UnsupportedError where the audio extra is not installed.
    """
    samples = decode_audio(encoded, spec.sample_rate, spec.seconds)
    padded = np.zeros(round(spec.sample_rate * spec.seconds), dtype=np.float32)
    padded[: len(samples)] = samples[: len(padded)]
    return _energies(padded, spec)


def check_audio(encoded: bytes) -> None:
    """Raise DataError unless it begins as a sound of a known format does and, with the audio extra, has one's head."""
    if not MARKS.match(encoded):
        raise DataError(f"the sound is in no known format; give one of {', '.join(FORMATS)}")
    with suppress(UnsupportedError), _opened(encoded):
        return


def decode_audio(encoded: bytes, sample_rate: int, seconds: float) -> Floats:
    """Return at most the first `seconds` as mono samples in -1..1 at the sample rate; raises DataError."""
    with _opened(encoded) as file:
        rate = file.samplerate
        samples = file.read(int(rate * seconds) + 1, dtype="float32", always_2d=True)
    # Files of floats may hold anything.
    mono = np.nan_to_num(samples, posinf=1.0, neginf=-1.0).clip(-1.0, 1.0).mean(axis=1)
    if not len(mono):
        raise DataError("the sound has no samples; give one that lasts")
    if rate != sample_rate:
        mono = _library("soxr").resample(mono, rate, sample_rate)
    return np.asarray(mono, dtype=np.float32)


@contextmanager
def _opened(encoded: bytes) -> Iterator[SoundFile]:
    soundfile = _library("soundfile")
    try:
        with soundfile.SoundFile(SoundBytes(encoded)) as file:
            _require_bounds(file)
            yield file
    except soundfile.SoundFileError as error:
        raise DataError(f"the sound cannot be decoded ({error}); give one of {', '.join(FORMATS)}") from error


def _require_bounds(file: SoundFile) -> None:
    if file.format not in FORMATS:
        raise DataError(f"the sound is {file.format}; give one of {', '.join(FORMATS)}")
    if not 1 <= file.channels <= MOST_CHANNELS or not 1_000 <= file.samplerate <= MOST_RATE:
        raise DataError(
            f"the sound has {file.channels} channels at {file.samplerate} Hz; give at most {MOST_CHANNELS} channels"
            f" at 1000 to {MOST_RATE} Hz"
        )


def _library(name: str) -> ModuleType:
    try:
        return import_module(name)
    except (ImportError, OSError) as error:  # soundfile raises OSError where libsndfile is missing
        raise UnsupportedError(f"sounds need {name}, which is missing; pip install 'liverec[audio]'") from error


def _energies(samples: Floats, spec: AudioSpec) -> Floats:
    # kaldi-native-fbank and not librosa: one small wheel without scipy, numba and scikit-learn.
    knf = _library("kaldi_native_fbank")
    shift = 1000.0 * spec.seconds / spec.frames
    options = knf.FbankOptions()
    options.frame_opts.samp_freq = spec.sample_rate
    options.frame_opts.frame_shift_ms = shift
    options.frame_opts.frame_length_ms = max(LEAST_WINDOW, 2 * shift)
    options.frame_opts.dither = 0.0
    options.frame_opts.snip_edges = False
    options.mel_opts.num_bins = spec.mels
    extractor = knf.OnlineFbank(options)
    extractor.accept_waveform(spec.sample_rate, samples)
    extractor.input_finished()
    frames = [extractor.get_frame(index) for index in range(min(spec.frames, extractor.num_frames_ready))]
    energies = np.zeros((spec.mels, spec.frames), dtype=np.float32)
    energies[:, : len(frames)] = np.stack(frames, axis=1)
    return energies
