"""Prints the parameters and the forward FLOPs of products (convolutions, linear layers, attention) that PyTorch counts for
google/ddpm-cifar10-32 and one image: the golden numbers of nn's cost test.

    python bench/peers/golden/flops.py
"""

import torch
from diffusers import UNet2DModel
from diffusers.models.attention_processor import AttnProcessor
from torch.utils.flop_counter import FlopCounterMode

down, up = ["DownBlock2D"] * 4, ["UpBlock2D"] * 4
down[1], up[2] = "AttnDownBlock2D", "AttnUpBlock2D"
net = UNet2DModel(sample_size=32, block_out_channels=(128, 256, 256, 256), layers_per_block=2, down_block_types=down,
                  up_block_types=up, attention_head_dim=None, norm_eps=1e-6, downsample_padding=0, flip_sin_to_cos=False,
                  freq_shift=1).eval()
for module in net.modules():  # the fused attention hides its products from the counter
    if hasattr(module, "set_processor"):
        module.set_processor(AttnProcessor())
with FlopCounterMode(display=False) as counter, torch.no_grad():
    net(torch.randn(1, 3, 32, 32), torch.tensor([5]))
print(sum(p.numel() for p in net.parameters()), "parameters", counter.get_total_flops(), "FLOPs")
