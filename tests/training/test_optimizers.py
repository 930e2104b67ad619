"""Optimizers by name: each works with fastai's interface, and AdamW takes the same steps as torch's."""

import pytest
import torch
from torch import nn

from kickbert.training.optimizers import OPTIMIZERS, adamw, optimizer_by_name


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))


def test_fastai_reads_and_sets_each_groups_own():
    a, b = net()
    opt = adamw([list(a.parameters()), list(b.parameters())], lr=0.1, weight_decay=0.02)
    assert opt.hypers == [{"lr": 0.1, "wd": 0.02, "eps": 1e-8, "mom": 0.9, "sqr_mom": 0.999}] * 2
    opt.set_hyper("lr", [0.3, 0.4])
    opt.set_hyper("mom", 0.7)
    assert [(h["lr"], h["mom"]) for h in opt.hypers] == [(0.3, 0.7), (0.4, 0.7)]
    assert [g["betas"] for g in opt.opt.param_groups] == [(0.7, 0.999)] * 2


def test_a_step_equals_that_of_torch():
    mine, theirs = net(), net()
    x = torch.randn(5, 3)
    ours = adamw([list(mine.parameters())], lr=0.05, weight_decay=0.1)
    plain = torch.optim.AdamW(theirs.parameters(), lr=0.05, weight_decay=0.1)
    for _ in range(3):
        for model, opt in ((mine, ours), (theirs, plain)):
            model(x).square().sum().backward()
            opt.step()
            opt.zero_grad()
    assert all(torch.allclose(p, q, atol=1e-6) for p, q in zip(mine.parameters(), theirs.parameters(), strict=True))
    assert ours.opt.defaults["fused"]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_learns_and_takes_what_fastais_schedules_set(name):
    model, x = net(), torch.randn(5, 3)
    opt = optimizer_by_name(name)([list(model.parameters())], lr=0.05)
    opt.set_hyper("mom", 0.8)
    opt.set_hyper("lr", 0.02)
    assert opt.hypers[0]["lr"] == 0.02 and "mom" in opt.hypers[0]
    before = model(x).square().sum().item()
    for _ in range(20):
        model(x).square().sum().backward()
        opt.step()
        opt.zero_grad()
    assert model(x).square().sum().item() < before


def test_a_function_stays_and_an_unknown_name_offers_the_nearest():
    assert optimizer_by_name(adamw) is adamw
    with pytest.raises(ValueError, match=r"optimizer='adam_w' is not one of .*. Did you mean 'adamw'"):
        optimizer_by_name("adam_w")
