"""nnU-Net's two networks as dynamic-network-architectures 0.4 builds and names them, for checkpoints to import."""

import torch
from torch import nn

CONV = {2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
NORM = {"instance": {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}, "batch": {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}}
POOL = {2: nn.AvgPool2d, 3: nn.AvgPool3d}


class Unit(nn.Module):
    def __init__(self, d, i, o, kernel, stride, norm, bias=True, active=True):
        super().__init__()
        kernel = [kernel] * d if isinstance(kernel, int) else kernel
        self.conv = CONV[d](i, o, kernel, stride, [(k - 1) // 2 for k in kernel], bias=bias)
        self.norm = NORM[norm][d](o, eps=1e-5, affine=True)
        parts = [self.conv, self.norm]
        if active:
            self.nonlin = nn.LeakyReLU(inplace=True)
            parts.append(self.nonlin)
        self.all_modules = nn.Sequential(*parts)

    def forward(self, x):
        return self.all_modules(x)


class Stack(nn.Module):
    def __init__(self, d, n, i, o, kernel, stride, norm):
        super().__init__()
        self.convs = nn.Sequential(
            *[Unit(d, i if c == 0 else o, o, kernel, stride if c == 0 else 1, norm) for c in range(n)]
        )

    def forward(self, x):
        return self.convs(x)


class Block(nn.Module):
    def __init__(self, d, i, o, kernel, stride, norm):
        super().__init__()
        self.conv1 = Unit(d, i, o, kernel, stride, norm)
        self.conv2 = Unit(d, o, o, kernel, 1, norm, active=False)
        self.nonlin2 = nn.LeakyReLU(inplace=True)
        past = [POOL[d](stride, stride)] if max(stride) > 1 else []
        past += [Unit(d, i, o, 1, 1, norm, bias=False, active=False)] if i != o else []
        self.skip = nn.Sequential(*past) if past else lambda x: x

    def forward(self, x):
        return self.nonlin2(self.conv2(self.conv1(x)) + self.skip(x))


class Blocks(nn.Module):
    def __init__(self, d, n, i, o, kernel, stride, norm):
        super().__init__()
        one = [1] * d
        self.blocks = nn.Sequential(
            *[Block(d, i if b == 0 else o, o, kernel, stride if b == 0 else one, norm) for b in range(n)]
        )

    def forward(self, x):
        return self.blocks(x)


class Encoder(nn.Module):
    def __init__(self, d, channels, features, kernels, strides, blocks, residual, norm):
        super().__init__()
        self.stem = Stack(d, 1, channels, features[0], kernels[0], 1, norm) if residual else None
        i = features[0] if residual else channels
        stages = []
        for o, kernel, stride, n in zip(features, kernels, strides, blocks, strict=True):
            part = (Blocks if residual else Stack)(d, n, i, o, kernel, stride, norm)
            stages.append(part if residual else nn.Sequential(part))
            i = o
        self.stages = nn.Sequential(*stages)

    def forward(self, x):
        x = x if self.stem is None else self.stem(x)
        skips = []
        for stage in self.stages:
            x = stage(x)
            skips.append(x)
        return skips


class Decoder(nn.Module):
    def __init__(self, d, classes, encoder, features, kernels, strides, blocks, norm):
        super().__init__()
        self.encoder = encoder
        ups, stages, heads = [], [], []
        for s in range(1, len(features)):
            below, skip = features[-s], features[-(s + 1)]
            ups.append(TRANSPOSED[d](below, skip, strides[-s], strides[-s], bias=True))
            stages.append(Stack(d, blocks[s - 1], 2 * skip, skip, kernels[-(s + 1)], 1, norm))
            heads.append(CONV[d](skip, classes, 1))
        self.stages, self.transpconvs, self.seg_layers = nn.ModuleList(stages), nn.ModuleList(ups), nn.ModuleList(heads)

    def forward(self, skips):
        x = skips[-1]
        for s, stage in enumerate(self.stages):
            x = stage(torch.cat((self.transpconvs[s](x), skips[-(s + 2)]), 1))
        return self.seg_layers[-1](x)


class NnUNet(nn.Module):
    """PlainConvUNet, or ResidualEncoderUNet."""

    def __init__(self, d, channels, classes, features, kernels, strides, blocks, decoder, residual, norm="instance"):
        super().__init__()
        self.encoder = Encoder(d, channels, features, kernels, strides, blocks, residual, norm)
        self.decoder = Decoder(d, classes, self.encoder, features, kernels, strides, decoder, norm)

    def forward(self, x):
        return self.decoder(self.encoder(x))


def randomize(network, seed=0):
    """Weights that are neither symmetric nor near their start, running means and biases included."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                drawn = torch.randn(tensor.shape, generator=generator) * 0.3
                tensor.copy_(drawn.abs() + 0.5 if name.endswith("running_var") else drawn)
    return network.eval()
