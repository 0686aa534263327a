"""TensorBoard's file of a run: its records, whole by their checksums, are the history."""

import struct
from pathlib import Path

import pytest
from tensorboardX.crc32c import crc32c
from tensorboardX.proto.event_pb2 import Event

from training.events import write_events

HISTORY = [
    {"step": 0, "dev_loss": 4.0, "dev_nats_per_character": 1.2},
    {"step": 1, "loss": 3.5, "learning_rate": 1e-4, "tokens": 90, "seconds": 2.0, "tokens_per_second": 45.0},
    {"step": 2, "loss": 3.25, "learning_rate": 5e-5, "tokens": 180, "seconds": 4.0, "tokens_per_second": 45.0}
    | {"dev_loss": 3.0},
]


def masked(data: bytes) -> int:
    """The checksum of a TFRecord."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(file: Path) -> list[Event]:
    data, found = file.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        body = data[12 : 12 + length]
        assert struct.unpack("<I", data[8:12]) == (masked(data[:8]),)
        assert struct.unpack("<I", data[12 + length : 16 + length]) == (masked(body),)
        found.append(Event.FromString(body))
        data = data[16 + length :]
    return found


def test_the_curves_are_those_of_the_history(tmp_path: Path) -> None:
    write_events(HISTORY, "20261127T120000-0123abcd", tmp_path)
    (file,) = (tmp_path / "runs").iterdir()
    assert file.name == "events.out.tfevents.1795780800.20261127T120000-0123abcd"
    first, *rest = records(file)
    assert first.file_version == "brain.Event:2"
    drawn = {(event.summary.value[0].tag, event.step): event.summary.value[0].simple_value for event in rest}
    assert drawn[("train/loss", 2)] == 3.25
    assert drawn[("dev/loss", 0)] == 4.0
    assert drawn[("dev/nats_per_character", 0)] == pytest.approx(1.2)
    assert len(drawn) == 2 + 3 + 4
    assert {event.wall_time for event in rest if event.step == 2} == {1795780804.0}
