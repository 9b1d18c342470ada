"""fastText models: reading their files, and inference on the shared text pass. The library itself only trains."""
