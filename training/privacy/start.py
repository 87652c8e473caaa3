"""Where training begins: at the weights of CenterFace (MIT), in a wider network.

CenterFace is a MobileNetV2 with a pyramid of 24 channels for one class. Here the pyramid is wider
and there are more classes; the first 24 channels and the class `face` start as CenterFace's, so the
network knows faces from its first step, and the rest learns around them.
"""

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from models.errors import BadConfiguration
from models.heatmap import HeatNetwork
from training.privacy.teacher import weights_path


def from_centerface(network: HeatNetwork) -> None:
    """Copy CenterFace into `network`, whose first class is the face.

    Raises:
        BadWeights: the weights are not installed, or are not the file we know.
        BadConfiguration: the network is no MobileNetV2, or narrower than CenterFace.
    """
    graph = onnx.load(weights_path()).graph
    tensors = {i.name: torch.from_numpy(numpy_helper.to_array(i).copy()) for i in graph.initializer}
    convolutions = [
        [tensors[name] for name in node.input[1:]]
        for node in graph.node
        if node.op_type in ("Conv", "ConvTranspose")
    ]
    norms = [
        [tensors[name] for name in node.input[1:]]
        for node in graph.node
        if node.op_type == "BatchNormalization"
    ]
    pairs = [m for m in network.backbone.named_modules() if isinstance(m[1], nn.Conv2d)]
    backbone, rest = convolutions[: len(pairs)], convolutions[len(pairs) :]
    if network.architecture.channels < rest[0][0].shape[0]:
        raise BadConfiguration("the pyramid needs 24 channels at least to start from CenterFace")
    biases = iter(b for _, b in backbone)
    for (_, layer), (weight, _) in zip(pairs, backbone, strict=True):
        if layer.weight.shape != weight.shape:
            raise BadConfiguration("CenterFace starts a MobileNetV2, no other backbone")
        layer.weight.data = weight
    # Its batch norms are folded into the convolutions; what is left of ours is the bias.
    for layer in network.backbone.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.ones_(layer.weight)
            layer.bias.data = next(biases)
            layer.running_mean.zero_()  # type: ignore[union-attr]
            layer.running_var.fill_(1 - layer.eps)  # type: ignore[union-attr]
    ups = [_folded(rest[i][0], norm) for i, norm in zip((1, 3, 5), norms, strict=True)]
    laterals = [rest[i] for i in (6, 4, 2, 0)]  # ours go from fine to coarse
    for layer, (weight, bias) in zip(network.laterals, laterals, strict=True):
        _widen(layer, weight, bias, inputs=1)
    for layer, (weight, bias) in zip(network.ups, ups, strict=True):
        _widen(layer, weight, bias, inputs=0)
    _widen(network.neck, *rest[7], inputs=1)
    for layer, (weight, bias), prior in (
        (network.logits, rest[8], -4.6),  # 0.01 of all cells (arXiv 1708.02002, section 3.3)
        (network.log_sizes, rest[9], 1.0),
        (network.offsets, rest[10], 0.0),
    ):
        assert layer.bias is not None
        nn.init.constant_(layer.bias, prior)
        _widen(layer, weight, bias, inputs=1)


def _folded(weight: Tensor, norm: list[Tensor]) -> tuple[Tensor, Tensor]:
    """A transposed convolution without bias and the batch norm behind it, as one layer."""
    gamma, beta, mean, var = norm
    scale = gamma / torch.sqrt(var + 1e-5)
    return weight * scale[None, :, None, None], beta - mean * scale


def _widen(layer: nn.Module, weight: Tensor, bias: Tensor, *, inputs: int) -> None:
    """Copy a narrow layer into the first channels of a wide one.

    New inputs do not reach old outputs at first, so these say what they said before.
    """
    assert isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))
    assert layer.bias is not None
    outputs = 1 - inputs
    narrow_in, narrow_out = weight.shape[inputs], weight.shape[outputs]
    wide = layer.weight.data.transpose(0, 1) if inputs == 0 else layer.weight.data
    wide[:narrow_out, narrow_in:] = 0
    wide[:narrow_out, :narrow_in] = weight.transpose(0, 1) if inputs == 0 else weight
    layer.bias.data[:narrow_out] = bias
