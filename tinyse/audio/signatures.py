"""How files begin whose bytes, taken for raw samples, would be noise at full scale."""

from __future__ import annotations

from io import BufferedIOBase

START_BYTES = 12
"""What is enough to know all files but those that are frames alone."""
FILES = {
    b"fLaC": "FLAC",
    b"OggS": "Ogg",
    b"ID3": "MP3",
    b"FORM": "AIFF",
    b"RIFX": "big-endian wav",
    b"riff": "W64",
    b"caff": "CAF",
    b".snd": "AU",
    b"\x1aE\xdf\xa3": "Matroska or WebM",
    b"0&\xb2u": "WMA",
    b"#!AMR": "AMR",
    b"wvpk": "WavPack",
    b"TTA1": "True Audio",
    b"MAC ": "Monkey's Audio",
    b"ADIF": "AAC",
    b"FLV\x01": "FLV",
    b"Creative Voi": "VOC",
    b"NIST_1A": "SPHERE",
    b"DSD ": "DSF",
    b"FRM8": "DSDIFF",
}
ATOMS = (b"ftyp", b"moov", b"mdat", b"wide")
"""The second four bytes of MP4 and QuickTime."""
MP3_FRAMES = (b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf2", b"\xff\xe3", b"\xff\xe2")
"""How an MP3 without tags begins: with frames of layer III, the first of which holds zeros. Raw sound of 16 bits that begins
so would have to be silent from its third sample on."""
MPEG_KBPS = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Bit rates by the version (2.5 has those of 2) and the layer; their numbers in a header begin with 1."""
MPEG_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
"""Sample rates by the two bits of the version."""


def other_file(stream: BufferedIOBase) -> tuple[str | None, bytes]:
    """What kind of sound file a stream is, None where it may be raw sound or a wav, and what of it was read.

    A stream that begins like a frame of MPEG audio or AAC is read up to the next one, which raw samples do not have.
    """
    start = stream.read(START_BYTES)
    if start[:4] == b"RIFF" and len(start) == START_BYTES and start[8:] != b"WAVE":
        return f"RIFF {start[8:].decode('ascii', 'backslashreplace').strip()}", start
    if start[4:8] in ATOMS:
        return "MP4", start
    if len(start) == START_BYTES and start.startswith(MP3_FRAMES) and not any(start[4:]):
        return "MP3", start
    if (kind := next((kind for beginning, kind in FILES.items() if start.startswith(beginning)), None)) is not None:
        return kind, start
    return _frames(stream, start)


def _frames(stream: BufferedIOBase, start: bytes) -> tuple[str | None, bytes]:
    """MPEG audio or AAC where a frame is followed by another of its kind, or by the end."""
    frame = _mpeg_bytes(start) or _adts_bytes(start)
    if not frame:
        return None, start
    start += stream.read(max(frame + 3 - len(start), 0))
    following = start[frame : frame + 3]
    if len(start) == frame or (len(following) == 3 and _kind(following) == _kind(start)):
        return "MPEG audio" if _mpeg_bytes(start) else "AAC", start
    return None, start


def _kind(header: bytes) -> tuple[bytes, int]:
    """What the frames of a file have in common: all up to the bit rate or profile, and the sample rate."""
    return header[:2], header[2] & 0x0C


def _mpeg_bytes(header: bytes) -> int:
    """The length of the frame of MPEG audio (MP3) with this header; 0 for none, and for one of a free bit rate."""
    if len(header) < 4 or header[0] != 0xFF or header[1] < 0xE0:
        return 0
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    number, rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer == 4 or not 0 < number < 15 or rate == 3:
        return 0
    per_second = 1000 * MPEG_KBPS[1 if version == 3 else 2, layer][number - 1] / MPEG_RATES[version][rate]
    if layer == 1:
        return 4 * (int(12 * per_second) + padding)
    return int((72 if layer == 3 and version != 3 else 144) * per_second) + padding


def _adts_bytes(header: bytes) -> int:
    """The length of the frame of AAC in ADTS with this header; 0 for none."""
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or header[2] >> 2 & 15 > 12:
        return 0
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return length if length > 7 else 0
