"""A U-Net that bench/peers/ours exported, as diffusers' UNet2DModel in PyTorch."""

import json
import pathlib

import torch
from diffusers import UNet2DModel
from safetensors.torch import load_file
from torch import nn


class Network(nn.Module):
    """Images [N,C,H,W] and times [N] to images; the U-Net works between two pixel shuffles."""

    def __init__(self, folder):
        super().__init__()
        settings = json.loads(pathlib.Path(folder, "network.json").read_text())
        config = {k: v for k, v in settings["unet"].items() if not k.startswith("_")}
        self.unet = UNet2DModel(**config)
        self.unet.load_state_dict(load_file(pathlib.Path(folder, "weights.safetensors")))
        self.factor = settings["unshuffle"]

    def forward(self, x, t):
        if self.factor == 1:
            return self.unet(x, t, return_dict=False)[0]
        y = self.unet(nn.functional.pixel_unshuffle(x, self.factor), t, return_dict=False)[0]
        return nn.functional.pixel_shuffle(y, self.factor)


class Case:
    """The exported tensors and settings of a case; images come as [N,C,H,W] in the memory format of the variant."""

    def __init__(self, folder, channels_last=False):
        self.tensors = load_file(pathlib.Path(folder, "case.safetensors"))
        network = pathlib.Path(folder, "network.json")  # a matrix product has none
        self.settings = json.loads(network.read_text())["case"] if network.exists() else None
        self.format = torch.channels_last if channels_last else torch.contiguous_format

    def __getitem__(self, name):
        value = self.tensors[name]
        return value.permute(0, 3, 1, 2).contiguous(memory_format=self.format) if value.dim() == 4 else value

    def gradients(self):
        """What we computed: {parameter: gradient}, in PyTorch's shapes."""
        return {k.removeprefix("grad."): v for k, v in self.tensors.items() if k.startswith("grad.")}


def difference(got, want, least=0.0):
    """The largest error relative to the largest value, or to `least` where all values are smaller."""
    return ((got - want).abs().max() / max(want.abs().max().item(), least)).item()
