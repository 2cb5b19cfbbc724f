"""What the proxy and the tunnel's server can both be told."""

from __future__ import annotations

from pathlib import Path

import pytest

from underpass.address import ListenAddress
from underpass.errors import ConfigurationError
from underpass.options import ProxyOptions
from underpass.server_options import ServerOptions
from underpass.serving_options import ServingOptions

HERE = ListenAddress("127.0.0.1", 80)
BOTH = [ProxyOptions, ServerOptions]


@pytest.mark.parametrize("kind", BOTH)
def test_there_is_a_listener_and_none_twice(kind: type[ServingOptions]) -> None:
    with pytest.raises(ConfigurationError, match="expected at least one address"):
        kind(listen=())
    with pytest.raises(ConfigurationError, match="listen: the same address twice"):
        kind(listen=(HERE, HERE))


@pytest.mark.parametrize("kind", BOTH)
def test_a_certificate_has_a_key(kind: type[ServingOptions]) -> None:
    with pytest.raises(ConfigurationError, match="tls_cert: needs tls_key beside it"):
        kind(tls_cert=Path("c"))
    with pytest.raises(ConfigurationError, match="tls_key: needs tls_cert beside it"):
        kind(tls_key=Path("k"))
    assert kind(tls_cert=Path("c"), tls_key=Path("k")).is_tls
    assert not kind().is_tls
