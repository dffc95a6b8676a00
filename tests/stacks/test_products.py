"""Products of stacks: each member's own, to the same bits wherever it lies and whoever lies beside it."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg.stacks import products

size = st.integers(1, 40)


def drawn(seed, *shape, dtype):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def laid(x, how):
    """The same numbers, laid out in another way."""
    if how == "transposed":
        return x.mT.contiguous().mT
    if how == "beside others":
        return torch.cat([x, x], -1)[..., : x.shape[-1]]
    if how == "behind others":
        return torch.cat([x.new_zeros(3), x.flatten()])[3:].view(x.shape)
    return x


layout = st.sampled_from(["contiguous", "transposed", "beside others", "behind others"])


@settings(max_examples=40)
@given(members=st.integers(1, 9), m=size, k=size, n=size, bias=st.booleans(), single=st.booleans(), how=layout)
def test_each_product_is_its_own(members, m, k, n, bias, single, how):
    dtype = torch.float32 if single else torch.float64
    a, b = drawn(1, members, m, k, dtype=dtype), drawn(2, members, k, n, dtype=dtype)
    of_bias = drawn(3, members, n, dtype=dtype) if bias else None
    together = products.product(laid(a, how), laid(b, how), of_bias)
    exact = a.double().numpy() @ b.double().numpy()
    if of_bias is not None:
        exact = exact + of_bias.double().numpy()[:, None]
    # The sum of the sizes of what is added up bounds the error of any order.
    bound = np.abs(a.double().numpy()) @ np.abs(b.double().numpy()) + 4
    assert (np.abs(together.double().numpy() - exact) <= (k + 4) * torch.finfo(dtype).eps * bound).all()
    for at in range(members):
        own = slice(at, at + 1)
        alone = products.product(
            laid(a[own], how), laid(b[own], how), None if of_bias is None else of_bias[own].clone()
        )
        assert torch.equal(alone[0], together[at]), at


@settings(max_examples=20)
@given(members=st.integers(1, 6), rows=st.lists(st.integers(1, 5), max_size=2), k=size, n=size, bias=st.booleans())
def test_gradients_of_a_linear_layer_are_torchs(members, rows, k, n, bias):
    x, weight = drawn(1, members, *rows, k, dtype=torch.float64), drawn(2, members, n, k, dtype=torch.float64)
    of_bias = [drawn(3, members, n, dtype=torch.float64)] if bias else []
    mine = [t.clone().requires_grad_() for t in (x, weight, *of_bias)]
    theirs = [t.clone().requires_grad_() for t in (x, weight, *of_bias)]
    given_ = products.linear(*mine)
    expected = torch.stack([torch.nn.functional.linear(*own) for own in zip(*theirs, strict=True)])
    torch.testing.assert_close(given_, expected, rtol=1e-12, atol=1e-12)
    for out in (given_, expected):
        (out * drawn(4, *out.shape, dtype=torch.float64)).sum().backward()
    for t, u in zip(mine, theirs, strict=True):
        torch.testing.assert_close(t.grad, u.grad, rtol=1e-12, atol=1e-12)


def test_gradients_of_a_product_are_torchs():
    for shapes in (((3, 5, 7), (3, 7, 2)), ((3, 4, 5, 1), (3, 4, 1, 2))):
        a, b = (drawn(i, *shape, dtype=torch.float64).requires_grad_() for i, shape in enumerate(shapes))
        assert torch.autograd.gradcheck(products.matmul, (a, b)), shapes
        torch.testing.assert_close(products.matmul(a, b), a @ b, rtol=1e-12, atol=1e-12)
