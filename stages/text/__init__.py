"""The one text pass that all stages share: words, lines, paragraphs and sentences on Arrow's own buffers."""
