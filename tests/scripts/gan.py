"""A generative adversarial network of two perceptrons with an optimizer each, judged by a two-sample distance."""

import torch
from sklearn.datasets import load_digits
from torch import nn

NZ = 16
BATCH = 64
REAL, FAKE = 1.0, 0.0


def weights_init(m):
    if isinstance(m, nn.Linear):
        nn.init.normal_(m.weight, 0.0, 0.05)
        nn.init.zeros_(m.bias)


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(nn.Linear(NZ, 64), nn.ReLU(True), nn.Linear(64, 64), nn.Sigmoid())

    def forward(self, z):
        return self.main(z)


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(nn.Linear(64, 64), nn.LeakyReLU(0.2, inplace=True), nn.Linear(64, 1))

    def forward(self, x):
        return self.main(x).squeeze(1)


def mmd(x, y, widths=(1.0, 2.0, 4.0)):
    """The squared maximum mean discrepancy of two samples, with Gaussian kernels."""

    def kernel(a, b):
        return sum(torch.exp(-torch.cdist(a, b).square() / (2 * w * w)).mean() for w in widths)

    return (kernel(x, x) + kernel(y, y) - 2 * kernel(x, y)).item()


def train(trial):
    images = torch.tensor(load_digits().data / 16).float()
    dataset, valid, test = images[:1200], images[1200:1500], images[1500:]

    torch.manual_seed(trial.seed("init"))
    netG, netD = Generator().apply(weights_init), Discriminator().apply(weights_init)
    criterion = nn.BCEWithLogitsLoss()
    optimizerD = trial.optimizer(netD.parameters(), betas=(0.5, 0.999))
    optimizerG = trial.optimizer(netG.parameters(), betas=(0.5, 0.999))
    noise = torch.Generator().manual_seed(trial.seed("noise"))
    shuffle = torch.Generator().manual_seed(trial.seed("data"))
    fixed_noise = torch.randn(300, NZ, generator=noise)

    for _ in trial.epochs(4):
        for index in torch.randperm(len(dataset), generator=shuffle).split(BATCH):
            # Update D: maximize log(D(x)) + log(1 - D(G(z)))
            netD.zero_grad()
            real = dataset[index]
            label = torch.full((len(real),), REAL)
            errD_real = criterion(netD(real), label)
            errD_real.backward()
            fake = netG(torch.randn(len(real), NZ, generator=noise))
            label.fill_(FAKE)
            errD_fake = criterion(netD(fake.detach()), label)
            errD_fake.backward()
            optimizerD.step()
            # Update G: maximize log(D(G(z)))
            netG.zero_grad()
            label.fill_(REAL)
            errG = criterion(netD(fake), label)
            errG.backward()
            optimizerG.step()
        with torch.no_grad(), trial.evaluation():
            sample = netG(fixed_noise)
            trial.report(
                train_generator_loss=errG,
                train_discriminator_loss=errD_real + errD_fake,
                valid_loss=mmd(sample, valid),
                test_loss=mmd(sample, test),
            )
