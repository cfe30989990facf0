"""Processes started by torchrun: joining them, and communication between them."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager

import torch
from torch import Tensor, distributed


class Processes(AbstractContextManager):
    """Join the other processes that torchrun started, if it did."""

    def __enter__(self) -> tuple[int, int]:
        world = int(os.environ.get("WORLD_SIZE", "1"))
        if world == 1:
            return 0, 1
        backend = "gloo"
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
            backend = "cpu:gloo,cuda:nccl"  # `agree` has its numbers on the CPU
        distributed.init_process_group(backend)
        return distributed.get_rank(), world

    def __exit__(self, *exception: object) -> None:
        if distributed.is_initialized():
            distributed.destroy_process_group()


def agree(stop: bool, world: int) -> bool:
    """Whether any process wants to stop; all must do the same."""
    if world == 1:
        return stop
    wish = torch.tensor([float(stop)])
    return bool(mean(wish, world) > 0)


def mean(value: Tensor, world: int) -> Tensor:
    if world > 1:
        value = value.clone()
        distributed.all_reduce(value)
        value /= world
    return value
