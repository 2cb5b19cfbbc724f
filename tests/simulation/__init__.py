"""Two sessions in a world without sockets, where time and every fault come from a seed.

`run` is the program, `simulation` puts a world together, and the rest is what it is made of:
`world` (the clock), `ways` (what carries bytes one way), `carrier`, `end` (what drives a session),
`application` (what uses its streams), `plan` (who does what), `faults` and `checks`.
"""
