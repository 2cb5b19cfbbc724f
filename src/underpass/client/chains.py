"""The chains of proxies that may lead to the server, as the user or the environment says."""

from __future__ import annotations

import urllib.request
from collections.abc import Sequence

from underpass.carriers.server_url import ServerUrl
from underpass.client_options import Through
from underpass.options import Via
from underpass.outbound.upstream import Chain, UpstreamProxy


def chains_for(through: Through, url: ServerUrl) -> Sequence[Chain]:
    """The chains to try, best first; an empty one is the direct way."""
    if not through.is_auto:
        return [tuple(UpstreamProxy.parse(via.url) for via in through.chain)]
    if urllib.request.proxy_bypass_environment(str(url.address)):  # type: ignore[attr-defined]
        return [()]
    proxies = urllib.request.getproxies_environment()
    found = proxies.get(url.scheme) or proxies.get("all")
    if not found:
        return [()]
    try:
        via = Via.parse(found if "://" in found else f"http://{found}")
    except ValueError:
        # The environment is everybody's: what we don't understand is not for us.
        return [()]
    return [(UpstreamProxy.parse(via.url),), ()]
