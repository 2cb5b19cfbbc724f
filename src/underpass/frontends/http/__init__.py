"""The HTTP front end: answers CONNECT and forwards ordinary requests, whatever is behind it.

- `frontend`: `HttpFrontEnd`, what a listener's streams are handed to
- `conversation`: one client's requests in turn
- `connect`: CONNECT, from the dial to the relay
- `forward`: one absolute-form request and its response
- `quick`: those of them that are simple, without the client's task
- `own`: requests for the proxy itself
- `pool`: streams to destinations that wait for their next request
- `authentication`: who a client is
- `state`: what all conversations share
"""

from underpass.frontends.http.authentication import Authenticator, Throttled
from underpass.frontends.http.frontend import HttpFrontEnd
from underpass.frontends.http.state import FrontEndOptions

__all__ = ["Authenticator", "FrontEndOptions", "HttpFrontEnd", "Throttled"]
