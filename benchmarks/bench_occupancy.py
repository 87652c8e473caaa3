"""People and vehicles in a 1280×960 picture: ours beside torchvision's SSDLite, in one run.

SSDLite-320 MobileNetV3 looks once at 320×320 px (arXiv 1801.04381, 1905.02244); ours looks at the
whole picture and at squares of it, each twice, because small things count. Only the time is
compared: no weights of the peer for these classes are to be had, so its own are random.
"""

import tempfile
from pathlib import Path
from unittest.mock import patch

import cv2
import torch
from torchvision.models.detection import ssdlite320_mobilenet_v3_large

from benchmarks.bench_inference import picture
from benchmarks.cost import cost
from benchmarks.record import milliseconds, record, tell
from models.backends import export
from models.card import SHIPPED, read_card, read_weights
from models.detectors.occupancy import OccupancyDetector
from models.runtime import Runtime

CLASSES = 7  # with the background


def main() -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    cache, pixels = Path(tempfile.mkdtemp()), picture()
    detector = OccupancyDetector(cache=cache, precision="bf16")
    peer = ssdlite320_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=CLASSES
    ).eval()
    image = torch.from_numpy(pixels).permute(2, 0, 1).float().div(255)

    @torch.inference_mode()
    def theirs() -> None:
        peer([image])

    mine, other = milliseconds(lambda: detector.detect(pixels)), milliseconds(theirs)
    card = read_card("occupancy")
    side = card.architecture.input_px
    with patch.object(Runtime, "dense", autospec=True, side_effect=Runtime.dense) as dense:
        detector.detect(pixels)
    looks = dense.call_count
    counted = cost(export(card, read_weights(card, SHIPPED), cache), (side, looks * side))
    details = counted.against(mine) | {"looks": looks}
    what = f"people and vehicles in a 1280×960 picture, {looks} looks of {side}², one core, bf16"
    record("occupancy_1280", mine, "ms", "SSDLite-320, one look, torch eager", other, what, details)
    tell(details)


if __name__ == "__main__":
    main()
