import hashlib
import hmac
import json
import multiprocessing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from models.errors import CatalogError
from models.plan import plan_of
from models.redaction import Region
from services.audit import (
    GENESIS,
    Journal,
    Link,
    Witness,
    line_of,
    linked,
    read_links,
    verify,
)
from services.outcome import Outcome, covered
from serving.cli import app

NOW = datetime(2026, 6, 12, 7, 40, tzinfo=UTC)
KEY = b"k" * 32
WITNESS = Witness("a.martin", "/territories/t/sites/s", KEY)
NAME = "jeanne-dupont/0612345678.jpg"


def outcome(number: int = 0) -> Outcome:
    heights_px = (5, 6, 11, 12, 23, 24, 47, 48, 500)
    return Outcome(
        key=f"{number}-{NAME}",
        work=f"{number:032x}",
        status="redacted",
        captured_at=NOW,
        processed_at=NOW,
        original=WITNESS.original(b"original"),
        redactor="faces+mosaic@0",
        thresholds={"face": 0.15},
        redacted_key="r.jpg",
        sha256="a" * 64,
        covered=covered(
            [
                *(Region((7, 1001, 47, 1001 + h), "face", 0.9) for h in heights_px),
                Region((0, 0, 64, 32), "plate", 0.9),
            ]
        ),
    )


def chain(length: int) -> list[Link]:
    links: list[Link] = []
    for number in range(length):
        entry = WITNESS.entry(outcome(number), "b1")
        links.append(linked(entry, links[-1] if links else None, KEY))
    return links


def changed(link: Link, **values: object) -> Link:
    return Link.model_validate(link.model_dump() | values)


def changed_line(line: str) -> str:
    return line.replace("redacted", "quarantined", 1)


def rehashed(link: Link, previous: str, **entry: object) -> Link:
    """A forged link whose hash is right, made by someone without the key."""
    body = link.entry | entry
    text = json.dumps(
        {"entry": body, "position": link.position}, sort_keys=True, separators=(",", ":")
    )
    digest = hashlib.sha256((previous + text).encode()).hexdigest()
    return changed(link, previous=previous, entry=body, hash=digest)


def test_an_entry_counts_by_label_and_height_and_holds_no_name_nor_position() -> None:
    entry = WITNESS.entry(outcome(), "b1")
    assert entry.covered == {
        "face": {"<6": 1, "6-11": 2, "12-23": 2, "24-47": 2, ">=48": 2},
        "plate": {"24-47": 1},
    }
    assert (entry.outcome, entry.reason, entry.redacted_sha256) == ("redacted", None, "a" * 64)
    assert (entry.operator, entry.batch, entry.time) == ("a.martin", "b1", NOW)
    text = line_of(chain(1)[0])
    for secret in ("dupont", "0612345678", "1001", hashlib.sha256(b"original").hexdigest()):
        assert secret not in text


def test_what_is_covered_is_counted_by_the_height_of_what_was_found() -> None:
    small, tall = Region((40, 40, 48, 48), "face", 0.9), Region((80, 40, 90, 70), "face", 0.9)
    plan = plan_of((136, 200), [small], (), "mosaic")
    assert plan.regions[0].box[3] - plan.regions[0].box[1] >= 16
    assert covered(plan.widened([tall]).regions) == {"face": {"6-11": 1, "24-47": 1}}


def test_objects_and_originals_are_confirmed_with_the_key_alone() -> None:
    entry = WITNESS.entry(outcome())
    digest = hashlib.sha256(b"original").digest()
    assert entry.original == hmac.new(KEY, b"original\0" + digest, hashlib.sha256).hexdigest()
    assert entry.original == Witness("b", "/s", KEY).original(b"original")
    assert entry.original != Witness("b", "/s", b"K" * 32).original(b"original")
    assert entry.object != WITNESS.entry(outcome(1)).object
    assert WITNESS.original(b"") == ""
    assert KEY.decode() not in repr(WITNESS)


def test_a_picture_cannot_be_made_to_give_the_seal_of_a_forged_entry() -> None:
    (link,) = chain(1)
    body = {"entry": link.entry | {"operator": "nobody"}, "position": 1}
    picture = (GENESIS + json.dumps(body, sort_keys=True, separators=(",", ":"))).encode()
    forged = changed(
        link,
        entry=body["entry"],
        hash=hashlib.sha256(picture).hexdigest(),
        seal=WITNESS.original(picture),
    )
    verify([forged])
    with pytest.raises(CatalogError, match="entry 1"):
        verify([forged], KEY)


def test_a_stranger_can_check_the_hashes_from_the_description_alone() -> None:
    previous = GENESIS
    for number, line in enumerate(map(line_of, chain(3)), 1):
        link = json.loads(line)
        body = {"entry": link["entry"], "position": number}
        text = previous + json.dumps(body, sort_keys=True, separators=(",", ":"))
        previous = hashlib.sha256(text.encode()).hexdigest()
        assert link["hash"] == previous


@pytest.mark.parametrize("key", [None, KEY])
def test_an_intact_chain_tells_its_length_and_head(key: bytes | None) -> None:
    links = chain(4)
    verdict = verify(links, key, head=links[1].hash)
    assert (verdict.entries, verdict.head) == (4, links[-1].hash)
    assert verdict.seals_checked is (key is not None)
    assert verify([], key, head=GENESIS).head == GENESIS


