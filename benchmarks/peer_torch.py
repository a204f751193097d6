"""The fast network's training step in PyTorch, with the settings that PyTorch's performance guide gives for a CPU.

bfloat16 autocast, channels_last, one thread a core, and an allocator that keeps its memory, with and without huge
pages: `ENVIRONMENTS` tells glibc so. It runs eagerly, as airbench's scripts do on a CPU; `torch.compile` needs
a C++ compiler at run time and is not measured.
"""

# As PyTorch's performance guide asks for (with jemalloc or tcmalloc; glibc can be told to do the same).
_KEEP = {"MALLOC_MMAP_THRESHOLD_": str(2**40), "MALLOC_TRIM_THRESHOLD_": str(2**40)}
ENVIRONMENTS = {
    "PyTorch, memory kept, huge pages": _KEEP | {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"},
    "PyTorch, memory kept": _KEEP,
    "PyTorch, default allocator": {},
}


def make_step(batch_size: int, threads: int, learning_rate: float):
    """A function that runs one step of forward, backward and SGD with Nesterov momentum on one batch in memory."""
    import torch
    from torch import nn
    from torch.nn import functional

    torch.manual_seed(0)
    torch.set_num_threads(threads)

    def conv(inputs, outputs):
        return nn.Conv2d(inputs, outputs, 3, padding="same", bias=False)

    def norm(channels):
        layer = nn.BatchNorm2d(channels, eps=1e-12, momentum=0.4)
        layer.weight.requires_grad = False
        return layer

    def gelu():
        return nn.GELU(approximate="tanh")  # as on the other side

    def block(inputs, outputs):
        first = [conv(inputs, outputs), nn.MaxPool2d(2), norm(outputs), gelu()]
        return [*first, conv(outputs, outputs), norm(outputs), gelu()]

    whitening = nn.Conv2d(3, 24, 2, bias=False).requires_grad_(False)
    blocks = [*block(24, 64), *block(64, 256), *block(256, 256)]
    head = [nn.MaxPool2d(3), nn.Flatten(), nn.Linear(256, 10, bias=False)]
    model = nn.Sequential(whitening, gelu(), *blocks, *head).to(memory_format=torch.channels_last).train()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(parameters, learning_rate, momentum=0.85, nesterov=True)
    images = torch.randn(batch_size, 3, 32, 32).to(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (batch_size,))

    def step():
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(images)
        loss = functional.cross_entropy(logits.float() / 256, labels, label_smoothing=0.2)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step
