import multiprocessing
import os
import signal
import struct
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from hacore.daemon.node import create_snapshot
from hacore.model.archive import ArchiveIdentity, ArchiveState
from hacore.publish.picture import Figures, Sender, decode, encode
from hacore.publish.snapshot import SnapshotReader, SnapshotWriter
from tests.unit.api.samples import PRIMARY, STANDBY

SEQUENCE_AT = 0


@pytest.fixture
def fd() -> Iterator[int]:
    made = create_snapshot()
    yield made
    os.close(made)


def write_forever(fd: int) -> None:
    writer = SnapshotWriter(fd)
    number = 0
    while True:
        number += 1
        writer.write(replace(PRIMARY, reason="x" * (number % 5000), optime=number, location=number), written_at=1.0, lease_fence_at=2.0)


def test_a_picture_comes_out_as_it_went_in() -> None:
    sender = Sender(usename="r", application_name="b", client_addr=None, state="streaming", sync_state="async", sync_priority=0)
    figures = Figures(turns=3, rules=(("leading", "keep_leading", 3),), plugin_calls=(("p", "h", "ok", 1),))
    archive = ArchiveState(name="walg", identity=ArchiveIdentity.CONFLICT, owner="x", gaps=("1-2",), oldest_ready_s=1.5)
    full = replace(
        STANDBY,
        archive=archive,
        senders=(sender,),
        figures=figures,
        pending_restart=(("a", "1", "2"),),
        tags=(("x", True), ("y", 1)),
        unsupported=("z",),
        reinitialize=("i", None),
        reinitialized="h",
    )
    assert decode(encode(full)) == full


def test_a_picture_of_a_neighbouring_version_is_understood() -> None:
    text = encode(PRIMARY).replace(b'{"name"', b'{"new_in_the_next_version":[1],"name"')
    assert decode(text) == PRIMARY
    older = encode(PRIMARY).replace(b',"fence":"none"', b"").replace(b',"turns":0', b"")
    assert decode(older) == PRIMARY


def test_before_the_first_write_there_is_no_picture(fd: int) -> None:
    seen = SnapshotReader(fd).read()
    assert seen.picture is None
    assert not seen.holds_lease(0.0)
    assert not seen.is_fresh(0.0)


def test_a_reader_sees_the_newest_picture_and_its_instants(fd: int) -> None:
    writer, reader = SnapshotWriter(fd), SnapshotReader(fd)
    writer.write(PRIMARY, written_at=10.0, lease_fence_at=20.0)
    first = reader.read()
    writer.write(STANDBY, written_at=11.0, lease_fence_at=None)
    second = reader.read()
    assert (first.picture, first.written_at, first.lease_fence_at) == (PRIMARY, 10.0, 20.0)
    assert (second.picture, second.written_at, second.lease_fence_at) == (STANDBY, 11.0, 0.0)
    assert first.generation != second.generation


def test_a_renewal_moves_only_the_end_of_the_lease(fd: int) -> None:
    writer, reader = SnapshotWriter(fd), SnapshotReader(fd)
    writer.write(PRIMARY, written_at=10.0, lease_fence_at=20.0)
    before = reader.read()
    writer.renew(30.0)
    assert reader.read() == replace(before, lease_fence_at=30.0)
    writer.renew(None)
    assert not reader.read().holds_lease(0.0)


def test_a_picture_that_did_not_change_is_only_dated_anew(fd: int) -> None:
    writer, reader = SnapshotWriter(fd), SnapshotReader(fd)
    writer.write(PRIMARY, written_at=10.0, lease_fence_at=None)
    generation = reader.read().generation
    writer.write(PRIMARY, written_at=11.0, lease_fence_at=None)
    assert (reader.read().generation, reader.read().written_at) == (generation, 11.0)


def test_a_picture_is_fresh_for_ttl(fd: int) -> None:
    SnapshotWriter(fd).write(PRIMARY, written_at=10.0, lease_fence_at=None)
    seen = SnapshotReader(fd).read()
    assert seen.is_fresh(10.0 + PRIMARY.ttl_s - 0.1)
    assert not seen.is_fresh(10.0 + PRIMARY.ttl_s)


def test_the_picture_before_counts_while_a_writer_is_inside_of_one(fd: int) -> None:
    writer, reader = SnapshotWriter(fd), SnapshotReader(fd)
    writer.write(PRIMARY, written_at=10.0, lease_fence_at=None)
    assert reader.read().picture == PRIMARY
    sequence = struct.unpack("Q", os.pread(fd, 8, SEQUENCE_AT))[0]
    os.pwrite(fd, struct.pack("Q", sequence + 1), SEQUENCE_AT)
    os.pwrite(fd, b"half of a document", 64)
    assert reader.read().picture == PRIMARY
    assert SnapshotReader(fd).read().picture is None
    writer = SnapshotWriter(fd)
    writer.write(STANDBY, written_at=11.0, lease_fence_at=None)
    assert reader.read().picture == STANDBY


def test_a_torn_document_is_never_taken_for_a_whole_one(fd: int) -> None:
    SnapshotWriter(fd).write(PRIMARY, written_at=10.0, lease_fence_at=None)
    os.pwrite(fd, b"X", 70)
    assert SnapshotReader(fd).read().picture is None


def test_a_picture_that_is_too_large_is_shown_without_what_plugins_say(fd: int) -> None:
    writer, reader = SnapshotWriter(fd), SnapshotReader(fd)
    figures = Figures(turns=3, plugin_samples=(("p", "m", "x" * (1 << 20), (), 1.0),), plugin_words=(("p", "k", 1),))
    writer.write(replace(PRIMARY, figures=figures), written_at=11.0, lease_fence_at=20.0)
    seen = reader.read()
    assert seen.picture == replace(PRIMARY, figures=Figures(turns=3))
    assert (seen.written_at, seen.lease_fence_at) == (11.0, 20.0)


def test_of_a_picture_that_fits_in_no_way_the_one_before_stays_and_grows_old(fd: int) -> None:
    writer, reader = SnapshotWriter(fd), SnapshotReader(fd)
    writer.write(PRIMARY, written_at=10.0, lease_fence_at=None)
    writer.write(replace(PRIMARY, reason="x" * (1 << 20)), written_at=11.0, lease_fence_at=20.0)
    seen = reader.read()
    assert (seen.picture, seen.written_at, seen.lease_fence_at) == (PRIMARY, 10.0, 20.0)
    writer.write(STANDBY, written_at=12.0, lease_fence_at=None)
    assert reader.read().picture == STANDBY


def test_a_reader_sees_only_whole_pictures_also_when_the_writer_is_killed_again_and_again(fd: int) -> None:
    reader = SnapshotReader(fd)
    context = multiprocessing.get_context("fork")
    seen = set()
    for _ in range(8):
        writer = context.Process(target=write_forever, args=(fd,))
        writer.start()
        done = threading.Event()
        threading.Timer(0.05, done.set).start()
        while not done.is_set():
            picture = reader.read().picture
            if picture is not None:
                assert picture.location == picture.optime
                seen.add(picture.optime)
        os.kill(writer.pid or 0, signal.SIGKILL)
        writer.join()
    assert len(seen) > 8


def test_nobody_can_shorten_the_memory_under_a_reader(fd: int) -> None:
    with pytest.raises(PermissionError):
        os.ftruncate(fd, 0)
