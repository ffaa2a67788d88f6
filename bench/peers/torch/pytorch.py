"""The cases in PyTorch. Every function prepares one and returns (run, error): a function that runs it once, and how far its
results are from ours."""

import torch

from network import Case, Network, difference


def load(folder, variant):
    """The network and case in a variant; frozen weights where only the forward pass is wanted are the compiler's choice."""
    how, layout = variant.split("/")
    case = Case(folder, layout == "channels_last")
    net = Network(folder).to(memory_format=case.format)
    return net, case, how == "compile"


def forward(folder, variant):
    net, case, compiled = load(folder, variant)
    net.eval().requires_grad_(False)
    x, t = case["x"], case["t"]
    call = compile_frozen(net) if compiled else net

    @torch.no_grad()
    def run():
        return call(x, t)

    return run, difference(run(), case["y"])


def compile_frozen(function):
    """torch.compile with weights as constants, laid out as the kernels want them."""
    torch._inductor.config.freezing = True
    return torch.compile(function)


def train(folder, variant):
    """A step like ours: mean squared error, clipping by the global norm, fused AdamW, moving average."""
    net, case, compiled = load(folder, variant)
    x, t, target = case["x"], case["t"], case["target"]
    s = case.settings
    net.train()
    parameters = list(net.parameters())
    ema = [p.detach().clone() for p in parameters]
    adam = torch.optim.AdamW(parameters, lr=s["LR"], betas=(s["Beta1"], s["Beta2"]), eps=s["Eps"], weight_decay=s["WeightDecay"], fused=True)
    call = torch.compile(net) if compiled else net

    def gradients():
        adam.zero_grad(set_to_none=True)
        loss = torch.nn.functional.mse_loss(call(x, t), target)
        loss.backward()
        return loss.detach()

    def run():
        loss = gradients()
        if s["Clip"] > 0:
            torch.nn.utils.clip_grad_norm_(parameters, s["Clip"], foreach=True)
        adam.step()
        with torch.no_grad():
            torch._foreach_lerp_(ema, parameters, 1 - s["EMA"])
        return loss

    loss = gradients()
    want = case.gradients()
    largest = max(v.abs().max().item() for v in want.values())
    got = {name: p.grad for name, p in net.unet.named_parameters()}
    assert got.keys() == want.keys(), "the gradients are of different parameters"
    errors = [difference(got[name], v, least=1e-3 * largest) for name, v in want.items()]
    return run, max(errors + [difference(loss, case["loss"].sum())])


def estep(folder, variant):
    """Plug-and-play Monte Carlo: Langevin steps with a denoiser in each, and one more denoiser call at the end."""
    net, case, compiled = load(folder, variant)
    net.eval().requires_grad_(False)
    y = case["y"]
    keys = ["Skip", "Out", "In", "Conditioning", "Data", "Relax", "Noise"]
    steps = [[torch.tensor(s[k], dtype=torch.float32) for k in keys] for s in case.settings["steps"]]

    def denoise(z, skip, out, scale, conditioning):
        return skip * z + out * net(scale * z, conditioning.expand(len(z)))

    def langevin(x, noise, skip, out, scale, conditioning, data, relax, width):
        z = x - data * (x - y)
        return z + relax * (denoise(z, skip, out, scale, conditioning) - z) + width * noise

    if compiled:
        langevin, denoise = compile_frozen(langevin), compile_frozen(denoise)

    @torch.no_grad()
    def chain(x, noise):
        for k, step in enumerate(steps):
            x = langevin(x, noise(k + 1), *step)
        return denoise(x, *steps[-1][:4])

    def run():
        return chain(2 * torch.rand_like(y) - 1, lambda k: torch.randn_like(y))

    return run, difference(chain(2 * case["noise.0"] - 1, lambda k: case[f"noise.{k}"]), case["x"])


def gemm(folder, _):
    case = Case(folder)
    a = case["a"]
    c = torch.empty_like(a)
    return lambda: torch.mm(a, a, out=c), difference(a @ a, case["c"])
