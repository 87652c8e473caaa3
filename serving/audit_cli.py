"""`vigie audit` and `vigie quarantine`: what was done, and what was set aside."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from models.errors import BadConfiguration
from services.settings import Settings
from serving.terminal import Json, out, say, table_of

audit = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="""Verify or export the audit: one sealed entry an image, chained.

    vigie audit verify
    """,
)
quarantine = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="""List what was set aside, open it, make the key that opens it.

    vigie quarantine list
    """,
)


@audit.command("verify")
def verify_audit(
    file: Annotated[
        Path | None, typer.Argument(help="Exported audit or journal; else the catalog's.")
    ] = None,
    head: Annotated[
        str | None, typer.Option(help="Hash noted earlier: proves that nothing was cut off since.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check that no entry was changed, added or dropped; note the head that it prints.

    The seals are checked where this installation's secret is at hand.

        vigie audit verify

        vigie audit verify audit.jsonl --head "$(cat noted-head.txt)"
    """
    from services.audit import read_links, verify  # noqa: PLC0415
    from services.catalog import Catalog  # noqa: PLC0415

    settings = Settings()
    links = read_links(file) if file else Catalog(settings.catalog_url).audit()
    # One drawn now would fit no seal.
    key = settings.key("audit") if settings.has_secret else None
    verdict = verify(links, key, head)
    facts = {
        "entries": verdict.entries,
        "head": verdict.head,
        "seals_checked": verdict.seals_checked,
        "missing": dict(verdict.missing),
    }
    seals = "seals checked" if verdict.seals_checked else "seals not checked: the secret is absent"
    cut_off = "".join(
        f"\n{number} images of batch {batch} have no entry, though some may be published: it runs, "
        f"or was cut off. Next: {'do them again' if file else f'vigie run {batch}'}"
        for batch, number in verdict.missing.items()
    )
    told = f"intact: {verdict.entries} entries, {seals}\nhead: {verdict.head}{cut_off}"
    say(facts, as_json, told)


@audit.command("export")
def export_audit(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write.")] = None,
) -> None:
    """Write the audit as JSON lines, on standard output or into a file.

    vigie audit export -o audit.jsonl
    """
    from services.audit import line_of  # noqa: PLC0415
    from services.catalog import Catalog  # noqa: PLC0415

    lines = (line_of(link) for link in Catalog(Settings().catalog_url).audit())
    if output is None:
        sys.stdout.writelines(lines)
        return
    try:
        with output.open("w") as file:
            file.writelines(lines)
    except OSError as error:
        raise BadConfiguration(f"cannot write {output}: {error.strerror}") from error


@quarantine.command("list")
def list_quarantine(as_json: Json = False) -> None:
    """List the originals set aside: key, reason, size, and whether they are sealed.

    vigie quarantine list
    """
    table = table_of("key", "reason", "bytes", "sealed")
    for row in _quarantined():
        if as_json:
            say(row, True, "")
        else:
            sealed = "yes" if row["sealed"] else "no"
            table.add_row(row["key"], row["reason"], str(row["size_bytes"]), sealed)
    if not as_json:
        out.print(table)


def _quarantined() -> Iterator[dict[str, Any]]:
    from services.seal import SUFFIX  # noqa: PLC0415
    from services.storage import Store  # noqa: PLC0415

    store = Store.connect(Settings())
    for listed in store.list("quarantine"):
        info = store.head("quarantine", listed.key)  # listings carry no metadata
        yield {
            "key": info.key,
            "reason": info.metadata.get("reason", ""),
            "size_bytes": info.size_bytes,
            "sealed": info.key.endswith(SUFFIX),
        }


@quarantine.command("open")
def open_quarantine(
    key: Annotated[str, typer.Argument(help="Key as `vigie quarantine list` shows it.")],
    target: Annotated[Path, typer.Argument(help="File to write; it must not exist.")],
    identity: Annotated[
        Path | None, typer.Option(help="age identity file, for what is sealed.")
    ] = None,
) -> None:
    """Write one original that was set aside into a file of your own (mode 0600).

    vigie quarantine open 6f0c/cam-01/a.jpg.age a.jpg --identity admin.key
    """
    from services.seal import SUFFIX, unsealed, write_private  # noqa: PLC0415
    from services.storage import Store  # noqa: PLC0415

    data, _ = Store.connect(Settings()).get("quarantine", key)
    if not data:
        raise BadConfiguration(f"{key} is a marker: its original is, or was, in the inbox only")
    if key.endswith(SUFFIX):
        if identity is None:
            raise BadConfiguration(f"{key} is sealed: give --identity FILE")
        data = unsealed(data, identity)
    write_private(target, data)
    out.print(f"original: {target}", highlight=False, soft_wrap=True)


@quarantine.command("keygen")
def make_quarantine_key(
    file: Annotated[Path, typer.Argument(help="Identity file to write; keep it off this machine.")],
) -> None:
    """Make an age identity, and print the public key for VIGIE_QUARANTINE_RECIPIENT.

    vigie quarantine keygen admin.key
    """
    from services.seal import new_identity  # noqa: PLC0415

    sys.stdout.write(new_identity(file) + "\n")
