"""The sans-IO room: bytes in, events out. No sockets, no clock, no randomness, no logging.

Time, randomness and ids come in as arguments, so that every dialogue replays exactly.
"""
