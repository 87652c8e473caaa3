"""Open what the line is made of: locators, redactor, detectors, purposes."""

from collections.abc import Sequence
from typing import cast

from models import detectors as detector_plugins
from models import plugins
from models.personal import PersonalData
from models.redaction import Locator, Redactor
from services import purposes as purpose_plugins
from services.audit import Witness
from services.eyes import Eyes
from services.measured import Measured
from services.occupancy_site import KINDS
from services.pipeline import Line
from services.references import References
from services.seal import Seal
from services.settings import Settings
from services.sites import Redaction, Site
from services.storage import Store
from services.view import Purpose


def purposes_of(site: Site, names: Sequence[str]) -> dict[str, Purpose]:
    """The purpose plug-ins `names`.

    Raises:
        PurposeRefused: the site does not declare one of them.
    """
    for name in names:
        site.require_purpose(name)
    return {name: cast(Purpose, plugins.load(purpose_plugins, name)) for name in names}


def open_locators(settings: Settings) -> list[Locator]:
    """What finds personal data: one network for all of it.

    Raises:
        BadWeights: weights are missing or damaged.
    """
    return [PersonalData(cache=settings.cache, precision=settings.precision)]


def open_redactor(
    settings: Settings,
    redaction: Redaction | None = None,
    locators: Sequence[Locator] | None = None,
) -> Redactor:
    """The redactor that everything published goes through.

    Args:
        settings: where networks are kept, their arithmetic, and the secret that noise hangs on.
        redaction: what is covered and how; faces and plates when None.
        locators: what finds it; `open_locators`' when None.

    Raises:
        BadWeights: weights are missing or damaged.
        BadConfiguration: a label of `cover` that the weights do not find, or `lossless` without the
            package that it needs.
    """
    wanted = redaction or Redaction()
    return Redactor(
        open_locators(settings) if locators is None else locators,
        style=wanted.style,
        cover=wanted.cover,
        noise_key=settings.key("noise"),
        lossless=wanted.lossless,
    )


def covered_from_above(site: Site) -> Redaction:
    """What is covered in pictures from straight above that may show persons: persons, too.

    Unless the site file says what is covered, or the site counts persons.
    """
    said = site.redaction
    counted = {KINDS.get(asset.kind) for asset in site.assets if asset.purpose == "occupancy"}
    if "cover" in said.model_fields_set or "person" in counted:
        return said
    return said.model_copy(update={"cover": (*said.cover, "person")})


def open_eyes(
    detectors: Sequence[str],
    settings: Settings,
    redactor: Redactor | None = None,
    above: Redactor | None = None,
) -> Eyes:
    """Load the detectors named, and the redactor unless one is given.

    Args:
        detectors: plug-in names.
        settings: where networks are kept, and their arithmetic.
        redactor: what covers personal data; `open_redactor`'s when None.
        above: the same in pictures from straight above that may show persons.

    Raises:
        UnknownPlugin: no such detector.
        BadWeights: weights are missing or damaged.
    """
    cache, precision = settings.cache, settings.precision
    return Eyes(
        redactor or open_redactor(settings),
        {
            name: plugins.load(detector_plugins, name).load(cache=cache, precision=precision)
            for name in sorted(set(detectors))
        },
        above,
    )


def open_line(store: Store, site: Site, purposes: Sequence[str], settings: Settings) -> Line:
    """The line of a site for some of its purposes.

    Raises:
        PurposeRefused: the site does not declare one of them.
        BadWeights: weights are missing or damaged.
        BadConfiguration: heights of a survey are not in the inbox.
        StorageError: the store fails.
    """
    wanted = purposes_of(site, purposes)
    detectors = [name for purpose in wanted.values() for name in purpose.DETECTORS]
    locators = open_locators(settings)
    redactor = open_redactor(settings, site.redaction, locators)
    more = covered_from_above(site)
    differs = site.surveys and more != site.redaction
    above = open_redactor(settings, more, locators) if differs else None
    eyes = open_eyes(detectors, settings, redactor, above)
    witness = Witness(settings.operator, site.source, settings.key("audit"))
    recipient = settings.quarantine_recipient
    seal = Seal(recipient) if recipient else None
    return Line(
        store, site, eyes, wanted, witness, seal, References(store, site), Measured(store, site)
    )
