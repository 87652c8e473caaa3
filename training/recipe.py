"""Training recipes: one frozen dataclass, the only copy of a default."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one detector is trained.

    Attributes:
        name: the detector's name; also its weights file and its task.
        epochs: passes over the training split.
        batch: images per step.
        learning_rate: peak of AdamW for the pyramid and heads.
        backbone_rate: the backbone's share of it.
        weight_decay: of AdamW, not applied to biases and norms.
        train_px: side of the square input while training; at inference it is `input_px`.
        input_px: side of the square input; 0 where any size will do.
        frozen_stages: leading backbone stages kept at their first weights. With few hundred
            images they would only forget, and skipping their backward pass trains 3× faster.
        ema: decay per step of the averaged weights that are kept.
        drawn: drawn scenes that join the real pictures: what is rare in these, such as containers
            that overflow, is not in those.
        drawn_from: epoch after which they join; real pictures come first.
        bf16: compute layers in bfloat16 where the machine has it, weights and losses in float32:
            1.5 times faster, and no worse where layers are small.
        start: name@digest of the weights that training went on from; empty where it began anew.
        start_share: share of these in the weights that are kept, the rest is what they became: with
            few pictures a second training forgets some of the first (arXiv 2109.01903).
        without: sources left out of training and of validation, to measure on a place never seen.
        seed: of every random choice.
    """

    name: str
    epochs: int = 25
    batch: int = 16
    learning_rate: float = 2e-3
    backbone_rate: float = 0.1
    weight_decay: float = 0.02
    train_px: int = 448
    input_px: int = 512
    frozen_stages: int = 2
    ema: float = 0.995
    drawn: int = 200
    drawn_from: int = 17
    bf16: bool = False
    start: str = ""
    start_share: float = 0.0
    without: tuple[str, ...] = ()
    seed: int = 20260101
