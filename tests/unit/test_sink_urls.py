"""A sink's URL, right or wrong, is opened or refused at once, and never tells its password."""

from contextlib import closing, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import plugins
from models.errors import BadConfiguration, VigieError
from services import sinks
from services.settings import Settings
from services.subscription import subscription

SCHEMES = [name.replace("_", "-") for name in plugins.names(sinks)]
PLAIN = {"kafka": "#security=plaintext", "ngsi-ld": "#plain=yes"}


def opened(url):
    return closing(subscription(url, Settings(webhook_secret=None)).open())


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    "rest",
    [
        "127.0.0.1:99999/x",
        "127.0.0.1:port/x",
        "127.0.0.1:0/x",
        "127.0.0.1:-1/x",
        "user:secret@/x",
        f"{'h' * 64}.example/x",
        "broker..example/x",
        "user:secret/word@127.0.0.1/x",
        "user:secret%00@127.0.0.1/x",
        "/a%00b",
        "[::1/x",
    ],
)
def test_what_no_server_and_no_file_can_be_called_is_refused_without_the_password(scheme, rest):
    with (
        pytest.raises(BadConfiguration) as error,
        opened(f"{scheme}://{rest}{PLAIN.get(scheme, '')}"),
    ):
        pass
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("scheme", ["https", "ngsi-ld"])
def test_a_user_whom_http_cannot_name_is_refused(scheme):
    with (
        pytest.raises(BadConfiguration, match="user or password"),
        opened(f"{scheme}://%E2%82%AC:x@h/"),
    ):
        pass


_PARTS = st.text("aB0é€%:@[]/?#.,-_ \x00+\n", max_size=12) | st.text(max_size=6)


@given(st.sampled_from(SCHEMES), st.lists(_PARTS, max_size=4), st.booleans())
def test_no_foreign_error_escapes_from_a_url(scheme, parts, here):
    url = f"{scheme}://{'127.0.0.1' if here else ''}{''.join(parts)}{PLAIN.get(scheme, '')}"
    with suppress(VigieError), opened(url):
        pass
