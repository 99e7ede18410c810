"""An archive has each event once, whatever is repeated, damaged or in the way."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from recorded import archived, row

from archive.archive import MOST_FILES_OF_DAY, Archive
from archive.archive_check import ArchiveCheck
from archive.archive_snapshot import ArchiveSnapshot
from archive.manifest import MANIFEST, ArchiveManifest, is_archive
from engine.errors import ConfigError, DataError

DAY_1, DAY_2 = "1795305600000", "1795392000000"  # 2026-11-22 and 2026-11-23, midnight in UTC
AFTER = date(2026, 11, 24)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    with Archive(tmp_path / "a", "", 4) as archive:
        yield archive


def log_ids(archive: Archive) -> list[str]:
    return sorted(archived(archive.folder)["log_id"])


def problems(archive: Archive) -> list[str]:
    with ArchiveSnapshot(archive.folder) as snapshot:
        return [example for finding in ArchiveCheck(snapshot, 60).findings() for example in finding.examples]


def test_events_are_filed_by_the_day_on_which_they_came(archive: Archive) -> None:
    archive.append([row(f"{DAY_2}-0"), row(f"{int(DAY_2) - 1}-9"), row(f"{DAY_1}-0", partition=3)])
    days = {file.day: (file.rows, file.first_id, file.last_id) for file in archive.manifest.files}
    assert days["2026-11-23"] == (1, f"{DAY_2}-0", f"{DAY_2}-0")
    assert days["2026-11-22"][0] == 2
    assert archive.manifest.offsets == {0: f"{DAY_2}-0", 3: f"{DAY_1}-0"}
    assert archived(archive.folder).height == 3
    assert problems(archive) == []


def test_what_was_archived_is_known_and_what_is_only_older_is_not(archive: Archive) -> None:
    there = [row(f"{DAY_2}-{number}") for number in (2, 10)]
    archive.append(there)
    late = row(f"{DAY_2}-3")
    # A store that was set back may give an id to another event.
    other = row(f"{DAY_2}-10", event_id="another")
    elsewhere = row(f"{DAY_2}-10", partition=1)
    assert archive.missing([*there, late, other, elsewhere]) == [late, other, elsewhere]
    archive.append([late])
    assert archive.manifest.offsets[0] == f"{DAY_2}-10", "an offset never goes back"
    assert archive.missing([late]) == []


def test_files_that_no_manifest_names_are_deleted(archive: Archive, tmp_path: Path) -> None:
    archive.append([row(f"{DAY_2}-0")])
    [name] = [file.name for file in archive.manifest.files]
    day = (archive.folder / name).parent
    for left in (day / "7.parquet", day / ".12.8.parquet", archive.folder / ".12.manifest.json"):
        left.write_bytes(b"half")
    (archive.folder / "events" / "day=2026-01-01").mkdir()
    archive._lock.close()
    with Archive(archive.folder, "", 4) as again:
        assert sorted(path.name for path in again.folder.iterdir()) == ["events", "lock", MANIFEST, "readers"]
        assert [path.name for path in (again.folder / "events").rglob("*.parquet")] == ["0.parquet"]
        assert not (again.folder / "events" / "day=2026-01-01").exists()
        assert log_ids(again) == [f"{DAY_2}-0"]


def test_who_reads_keeps_the_files(archive: Archive) -> None:
    for number in range(3):
        archive.append([row(f"{DAY_1}-{number}")])
    with ArchiveSnapshot(archive.folder) as snapshot:
        before = snapshot.scan()
        assert archive.compact(AFTER) == 3
        assert not archive.clean()
        assert before.collect().height == 3
    assert archive.clean()
    assert len(list(archive.folder.rglob("*.parquet"))) == 1


def test_days_that_are_over_become_one_file_and_today_only_when_there_are_many(archive: Archive) -> None:
    for number in range(MOST_FILES_OF_DAY + 1):
        archive.append([row(f"{DAY_2}-{number}")])
        if number < 2:
            archive.append([row(f"{DAY_1}-{number}")])
    assert archive.compact(date(2026, 11, 22)) == MOST_FILES_OF_DAY + 1
    assert archive.compact(date(2026, 11, 22)) == 0
    assert archive.compact(date(2026, 11, 23)) == 2
    assert archive.compact(AFTER) == 0
    assert len(archive.manifest.files) == 2
    assert len(log_ids(archive)) == MOST_FILES_OF_DAY + 3
    assert problems(archive) == []


def test_old_days_go(archive: Archive) -> None:
    archive.append([row(f"{DAY_1}-0"), row(f"{DAY_2}-0")])
    assert archive.keep(2, AFTER) == 0
    assert archive.keep(1, AFTER) == 1
    assert log_ids(archive) == [f"{DAY_2}-0"]
    assert archive.manifest.days_removed == "2026-11-22"
    archive.clean()
    assert len(list(archive.folder.rglob("*.parquet"))) == 1


def test_the_forgotten_leave_and_what_they_do_later_stays(archive: Archive) -> None:
    archive.append([row(f"{DAY_1}-{n}", user_id=user, version=n) for n in (1, 2, 3) for user in ("ann", "bob")])
    untouched = row(f"{DAY_2}-1", user_id="bob", version=4)
    archive.append([untouched])
    before = archive.manifest.files
    forgotten = {0: {"name of ann": 2, "name of eve": 9}}
    doomed = archive.doomed(forgotten, "name of {}".format)
    assert set(doomed["last_version"]) == {2}
    assert len(doomed) == 2
    assert archive.forget(forgotten, "name of {}".format) == 2
    left = archived(archive.folder).filter(user_id="ann")
    assert left["history_version"].to_list() == [3]
    assert archived(archive.folder).filter(user_id="bob").height == 4
    assert before[1] in archive.manifest.files, "files without such users stay as they are"
    assert archive.forget(forgotten, lambda _: pytest.fail("nobody is new")) == 0
    assert archive.forget({0: {"name of ann": 3}}, "name of {}".format) == 1
    assert problems(archive) == []


def test_a_file_of_which_all_are_forgotten_goes(archive: Archive) -> None:
    archive.append([row(f"{DAY_1}-1")])
    assert archive.forget({0: {"u": 1}}, str) == 1
    assert archive.manifest.files == ()
    archive.append([row(f"{DAY_1}-2", version=2)])
    assert log_ids(archive) == [f"{DAY_1}-2"]


def test_two_archivers_do_not_share_a_folder(archive: Archive) -> None:
    with pytest.raises(ConfigError, match="another archiver"):
        Archive(archive.folder, "", 4)


@pytest.mark.parametrize(
    ("tenant", "partitions", "words"), [("a", 4, "tenant 'a'"), ("", 8, "LIVEREC_PARTITIONS is 8")]
)
def test_a_folder_of_something_else_is_refused(archive: Archive, tenant: str, partitions: int, words: str) -> None:
    archive._lock.close()
    with pytest.raises(ConfigError, match=words):
        Archive(archive.folder, tenant, partitions)


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(ConfigError, match=r"holiday\.jpg"):
        Archive(tmp_path, "", 4)


@pytest.mark.parametrize("content", ["", "{}", '{"format": "liverec-archive/9", "tenant": "", "partitions": 4}'])
def test_a_damaged_manifest_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(DataError, match=r"manifest\.json"):
        ArchiveManifest.read(tmp_path)


def test_a_manifest_names_no_file_outside(tmp_path: Path) -> None:
    file = '{"name": "events/day=2026-11-23/../../../x.parquet", "day": "2026-11-23", "rows": 1, "bytes": 1,'
    file += f'"sha256": "{"0" * 64}", "first_id": "1-0", "last_id": "1-0"}}'
    (tmp_path / MANIFEST).write_text(
        f'{{"format": "liverec-archive/1", "tenant": "", "partitions": 4, "files": [{file}]}}'
    )
    with pytest.raises(DataError, match=r"files\.0\.name"):
        ArchiveManifest.read(tmp_path)


def test_an_archive_is_known_by_its_manifest(archive: Archive, tmp_path: Path) -> None:
    assert is_archive(archive.folder)
    assert not is_archive(tmp_path)
    (tmp_path / MANIFEST).write_bytes(b"\xff\x00")
    assert not is_archive(tmp_path)


def test_a_flipped_byte_a_missing_file_and_doubled_rows_are_found(archive: Archive) -> None:
    archive.append([row(f"{DAY_1}-1")])
    archive.append([row(f"{DAY_1}-1")])
    archive.append([row(f"{DAY_1}-2", event_id=f"e-{DAY_1}-1", version=2)])
    assert len(problems(archive)) == 2, "by its log id and by its event_id"
    assert "is there 2 times" in problems(archive)[0]
    paths = [archive.folder / file.name for file in archive.manifest.files]
    content = bytearray(paths[0].read_bytes())
    content[len(content) // 2] ^= 1
    paths[0].write_bytes(content)
    paths[1].unlink()
    first, second = problems(archive)
    assert "is not what was written" in first
    assert "is missing" in second


def test_an_offset_that_went_back_is_found(archive: Archive) -> None:
    archive.append([row(f"{DAY_1}-10"), row(f"{DAY_1}-0", partition=2)])
    archive.manifest.model_copy(update={"offsets": {0: f"{DAY_1}-9"}}).write(archive.folder)
    assert problems(archive) == [
        f"{DAY_1}-10 of partition 0 is beyond the offset",
        f"{DAY_1}-0 of partition 2 is beyond the offset",
    ]
