import json
from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from models.card import SHIPPED, read_card, read_weights
from models.checkpoint import build
from models.errors import BadConfiguration
from models.network import Dense
from models.runtime import points
from training import run
from training.dataset import Sample, augment, draw_waste, read_waste
from training.loss import loss
from training.tasks.waste import RECIPE, open_task
from training.train import train

SIDE = 64


def sample(boxes=((8, 8, 40, 40),), labels=(0,), states=(0,), exhaustive=(True, True), fact=1.0):
    return Sample(
        None,
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(labels, np.int64),
        np.array(states, np.int64),
        np.array(exhaustive),
        np.array([fact], np.float32),
        "drawn",
        pixels=np.zeros((SIDE, SIDE, 3), np.uint8),
    )


def dense(logit=-4.0, seed=0):
    count = len(points(SIDE))
    generator = torch.Generator().manual_seed(seed)
    made = Dense(
        torch.full((1, count, 2), logit) + 0.1 * torch.rand(1, count, 2, generator=generator),
        torch.rand(1, count, 4, generator=generator) * 2 + 0.5,
        torch.rand(1, count, 3, generator=generator),
        torch.zeros(1, 1),
    )
    return Dense(*(part.requires_grad_() for part in made))


def gradients(one):
    out = dense()
    parts = loss(out, [one], torch.from_numpy(points(SIDE)))
    torch.stack(list(parts.values())).sum().backward()
    return out, parts


def test_an_unlabelled_class_teaches_nothing():
    out, _ = gradients(sample(boxes=(), labels=(), states=(), exhaustive=(False, True)))
    assert out.logits.grad[..., 0].abs().max() == 0
    assert out.logits.grad[..., 1].abs().max() > 0


def test_an_unknown_fact_teaches_nothing():
    out, parts = gradients(sample(fact=float("nan")))
    assert "image" not in parts
    assert out.image.grad is None


def test_an_unknown_state_teaches_nothing():
    out, parts = gradients(sample(states=(-1,)))
    assert "state" not in parts
    assert out.states.grad is None


def test_only_points_inside_an_object_learn_its_box():
    out, _ = gradients(sample())
    at = points(SIDE)
    learns = out.distances.grad[0].abs().sum(1).numpy() > 0
    assert learns.any()
    inside = (at[learns, 0] > 8) & (at[learns, 0] < 40) & (at[learns, 1] > 8) & (at[learns, 1] < 40)
    assert inside.all()


def test_an_object_smaller_than_a_stride_is_still_learnt():
    out, _ = gradients(sample(boxes=((9, 9, 11, 11),)))
    assert out.distances.grad[0].abs().sum() > 0


def test_the_loss_teaches_a_free_network_where_the_object_is():
    out = dense()
    at = torch.from_numpy(points(SIDE))
    optimizer = torch.optim.Adam(list(out), lr=0.1)
    for _ in range(60):
        optimizer.zero_grad()
        torch.stack(list(loss(out, [sample()], at).values())).sum().backward()
        optimizer.step()
    best = int(out.logits[0, :, 0].argmax())
    reach = out.distances[0, best] * at[best, 7]
    box = torch.cat([at[best, :2] - reach[:2], at[best, :2] + reach[2:]])
    assert out.logits[0, best, 0] > 0
    assert (box - torch.tensor([8.0, 8, 40, 40])).abs().max() < 3
    assert out.states[0, best].argmax() == 0
    assert out.image[0, 0] > 1


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_augmented_boxes_stay_on_what_they_bound(seed):
    picture = np.full((120, 160, 3), (0, 0, 255), np.uint8)
    picture[30:70, 50:110] = (255, 0, 0)
    one = Sample(
        None,
        np.array([[50, 30, 110, 70]], np.float32),
        np.zeros(1, np.int64),
        np.zeros(1, np.int64),
        np.array([True, True]),
        np.zeros(1, np.float32),
        "drawn",
        pixels=picture,
    )
    seen = augment(one, 96, np.random.default_rng(seed))
    assert seen.pixels.shape == (96, 96, 3)
    assert len(seen.boxes) == 1
    x1, y1, x2, y2 = seen.boxes[0]
    assert 0 <= x1 < x2 <= 96
    assert 0 <= y1 < y2 <= 96
    # The red rectangle lies in its box, whatever the light made of its red.
    r, g, b = seen.pixels.astype(int).transpose(2, 0, 1)
    red = np.nonzero(r > 40 + 2 * np.maximum(g, b))
    if len(red[0]) > 50:  # else it was turned to grey
        (top, bottom), (left, right) = np.percentile(red, [2, 98], axis=1).T
        assert x1 - 4 <= left
        assert right <= x2 + 4
        assert y1 - 4 <= top
        assert bottom <= y2 + 4


