"""What tests of recordings share: a QEMU of each generation that is here."""

import pytest
from kit.recordings import environment, here


@pytest.fixture(params=[32, 64])
def bits(request):
    """The width of the programs that are recorded."""
    return request.param


@pytest.fixture(scope="module", params=here())
def env(request):
    return environment(request.param)
