"""What tests of recordings share: a QEMU of each generation that is here."""

import pytest
from kit.recordings import environment, here


@pytest.fixture(scope="module", params=here())
def env(request):
    return environment(request.param)
