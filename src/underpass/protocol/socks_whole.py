"""A SOCKS 5 client's messages where each comes whole, as nearly all do: read in one step.

They mean what they mean to `serve_socks`. What is not so, for any reason, is left to that: nothing
is refused here.
"""

from __future__ import annotations

from typing import Final

from underpass.address import Address
from underpass.protocol.socks import CONNECT, VERSION, AddressType, Method
from underpass.protocol.socks_server import SocksRequest, SocksVersion

# The answer to a greeting for which no login is wanted.
NO_LOGIN: Final = bytes((VERSION, Method.NONE))

# Plain numbers and objects: a member of an enum costs ten times what a name does.
_METHOD: Final = int(Method.NONE)
_FIVE: Final = SocksVersion.FIVE
_HEAD: Final = bytes((VERSION, CONNECT, 0))
_IPV4: Final = int(AddressType.IPV4)
_NAME: Final = int(AddressType.NAME)
_IPV4_BYTES: Final = 10
_NAME_AT: Final = 5


def is_whole_greeting(data: bytes) -> bool:
    """Whether `data` is a greeting and no more, of a client that can do without a login."""
    return (
        len(data) > 2
        and data[0] == VERSION
        and len(data) == 2 + data[1]
        and data.find(_METHOD, 2) >= 0
    )


def whole_request(data: bytes) -> SocksRequest | None:
    """The request that `data` is, if it is one for an IPv4 address or a name, and no more."""
    size = len(data)
    if size < _IPV4_BYTES or data[:3] != _HEAD:
        # A name of one or two letters is left to the dialogue.
        return None
    kind = data[3]
    if kind == _IPV4 and size == _IPV4_BYTES:
        host = f"{data[4]}.{data[5]}.{data[6]}.{data[7]}"
    elif kind == _NAME and size == _NAME_AT + data[4] + 2:
        host = data[_NAME_AT:-2].decode("latin-1")
    else:
        return None
    try:
        return SocksRequest(_FIVE, Address.of(host, data[-2] << 8 | data[-1]))
    except ValueError:
        return None
