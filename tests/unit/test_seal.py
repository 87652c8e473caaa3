import pyrage
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import BadConfiguration
from services.seal import Seal, new_identity, unsealed, write_private


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    """An identity file and the seal for it."""
    path = tmp_path_factory.mktemp("keys") / "admin.key"
    recipient = new_identity(path)
    return path, Seal(recipient)


@given(data=st.binary(min_size=1, max_size=4096))
def test_what_is_sealed_comes_back_for_the_identity_alone(identity, data):
    path, seal = identity
    key, sealed = seal.sealed("work/a.jpg", data)
    assert key == "work/a.jpg.age"
    assert unsealed(sealed, path) == data
    assert len(data) < 8 or data not in sealed
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(sealed, [pyrage.x25519.Identity.generate()])


def test_another_identity_or_a_changed_file_opens_nothing(identity, tmp_path):
    path, seal = identity
    _, sealed = seal.sealed("a", b"original" * 1000)
    new_identity(tmp_path / "other.key")
    with pytest.raises(BadConfiguration, match=r"other\.key does not open it"):
        unsealed(sealed, tmp_path / "other.key")
    for changed in (sealed[:-1], sealed[:-1] + bytes([sealed[-1] ^ 1]), b"", b"original"):
        with pytest.raises(BadConfiguration, match="does not open it"):
            unsealed(changed, path)


def test_nothing_is_sealed_as_nothing(identity):
    assert identity[1].sealed("a", b"") == ("a", b"")


@pytest.mark.parametrize("error", [pyrage.EncryptError("x"), MemoryError(), ValueError()])
def test_where_sealing_fails_nothing_is_left_open(identity, monkeypatch, error):
    def broken(*_):
        raise error

    monkeypatch.setattr("pyrage.encrypt", broken)
    assert identity[1].sealed("a", b"original") == ("a", b"")


def test_an_identity_file_is_private_and_never_overwritten(tmp_path):
    path = tmp_path / "admin.key"
    recipient = new_identity(path)
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_text()
    assert f"# public key: {recipient}\n" in before
    with pytest.raises(BadConfiguration, match="File exists"):
        new_identity(path)
    with pytest.raises(BadConfiguration, match="File exists"):
        write_private(path, b"")
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "holds no age identity"),
        (b"# a comment\n\n", "holds no age identity"),
        (b"age1xyz\n", "no age identity file"),
        (b"\xff\xfe", "no age identity file"),
        (None, "cannot read"),
    ],
)
def test_a_wrong_identity_file_is_named(identity, tmp_path, content, told):
    path = tmp_path / "wrong.key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadConfiguration, match=told):
        unsealed(identity[1].sealed("a", b"x")[1], path)


def test_what_is_no_public_key_is_refused_and_not_repeated():
    with pytest.raises(BadConfiguration, match="VIGIE_QUARANTINE_RECIPIENT") as caught:
        Seal("AGE-SECRET-KEY-1NOTTHISONE")
    assert "NOTTHISONE" not in str(caught.value)