@given(data=st.data())
def test_any_change_is_found_at_its_first_position(data: st.DataObject) -> None:
    links = chain(5)
    at = data.draw(st.integers(0, 4))
    link = links[at]
    name = data.draw(st.sampled_from([*sorted(link.entry), "position", "previous", "hash", "seal"]))
    if name in link.entry:
        value = data.draw(st.one_of(st.text(), st.integers(), st.floats(), st.none()))
        if link.entry[name] == value:
            return
        links[at] = changed(link, entry=link.entry | {name: value})
    elif name == "position":
        links[at] = changed(link, position=data.draw(st.integers().filter(lambda n: n != at + 1)))
    else:
        text = data.draw(st.text().filter(lambda t: t != getattr(link, name)))
        links[at] = changed(link, **{name: text})
    with pytest.raises(CatalogError, match=rf"entry {at + 1}\b"):
        verify(links, KEY)
    if name != "seal":
        with pytest.raises(CatalogError, match=rf"entry {at + 1}\b"):
            verify(links)


@given(at=st.integers(0, 4), other=st.integers(0, 4))
def test_entries_dropped_repeated_or_swapped_are_found(at: int, other: int) -> None:
    links = chain(6)
    with pytest.raises(CatalogError, match=rf"entry {at + 1}\b"):
        verify(links[:at] + links[at + 1 :])
    with pytest.raises(CatalogError, match=rf"entry {at + 2}\b"):
        verify([*links[: at + 1], links[at], *links[at + 1 :]])
    if at != other:
        links[at], links[other] = links[other], links[at]
        with pytest.raises(CatalogError, match=rf"entry {min(at, other) + 1}\b"):
            verify(links)


def test_a_chain_rewritten_from_one_entry_on_fails_for_who_holds_the_key_or_the_head() -> None:
    links = chain(4)
    noted = links[-1].hash
    forged = links[:1]
    for link in links[1:]:
        forged.append(rehashed(link, forged[-1].hash, operator="nobody"))
    verify(forged)  # hashes alone cannot tell
    with pytest.raises(CatalogError, match="entry 2 does not bear"):
        verify(forged, KEY)
    with pytest.raises(CatalogError, match="noted head"):
        verify(forged, head=noted)
    stranger = Witness("a.martin", "/s", b"x" * 32)
    with pytest.raises(CatalogError, match="entry 1 does not bear"):
        verify(links, stranger.key)


def test_entries_cut_off_the_end_are_found_by_the_noted_head() -> None:
    links = chain(4)
    verify(links[:3], KEY)
    with pytest.raises(CatalogError, match=r"entry 4 is missing: the noted head"):
        verify(links[:3], KEY, links[-1].hash)
    with pytest.raises(CatalogError, match="entry 1 is missing"):
        verify([], KEY, links[0].hash)


def test_a_journal_is_the_same_chain_in_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for number in range(3):
        Journal(path, KEY).append(WITNESS.entry(outcome(number), "b1"))
    assert list(read_links(path)) == chain(3)
    assert path.read_text() == "".join(map(line_of, chain(3)))
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_line_torn_by_a_power_cut_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    journal = Journal(path, KEY)
    for torn in ("", line_of(chain(1)[0])[:40], "{"):
        path.write_text(torn)
        journal.append(WITNESS.entry(outcome(), "b1"))
        assert list(read_links(path)) == chain(1)
        path.write_text(path.read_text() + line_of(chain(2)[1])[:-1])
        journal.append(WITNESS.entry(outcome(1), "b1"))
        assert list(read_links(path)) == chain(2)


@pytest.mark.parametrize("left", [1, 40, -2, -1])
def test_an_unfinished_last_entry_is_told_and_replaced(tmp_path: Path, left: int) -> None:
    """Even where all but its end of line is there: whoever noted its hash would miss it later."""
    path, links = tmp_path / "audit.jsonl", chain(3)
    lines = [line_of(link) for link in links]
    path.write_text("".join(lines[:2]) + lines[2][:left])
    stranger = {"VIGIE_STATE_DIR": str(tmp_path / "state"), "VIGIE_SECRET": None}
    done = CliRunner().invoke(app, ["audit", "verify", str(path)], env=stranger)
    assert isinstance(done.exception, CatalogError)
    assert done.exception.exit_code == 74
    assert "line 3, audit entry 3, is unfinished" in str(done.exception)
    path.write_text("".join([changed_line(lines[0]), lines[1]]) + lines[2][:left])
    with pytest.raises(CatalogError, match="entry 1 was changed"):
        verify(read_links(path))
    path.write_text("".join(lines[:2]) + lines[2][:left])
    Journal(path, KEY).append(WITNESS.entry(outcome(2), "b1"))
    assert path.read_text() == "".join(lines)


@pytest.mark.parametrize(
    "line", ["{}\n", "\n", "notes", "x" * 100_000 + "\n", "\xff\n", '{"position": ' + "x" * 100_000]
)
def test_a_journal_is_not_continued_after_what_is_no_entry(tmp_path: Path, line: str) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_text(line_of(chain(1)[0]) + line, encoding="latin-1")
    before = path.read_bytes()
    with pytest.raises(CatalogError, match="is no entry"):
        list(read_links(path))
    with pytest.raises(CatalogError, match="is no entry"):
        Journal(path, KEY).append(WITNESS.entry(outcome(1)))
    assert path.read_bytes() == before


def test_an_unreadable_journal_is_one_line(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.jsonl", tmp_path):
        with pytest.raises(CatalogError, match=r"audit .*: (No such file|Is a directory)"):
            list(read_links(path))
    with pytest.raises(CatalogError, match="audit"):
        Journal(tmp_path, KEY).append(WITNESS.entry(outcome()))


def _append_thirty(path: Path) -> None:
    journal = Journal(path, KEY)
    for number in range(30):
        journal.append(WITNESS.entry(outcome(number)))


def test_processes_append_to_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_append_thirty, args=(path,)) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert verify(read_links(path), KEY).entries == 90
