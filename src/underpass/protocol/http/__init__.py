"""HTTP/1 as the proxy speaks it: strict on what comes in, written anew on what goes out.

- `fields`, `head`: the parts of a message's head, parsed and serialised side by side
- `framing`, `chunked`: where a body ends
- `message`: incremental readers of requests and responses
- `target`: the four forms of a request's target
- `rules`: what changes when a message is forwarded
- `refusal`, `proxy_status`: how a failure is told
- `credentials`, `digest`: Proxy-Authorization, as server and as client
"""
