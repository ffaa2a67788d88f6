"""Writes nn/testdata/unet_*.safetensors: what diffusers' UNet2DModel and PyTorch compute, in float64, for small networks.

    python bench/peers/golden/unet.py            (from the repository root; versions in requirements.txt)

A file holds the network's weights (16 bits) under diffusers' names, images x and cotangent dy [N,H,W,C], times t, and
    y                 the output
    dx                gradient of sum(y*dy) with respect to x
    grad.NAME         ... and to the parameters (the small ones only in the last network)
    step1.NAME        weights after one AdamW step with clipping (the first network only)
    ema3.NAME         moving average after three steps with the decays in the metadata
The metadata holds diffusers' config.json and the settings of AdamW.
"""

import json
import pathlib

import torch
from diffusers import UNet2DModel
from safetensors.torch import save_file

BLOCKS = {False: "DownBlock2D", True: "AttnDownBlock2D"}, {False: "UpBlock2D", True: "AttnUpBlock2D"}


def config(attention, **kwargs):
    return dict(
        down_block_types=tuple(BLOCKS[0][a] for a in attention),
        up_block_types=tuple(BLOCKS[1][a] for a in reversed(attention)),
        **kwargs,
    )


NETWORKS = {
    # the options of google/ddpm-cifar10-32, small
    "ddpm": (8, 8, [0.0, 3.75, 17.5], config(
        [False, True], sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, norm_eps=1e-6,
        downsample_padding=0, flip_sin_to_cos=False, freq_shift=1, attention_head_dim=None, dropout=0.1)),
    # the conditioning of guided-diffusion, heads, no attention norm in the middle, other channels in and out
    "scale_shift": (4, 8, [2.0, 9.25], config(
        [True, False], sample_size=8, in_channels=1, out_channels=2, block_out_channels=(8, 16), layers_per_block=2,
        norm_num_groups=2, norm_eps=1e-5, downsample_padding=1, flip_sin_to_cos=True, freq_shift=0, attention_head_dim=4,
        resnet_time_scale_shift="scale_shift")),
    # three levels, channels that concatenate in place, no attention in the middle
    "deep": (8, 4, [5.0, 0.5], config(
        [True, False, False], sample_size=8, block_out_channels=(16, 16, 16), layers_per_block=1, norm_num_groups=8, norm_eps=1e-6,
        downsample_padding=0, flip_sin_to_cos=False, freq_shift=1, attention_head_dim=8, add_attention=False)),
}
ADAMW = dict(lr=1e-2, betas=(0.9, 0.99), eps=1e-3, weight_decay=0.05)  # eps: no sign of a gradient near zero decides a step
CLIP = 1.0
DECAYS = [0.1, 0.2, 0.25]


def nhwc(x):
    return x.detach().permute(0, 2, 3, 1)


def main():
    out = pathlib.Path("nn/testdata")
    out.mkdir(exist_ok=True)
    for seed, (name, (h, w, times, cfg)) in enumerate(NETWORKS.items()):
        torch.manual_seed(seed)
        net = UNet2DModel(**cfg).double().eval()
        half = torch.bfloat16 if name == "deep" else torch.float16  # weights exact in 16 bits: small files
        for p in net.parameters():  # norms too should not be 1 and 0
            p.data += 0.1 * torch.randn_like(p)
            p.data = p.data.to(half).double()
        weights = {k: v.detach().clone() for k, v in net.state_dict().items()}
        n = len(times)
        x = torch.randn(n, net.config.in_channels, h, w).double().requires_grad_()
        dy = torch.randn(n, net.config.out_channels, h, w).double()
        t = torch.tensor(times)
        optimizer = torch.optim.AdamW(net.parameters(), **ADAMW)
        ema = {k: v.clone() for k, v in weights.items()}
        tensors = dict(weights, x=nhwc(x), dy=nhwc(dy), t=t)
        for step, decay in enumerate(DECAYS):
            x.grad = None
            optimizer.zero_grad()
            y = net(x, t).sample
            (y * dy).sum().backward()
            if step == 0:
                tensors |= dict(y=nhwc(y), dx=nhwc(x.grad))
                tensors |= {"grad." + k: p.grad.clone() for k, p in net.named_parameters() if name != "deep" or p.numel() <= 1024}
            if name != "ddpm":
                break
            torch.nn.utils.clip_grad_norm_(net.parameters(), CLIP)
            optimizer.step()
            if step == 0:
                tensors |= {"step1." + k: p.detach().clone() for k, p in net.named_parameters()}
            for k, p in net.named_parameters():
                ema[k] = decay * ema[k] + (1 - decay) * p.detach()
        if name == "ddpm":
            tensors |= {"ema3." + k: v for k, v in ema.items()}
        settings = dict(ADAMW, clip=CLIP, decays=DECAYS)
        save_file(
            {k: v.detach().to(half if k in weights else torch.float32).contiguous() for k, v in tensors.items()},
            out / f"unet_{name}.safetensors",
            metadata={"config": json.dumps({**net.config, "_class_name": "UNet2DModel"}), "adamw": json.dumps(settings)},
        )
        print(name, sum(p.numel() for p in net.parameters()), "parameters")


main()
