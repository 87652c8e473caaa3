"""People and vehicles in a 1280×960 picture: ours beside torchvision's SSDLite, in one run.

SSDLite-320 MobileNetV3 looks once at 320×320 px (arXiv 1801.04381, 1905.02244); ours looks at the
picture reduced to 608×608 px and at all of it as it is, both also mirrored: small things count.
Only the time is compared: no weights of the peer for these classes are to be had, so its own are
random; `benchmarks.ssdlite` trains it. On one core, and on two: ours then looks at a picture on
each, as a fleet does, the peer at one on both.
"""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import patch

import cv2
import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.detection import ssdlite320_mobilenet_v3_large

from benchmarks.bench_inference import picture
from benchmarks.cost import costing
from benchmarks.record import milliseconds, record, tell
from models.card import SHIPPED, read_card, read_weights
from models.checkpoint import build
from models.detectors.occupancy import OccupancyDetector
from models.runtime import Runtime

CLASSES = 7  # with the background
ROUNDS = 8


def main() -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    cache, pixels = Path(tempfile.mkdtemp()), picture()
    detector, another = (OccupancyDetector(cache=cache, precision="bf16") for _ in range(2))
    peer = ssdlite320_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=CLASSES
    ).eval()
    image = torch.from_numpy(pixels).permute(2, 0, 1).float().div(255)

    @torch.inference_mode()
    def theirs() -> None:
        peer([image])

    mine = milliseconds(lambda: detector.detect(pixels), ROUNDS)
    other = milliseconds(theirs, ROUNDS)
    with ThreadPoolExecutor(2) as cores:

        def ours_on_two() -> None:
            list(cores.map(lambda one: one.detect(pixels), (detector, another)))

        mine_on_two = milliseconds(ours_on_two, ROUNDS) / 2
    torch.set_num_threads(2)
    other_on_two = milliseconds(theirs, ROUNDS)
    torch.set_num_threads(1)
    with patch.object(Runtime, "dense", autospec=True, side_effect=Runtime.dense) as dense:
        detector.detect(pixels)
    seen = [call.args[1].shape for call in dense.call_args_list]
    card = read_card("occupancy")
    network = build(card, read_weights(card, SHIPPED))
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        for shape in seen:
            network(torch.zeros(1, *shape, dtype=torch.uint8))
    least = costing(counter.get_total_flops() / 1e9)
    details = least.against(mine) | {
        "share_of_bf16_floor": round(least.bf16_floor_ms / mine, 3),
        "share_of_f32_floor": round(least.f32_floor_ms / mine, 3),
        "two_cores_ms": round(mine_on_two, 1),
        "two_cores_ssdlite_ms": round(other_on_two, 1),
        "looks": len(seen),
    }
    sizes = ", ".join(f"{wide}×{tall}" for tall, wide, _ in seen)
    what = f"people and vehicles in a 1280×960 picture, looks of {sizes}, one core, bf16"
    record("occupancy_1280", mine, "ms", "SSDLite-320, one look, torch eager", other, what, details)
    tell(details)


if __name__ == "__main__":
    main()
