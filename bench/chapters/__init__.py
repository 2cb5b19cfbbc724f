"""The chapters of docs/performance.md, in its order. A scenario that measures has one here."""

from __future__ import annotations

from bench.chapter import Chapter
from bench.chapters import cuts, proxy, requests_only, scale, tunnel, wan

CHAPTERS: tuple[Chapter, ...] = (
    proxy.CHAPTER,
    tunnel.CHAPTER,
    requests_only.CHAPTER,
    wan.CHAPTER,
    scale.CHAPTER,
    cuts.CHAPTER,
)
BY_NAME = {chapter.name: chapter for chapter in CHAPTERS}