def coco(tmp_path, image, annotations=()):
    base = {"id": 1, "file_name": "a.jpg", "width": 100, "height": 80, "source": "amsterdam"}
    rows = [{"image_id": 1, "category_id": category, "bbox": box} for category, box in annotations]
    (tmp_path / "train.json").write_text(
        json.dumps({"images": [base | image], "annotations": rows})
    )
    (one,) = read_waste(tmp_path, "train")
    return one


def test_a_clean_picture_without_boxes_teaches_that_there_is_no_waste(tmp_path):
    one = coco(tmp_path, {"state": "clean", "dirty": False, "boxes": "none"})
    assert one.exhaustive.tolist() == [False, True]
    assert one.facts.tolist() == [0]


def test_bags_alone_say_nothing_about_containers(tmp_path):
    one = coco(tmp_path, {"source": "korea_bags", "boxes": "reviewed"}, [(2, [1, 1, 5, 5])])
    assert one.exhaustive.tolist() == [False, True]
    assert np.isnan(one.facts).all()


def test_the_container_far_from_the_waste_is_clean(tmp_path):
    one = coco(
        tmp_path,
        {"state": "side_waste", "dirty": True, "boxes": "reviewed"},
        [(1, [0, 0, 10, 20]), (1, [80, 0, 10, 20]), (2, [12, 10, 10, 10])],
    )
    assert one.states.tolist() == [2, 0, -1]


def test_a_missing_data_folder_says_what_to_give(tmp_path):
    with pytest.raises(BadConfiguration, match="waste data folder"):
        read_waste(tmp_path, "train")


def test_training_resumes_where_it_stopped_and_drawn_scenes_join(tmp_path):
    data, checkpoint = tmp_path / "data", tmp_path / "checkpoint"
    data.mkdir()
    images, annotations = [], []
    for i, one in enumerate(draw_waste(4, 1)):
        Image.fromarray(one.pixels).save(data / f"{i}.jpg")
        height, width = one.pixels.shape[:2]
        images.append(
            {"id": i, "file_name": f"{i}.jpg", "width": width, "height": height}
            | {"source": "drawn", "state": "side_waste", "dirty": True, "boxes": "reviewed"}
        )
        for (x1, y1, x2, y2), label in zip(one.boxes.tolist(), one.labels.tolist(), strict=True):
            box = [x1, y1, x2 - x1, y2 - y1]
            annotations.append({"image_id": i, "category_id": label + 1, "bbox": box})
    (data / "train.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    recipe = replace(RECIPE, batch=2, train_px=96, input_px=96, drawn=2, drawn_from=1, epochs=3)
    told = []

    def run(epochs):
        short = replace(recipe, epochs=epochs)
        return train(open_task(short, data, checkpoint), short, checkpoint, progress=told.append)

    first, again = run(1), run(3)
    assert [entry["epoch"] for entry in told] == [1, 2, 3]
    assert all(np.isfinite(entry["what"]) for entry in told)
    log = (checkpoint / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in log] == [1, 2, 3]
    frozen, learnt = "backbone.conv_stem.weight", "heads.0.logits.weight"
    before, after = first.state_dict(), again.state_dict()
    assert torch.equal(before[frozen], after[frozen])
    assert not torch.equal(before[learnt], after[learnt])


@pytest.mark.parametrize(("start", "drawn_from"), [(SHIPPED, 0), (None, RECIPE.drawn_from)])
def test_a_network_that_knows_real_pictures_sees_drawn_ones_at_once(
    start, drawn_from, monkeypatch, tmp_path
):
    card = read_card("waste")
    seen = {}

    def open_one(recipe, *_):
        seen["recipe"] = recipe
        network = build(card, read_weights(card))
        return Mock(network=network, finish=Mock(return_value=card))

    monkeypatch.setattr(run.plugins, "load", lambda *_: Mock(RECIPE=RECIPE, open_task=open_one))
    monkeypatch.setattr(run, "train", lambda task, *_, **__: task.network)
    run.train_and_evaluate("waste", tmp_path, tmp_path, start=start)
    assert seen["recipe"].drawn_from == drawn_from
    assert seen["recipe"].start == (card.model if start else "")


@pytest.mark.parametrize(("share", "left"), [(0.0, 1.0), (0.25, 0.75)])
def test_a_training_that_goes_on_gives_back_a_share_of_what_it_began_with(
    share, left, monkeypatch, tmp_path
):
    card = read_card("waste")
    known = build(card, read_weights(card)).state_dict()
    task = Mock(network=build(card, read_weights(card)), finish=Mock(return_value=card))
    module = Mock(RECIPE=replace(RECIPE, start_share=share), open_task=lambda *_: task)
    monkeypatch.setattr(run.plugins, "load", lambda *_: module)

    def learnt(task, *_, **__):
        for value in task.network.state_dict().values():
            if value.is_floating_point():
                value.add_(1)
        return task.network

    monkeypatch.setattr(run, "train", learnt)
    run.train_and_evaluate("waste", tmp_path, tmp_path, start=SHIPPED)
    for name, value in task.network.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, known[name] + left, msg=name)
