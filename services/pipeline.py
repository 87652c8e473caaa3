"""The line, once: read → decode → redact → detect → measure → write.

The batch path runs it in Ray actors; every other door runs it too, and none re-implements a step.
Whatever happens to one image, `Line.process` gives an `Outcome`: redacted, or quarantined with a
reason. Only a failing store raises, because then no image can be done.
"""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from models.detections import Detections
from models.detectors.vegetation import MAX_GSD_M
from models.errors import BadImage, NoSuchObject, ObjectExists, Reasoned, StorageError
from models.raster import Window
from models.redaction import RedactedFrame
from models.registration import MODEL as REGISTRATION
from services.audit import Witness
from services.events import work_key
from services.eyes import Eyes
from services.items import Item, shortened
from services.measured import Measured
from services.outcome import Outcome, Stages, Testimony, described
from services.references import References
from services.seal import Seal
from services.sites import Site
from services.storage import Store
from services.survey_map import surveying
from services.tiles import LIMITS, HeightSource, Taken, is_raster, open_raster, take
from services.view import Purpose, View

_NO_MAP = {"too_coarse", "block_too_large", "too_many_pixels", "unsupported_samples"}


@dataclass(frozen=True, slots=True)
class Line:
    """Everything it takes to process the images of one site.

    Attributes:
        store: where images come from and results go.
        site: whose they are.
        eyes: redactor and detectors.
        purposes: name → the declared purposes that the batch asks for.
        witness: who answers for what becomes of an image.
        seal: encrypts what goes into quarantine; None leaves it as it is.
        references: the known views of the site's cameras; None where nothing is compared.
    """

    store: Store
    site: Site
    eyes: Eyes
    purposes: Mapping[str, Purpose]
    witness: Witness
    seal: Seal | None = None
    references: References | None = None
    measured: Measured | None = None

    def work(self, item: Item) -> str:
        """The identity of doing this image with these models and this configuration."""
        return work_key(item.etag, self.models, self.site.digest, item.name)

    @property
    def models(self) -> tuple[str, ...]:
        """`name@digest` of all that decides what is said, a survey's own heights among it."""
        measured = self.measured.models.values() if self.measured else ()
        return (*self.eyes.models, *sorted({*measured, *self._own_models.values()}))

    @property
    def _own_models(self) -> dict[str, str]:
        """What purposes look with beside the detectors: name → `name@digest`."""
        own = (getattr(purpose, "MODELS", {}) for purpose in self.purposes.values())
        return {name: model for models in own for name, model in models.items()}

    def published(self, item: Item, suffix: str) -> str:
        """A key in the redacted bucket beside the picture's own name.

        The work in the key keeps what an older model published, and the evidence, valid.
        """
        name = item.key.rpartition(".")[0] or item.key
        place = "-{}-{}".format(*item.window) if item.window else ""
        return f"{shortened(name)}{place}.{self.work(item)[:8]}{suffix}"

    def process(self, item: Item) -> Outcome:
        """Take one image from the inbox to the redacted bucket and to observations.

        Raises:
            StorageError: the store is away, full or refuses: the image is not done.
        """
        stages = Stages()
        data, stored_at = b"", datetime.now(UTC)
        try:
            if item.window is not None:
                return self._window(item, item.window, stages)
            self._check_map(item)
            with stages.of("read"):
                data, info = self.store.get("inbox", item.key, LIMITS.max_bytes)
                stored_at = info.modified_at
                if info.etag != item.etag:
                    raise BadImage("changed_since_submission", "submit it again")
            seen = self.eyes.see(item.key, data, stored_at=stored_at, site=self.site, stages=stages)
            testimony = self.eyes.testimony(self.witness, data, seen[0].gsd_m)
            return self._tell(item, *seen, testimony, stages)
        except NoSuchObject:
            reason = "gone_since_submission"
        except StorageError:
            raise
        except Reasoned as error:
            reason = error.reason
        except Exception as error:  # noqa: BLE001 - one bad image never stops a batch
            reason = f"internal_error:{type(error).__name__}"
        return self.quarantine(item, reason, data, stored_at, stages)

    def _window(self, item: Item, window: Window, stages: Stages) -> Outcome:
        with stages.of("read"):
            original, taken = take(self.store, self.site, item.name, item.key, item.etag, window)
        testimony = self.eyes.testimony(self.witness, taken.digest, taken.gsd_m)
        if not taken.valid.any():  # a raster's outline is seldom a rectangle
            return Outcome(
                key=item.name,
                work=self.work(item),
                status="redacted",
                captured_at=original.captured_at,
                seconds=stages.seconds,
                **testimony,
            )
        seen = self.eyes.look(original, taken.rim, None, stages)
        del original  # nothing below may see it
        return self._tell(item, *seen, testimony, stages, taken)

    def _height_source(self, item: Item) -> HeightSource | None:
        network = self.eyes.height_source
        measured = self.measured.of(item, network) if self.measured and network else None
        gsd_m = open_raster(self.store, item.key, item.etag).gsd_m
        if network and not measured and gsd_m > MAX_GSD_M:
            raise BadImage("too_coarse", f"{gsd_m:.2f} m a px, at most {MAX_GSD_M} without heights")
        return measured or network

    def _check_map(self, item: Item) -> None:
        """Tell why a raster cannot become the map that is asked for, though it may be a picture.

        Raises:
            BadImage: too_coarse, block_too_large, too_many_pixels, unsupported_samples.
            StorageError: the store fails.
        """
        if is_raster(self.site, item.key) and surveying(self.purposes.values()):
            try:
                open_raster(self.store, item.key, item.etag)
            except BadImage as error:
                if error.reason in _NO_MAP:
                    raise

    def _tell(
        self,
        item: Item,
        frame: RedactedFrame,
        detections: Mapping[str, Detections],
        testimony: Testimony,
        stages: Stages,
        taken: Taken | None = None,
    ) -> Outcome:
        """Measure and publish what was seen; of a window of a raster, heights too."""
        redacted_key, files = self.published(item, ".jpg"), {}
        with stages.of("measure"):
            valid = taken.valid if taken else None
            view = self._view(item.key, frame, detections, self.work(item), redacted_key, valid)
            observations = [o for p in self.purposes.values() for o in p.measure(view)]
            observations += view.sightings()
            source = self._height_source(item) if taken else None
            if taken and source:
                cells = taken.cells(frame, source)
                files["cells"] = self.published(item, ".cells.tif")
        outcome = Outcome(
            key=item.name,
            work=self.work(item),
            status="redacted",
            captured_at=frame.captured_at,
            redacted_key=redacted_key,
            observations=tuple(observations),
            files=files,
            **testimony,
            **described(frame, detections),
        )
        written: list[str] = []
        with stages.of("write"):  # last: what fails before it must not be published
            try:
                if files:
                    with suppress(ObjectExists):  # cut off before: heights are the same again
                        key = files["cells"]
                        self.store.put("redacted", key, cells, "image/tiff", only_if_absent=True)
                        written.append(key)
                sha256 = self._publish(redacted_key, frame)
            except StorageError:
                raise  # not done: it is done again
            except Exception:
                for key in written:  # nothing of what goes to quarantine stays published
                    self.store.delete("redacted", key)
                raise
        return outcome.published_as(sha256, stages.seconds)

    def _view(
        self,
        key: str,
        frame: RedactedFrame,
        detections: Mapping[str, Detections],
        work: str,
        redacted_key: str,
        valid: NDArray[np.bool_] | None,
    ) -> View:
        camera = self.site.camera_of(key)
        known = self.references.of(camera) if self.references and camera else None
        sight = known.find(frame.pixels, frame.regions) if known else None
        models = {name: d.model for name, d in self.eyes.detectors.items()}
        models |= self._own_models | {"registration": REGISTRATION}
        return View(
            self.site,
            camera,
            frame,
            detections,
            models,
            work,
            redacted_key,
            known,
            sight,
            self.eyes.detectors,
            valid,
        )

    def _publish(self, key: str, frame: RedactedFrame) -> str:
        """Write the redacted picture once; gives the sha256 of what stands in the store.

        Work that was cut off, or runs twice, finds its picture there. It differs in nothing but
        the noise in the covered areas, and what was published first stays what evidence names.
        """
        try:
            self.store.put("redacted", key, frame.encoded, "image/jpeg", only_if_absent=True)
        except ObjectExists:
            return hashlib.sha256(self.store.get("redacted", key)[0]).hexdigest()
        return frame.digest

    def quarantine(
        self,
        item: Item,
        reason: str,
        data: bytes = b"",
        stored_at: datetime | None = None,
        stages: Stages | None = None,
    ) -> Outcome:
        """Set an image aside with its reason, sealed where a recipient is configured.

        One that could not be read, or not be sealed, leaves an empty marker: it is in the inbox.
        """
        stages, work = stages or Stages(), self.work(item)
        key, body = f"{work}/{shortened(item.key)}", data
        if self.seal is not None:
            key, body = self.seal.sealed(key, data)
        with stages.of("write"):
            self.store.put("quarantine", key, body, metadata={"reason": reason})
        return Outcome(
            key=item.name,
            work=work,
            status="quarantined",
            reason=reason,
            captured_at=self.site.captured_at(item.key) or stored_at or datetime.now(UTC),
            seconds=stages.seconds,
            **self.eyes.testimony(self.witness, data),
        )
