"""The chains of proxies that may lead to the server, as the user or the environment says."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

from underpass.carriers.server_url import ServerUrl
from underpass.client_options import Through
from underpass.errors import ConfigurationError, DialError
from underpass.net.stream import Dial
from underpass.outbound.sources import automatic_chains
from underpass.outbound.via import Chain

logger = logging.getLogger(__name__)


async def chains_for(through: Through, url: ServerUrl, dial: Dial) -> Sequence[Chain]:
    """The chains to try, best first; an empty one is the direct way. `dial` fetches a PAC file.

    Raises `ConfigurationError` for a setting that is none, or a PAC file that can't be had.
    """
    if through.pac is not None:
        from underpass.outbound.pac import pac_chains  # noqa: PLC0415 - few networks have one

        try:
            return await pac_chains(through.pac, url, dial)
        except DialError as error:
            raise ConfigurationError(f"via: {error.details}") from error
    if not through.is_auto:
        return [through.chain]
    try:
        return await automatic_chains(url, os.environ, dial)
    except DialError as error:
        # Of the network where this machine was set up, perhaps, and this is another.
        logger.warning("the system's PAC file can't be had, so it is tried directly: %s", error)
        return [()]
