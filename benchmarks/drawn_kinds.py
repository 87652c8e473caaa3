"""The shipped waste detector on drawn scenes it never saw: streets, recycling centres, from above.

`python -m benchmarks.drawn_kinds [SCENES]` gives average precision at IoU 0.5 and AUC of clean or
dirty, with 95 % bootstrap intervals. Of skips and of the view from above there are no real labels.
"""

import sys
from dataclasses import replace

from models.card import read_card
from models.detectors import waste
from services.opening import open_redactor
from services.settings import Settings
from training.dataset import draw_waste
from training.evaluate import Scored, figures

SEED = 20270101  # of no training
KINDS = ("streets", "streets", "streets", "recycling centres", "from above")  # as drawn
GSD_M = 0.025  # of the scenes from above


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 120
    settings = Settings()
    redactor, detector = open_redactor(settings), waste.load(settings.cache)
    scored = []
    for number, sample in enumerate(draw_waste(count, SEED)):
        kind = KINDS[number % len(KINDS)]
        above = GSD_M if kind == "from above" else None
        redacted = redactor(replace(sample.frame(), gsd_m=above))
        mine = replace(sample, source=kind)
        scored.append(Scored(mine, detector(redacted), sample.night))
    card = read_card("waste")
    names, facts = card.architecture.names, card.architecture.image_names
    for group, row in figures(scored, names, facts, card.min_score, (2, 3)).items():
        for name, (value, low, high, n) in row.items():
            print(f"{group:28} {name:24} {value:.3f} [{low:.3f}, {high:.3f}], n = {n}")


if __name__ == "__main__":
    main()
