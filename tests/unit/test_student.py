"""What makes a network small: fewer layers, taught by more; eight bits."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from models import backends
from models.card import Architecture, Card, reaches, read_card, read_weights
from models.checkpoint import build, save
from models.eight_bit import rounded
from models.errors import BadConfiguration
from models.heatmap import FUSED, Heat, HeatNetwork
from models.plan import GRID_PX
from models.reach import layers
from models.redaction import LABELS
from tests.unit.test_privacy_training import labelled
from training.eight_bit import measure
from training.precision import halved, spare_depthwise
from training.privacy import distil, views
from training.privacy.labels import FACE, PERSON
from training.run import _go_on


def network(backbone=FUSED, channels=16):
    torch.manual_seed(1)
    architecture = Architecture(
        LABELS, input_px=0, backbone=backbone, channels=channels, kind="heatmap"
    )
    made = HeatNetwork(architecture).eval()
    for name, parameter in made.named_parameters():
        if name.endswith(("logits.weight", "log_sizes.weight")):
            nn.init.normal_(parameter, std=0.3)
    for layer in made.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.bias, std=0.1)  # without, OpenVINO is wrong: see below
    return made


def pictures(count=2, side=96, seed=0):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 3, side // 8, side // 8)).astype(np.float32)
    smooth = nn.functional.interpolate(torch.from_numpy(coarse), scale_factor=8, mode="bilinear")
    return smooth.permute(0, 2, 3, 1).to(torch.uint8).contiguous()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small untrained network that knows the reach of its inputs, saved."""
    made = network()
    measure(made, [pictures(4)])
    path = tmp_path_factory.mktemp("weights")
    card = Card("tiny", made.architecture, "", dict.fromkeys(LABELS, 0.5), {}, "none", "none")
    save(made, card, path)
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Where that network is exported, once for all tests."""
    return tmp_path_factory.mktemp("exported")


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_eight_bits_stay_close(folder, cache, backend):
    card = read_card("tiny", folder)
    pixels = pictures(1, 128, seed=5)
    with torch.inference_mode():
        truth = [part.numpy() for part in build(card, read_weights(card, folder))(pixels)]
    for precision in ("int8", "f32"):
        run = backends.runner(card, folder, cache, backend, precision)
        for exact, found in zip(truth, run(pixels.numpy()), strict=True):
            wrong = np.abs(found - exact)
            assert wrong.mean() < (1e-4 if precision == "f32" else 0.1) * exact.std()
    assert len(list(cache.glob("*.onnx"))) == 2


def test_dense_convolutions_are_rounded_and_depthwise_ones_are_not(folder, cache):
    card = read_card("tiny", folder)
    weights = read_weights(card, folder)
    path = backends.export(card, weights, cache, reaches(weights))
    graph = onnx.load(path).graph
    stored = {one.name: one.data_type for one in graph.initializer}
    made_by = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        if node.op_type not in ("Conv", "ConvTranspose"):
            continue
        groups = [a.i for a in node.attribute if a.name == "group"]
        source = made_by.get(node.input[1])
        if groups and groups[0] > 1:
            assert source is None
        else:
            assert source.op_type == "DequantizeLinear"
            assert stored[source.input[0]] == onnx.TensorProto.INT8
            assert made_by[node.input[0]].op_type == "DequantizeLinear"


def test_rounding_keeps_signs_and_clips_what_lies_beyond_the_reach(tmp_path):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(1, 1, 1, bias=False)
            self.second = nn.Conv2d(1, 1, 1, bias=False)

        def forward(self, x):
            return self.second(torch.relu(self.first(x)))

    made = Two()
    nn.init.constant_(made.first.weight, 1.0)
    nn.init.constant_(made.second.weight, 2.0)
    path = tmp_path / "two.onnx"
    values = torch.tensor([[[[-2.0, -0.5, 0.5, 1.0, 2.0]]]])
    torch.onnx.export(made, (values,), path, external_data=False, verbose=False)
    model = rounded(onnx.load(path), {"first.weight": 1.0, "second.weight": 0.75})
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (found,) = session.run(None, {session.get_inputs()[0].name: values.numpy()})
    assert found.ravel() == pytest.approx([0, 0, 1.0, 1.5, 1.5], abs=0.02)


def test_weights_without_reach_are_not_rounded(tmp_path):
    made = network()
    card = Card("any", made.architecture, "", dict.fromkeys(LABELS, 0.5), {}, "none", "none")

    def stored():
        return reaches(read_weights(save(made, card, tmp_path), tmp_path))

    assert stored() == {}
    backends.runner(read_card("any", tmp_path), tmp_path, tmp_path, "openvino", "int8")
    assert not list(tmp_path.glob("*-int8.onnx"))
    measure(made, [pictures()])
    known = stored()
    assert set(known) == {f"{name}.weight" for name in layers(made)}
    assert all(reach > 0 for reach in known.values())
    assert known["backbone.conv_stem.weight"] <= 255
    before = dict(known)
    measure(made, [pictures() // 2])  # measured anew, not widened
    assert stored()["backbone.conv_stem.weight"] < before["backbone.conv_stem.weight"]


def test_a_shape_that_comes_often_gives_what_it_gave(folder, cache):
    card = read_card("tiny", folder)
    run = backends.runner(card, folder, cache, "openvino", "f32")
    pixels = pictures(1, 64).numpy()
    first = [part.copy() for part in run(pixels)]
    for _ in range(backends._OFTEN + 1):
        again = run(pixels)
    other = run(pictures(1, 96).numpy())
    for one, two in zip(first, again, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-4)
    assert other[0].shape == (1, 5, 24, 24)


def test_a_machine_that_computes_eight_bits_wrongly_is_refused(tmp_path):
    made = network()
    for layer in made.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.zeros_(layer.bias)  # folded, it leaves convolutions without bias
    measure(made, [pictures(4)])
    card = Card("odd", made.architecture, "", dict.fromkeys(LABELS, 0.5), {}, "none", "none")
    card = save(made, card, tmp_path)
    backends.runner(card, tmp_path, tmp_path, "onnxruntime", "int8")
    with pytest.raises(BadConfiguration, match="VIGIE_PRECISION=bf16"):
        backends.runner(card, tmp_path, tmp_path, "openvino", "int8")


def test_the_student_begins_as_its_teacher_where_they_are_alike():
    teacher, student = network("mobilenetv2_100"), network(FUSED)
    for parameter in teacher.parameters():
        parameter.data += 0.01
    distil.inherit(student, teacher)
    for ours, theirs in (
        (student.backbone.blocks[2:], teacher.backbone.blocks[3:]),
        *(
            (getattr(student, n), getattr(teacher, n))
            for n in ("laterals", "ups", "neck", "logits")
        ),
    ):
        pairs = zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True)
        assert all(torch.equal(one, other) for one, other in pairs)


def test_the_first_stages_come_closer_to_what_the_teachers_give(monkeypatch):
    teacher, student = network("mobilenetv2_100"), network(FUSED)
    distil.inherit(student, teacher)
    teacher.backbone.bn1.weight.data /= 50  # features about as large as trained ones
    deeper = student.backbone.blocks[2][0].conv_pw.weight.clone()
    for module in distil.first_stages(student):
        module.train()
    views = [pictures(4, 64, seed) for seed in range(60)]
    monkeypatch.setattr(distil, "_STEPS", 1)
    before = distil.imitate(student, teacher, views)
    monkeypatch.setattr(distil, "_STEPS", 60)
    assert distil.imitate(student, teacher, views) < 0.9 * before
    assert torch.equal(deeper, student.backbone.blocks[2][0].conv_pw.weight)


def test_the_teacher_is_asked_about_some_pictures_only():
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, 5, 8, 8), (2, 10, 8, 8), (2, 10, 8, 8))
    taught = Heat(*(torch.randn(shape, generator=generator) for shape in shapes))
    same = distil.distilled(taught, taught, torch.tensor([True, True]))
    assert all(part.abs() < 1e-5 for part in same.values())
    other = Heat(*(part + torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1) for part in taught))
    asked = [distil.distilled(other, taught, torch.tensor([True, b])) for b in (False, True)]
    assert all(part.abs() < 1e-5 for part in asked[0].values())
    assert all(part > 1e-3 for part in asked[1].values())
    none = distil.distilled(other, taught, torch.tensor([False, False]))
    assert all(part == 0 for part in none.values())


def test_covers_hide_faces_and_are_none(monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 255, (400, 600, 3), np.uint8)
    face, person = [100, 100, 140, 150], [80, 90, 170, 380]
    sample = labelled([face, person], [FACE, PERSON], pixels)
    covered = [views._with_covers(sample, np.random.default_rng(seed)) for seed in range(20)]
    for one in covered:
        same = (one.pixels == pixels).all(2)
        seen = same[100:150, 100:140].mean()
        assert one.covered
        assert seen > 0.4 if FACE in one.labels else seen < 0.6
        assert PERSON in one.labels
        assert same.mean() > 0.5
        # The row above a cover changes its colours, too.
        assert (np.flatnonzero(~same.all(1))[0] + 1) % GRID_PX in (0, 1)
    assert 5 < sum(FACE not in one.labels for one in covered) < 20
    assert not sample.covered
    assert (pixels == sample.pixels).all()


def test_depthwise_layers_in_float32_give_and_learn_the_same():
    made, pixels = network(), pictures()
    names = list(made.state_dict())
    learnt = []
    for change in (lambda _: None, spare_depthwise):
        change(made)
        made.zero_grad()
        heat = made(pixels)
        sum(part.square().mean() for part in heat).backward()
        learnt.append([heat.logits, *(p.grad for p in made.parameters())])
    assert list(made.state_dict()) == names
    for one, other in zip(*learnt, strict=True):
        torch.testing.assert_close(one, other)
    strided = next(
        layer
        for layer in made.modules()
        if isinstance(layer, nn.Conv2d) and layer.groups > 1 and layer.stride == (2, 2)
    )
    with torch.autocast("cpu", torch.bfloat16):
        assert strided(torch.ones(1, strided.in_channels, 8, 8)).dtype == torch.float32


@pytest.mark.parametrize("name", ["amx_bf16", "avx512_bf16", None])
def test_layers_are_in_bfloat16_only_where_the_chip_has_it(monkeypatch, name):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, name: True})
    layer, x = nn.Conv2d(1, 1, 1), torch.ones(1, 1, 2, 2)
    for wanted in (True, False):
        with halved("cpu", wanted=wanted):
            fast = wanted and name is not None
            assert layer(x).dtype == (torch.bfloat16 if fast else torch.float32)


def test_training_goes_on_from_weights_of_its_own_architecture(folder):
    card = read_card("tiny", folder)
    other = network()
    for parameter in other.parameters():
        nn.init.zeros_(parameter)
    _go_on(other, card, folder)
    known = build(card, read_weights(card, folder)).state_dict()
    for name, tensor in other.state_dict().items():
        torch.testing.assert_close(tensor, known[name], msg=name)
    with pytest.raises(BadConfiguration, match="another architecture"):
        _go_on(network(channels=24), card, folder)
