"""Shows that weights move both ways between diffusers and nn.

    python bench/peers/golden/roundtrip.py        (from the repository root; needs Go; versions in requirements.txt)

diffusers writes a network, nn loads it, computes the same output and writes it again, diffusers loads that strictly and finds
the same weights bit for bit. Then nn writes a fresh CIFAR-10 network and diffusers loads it strictly.
"""

import pathlib
import subprocess
import tempfile

import torch
from diffusers import UNet2DModel
from safetensors.torch import load_file, save_file

NETWORKS = {
    "ddpm": dict(
        sample_size=16, block_out_channels=(16, 32), layers_per_block=2, norm_num_groups=8, norm_eps=1e-6, attention_head_dim=None,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        downsample_padding=0, flip_sin_to_cos=False, freq_shift=1),
    "scale-shift": dict(
        sample_size=16, block_out_channels=(24, 48), layers_per_block=1, norm_num_groups=8, attention_head_dim=12,
        down_block_types=("AttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "AttnUpBlock2D"),
        resnet_time_scale_shift="scale_shift"),
}


def go(*args):
    subprocess.run(["go", "run", "./bench/peers/golden/roundtrip", *map(str, args)], check=True)


def load_strictly(folder):
    net, report = UNet2DModel.from_pretrained(folder, output_loading_info=True, low_cpu_mem_usage=False)
    assert not any(report.values()), report
    return net.eval()


def main():
    for name, config in NETWORKS.items():
        with tempfile.TemporaryDirectory() as theirs, tempfile.TemporaryDirectory() as ours:
            torch.manual_seed(0)
            net = UNet2DModel(**config).eval()
            net.save_pretrained(theirs)
            x, t = torch.randn(2, 3, 16, 16), torch.tensor([3.0, 42.5])
            save_file({"x": x.permute(0, 2, 3, 1).contiguous(), "t": t}, f"{theirs}/inputs.safetensors")
            go(theirs, ours)
            with torch.no_grad():
                want = net.double()(x.double(), t).sample.float()
            got = load_file(f"{ours}/outputs.safetensors")["y"].permute(0, 3, 1, 2)
            error = ((got - want).abs().max() / want.abs().max()).item()
            back = load_strictly(ours)
            same = all(torch.equal(a.float(), b) for a, b in zip(net.state_dict().values(), back.state_dict().values(), strict=True))
            print(f"{name}: output error {error:.2g} of the largest value, weights come back {'bit-identical' if same else 'CHANGED'}")
            assert error < 2e-5 and same
    with tempfile.TemporaryDirectory() as ours:
        go("init", ours)
        net = load_strictly(ours)
        size = pathlib.Path(ours, "diffusion_pytorch_model.safetensors").stat().st_size
        print(f"cifar10: diffusers loads our file of {size} bytes, {sum(p.numel() for p in net.parameters())} parameters")


main()
