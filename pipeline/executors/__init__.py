"""Who runs the tasks of a phase. The tasks are the same everywhere, and so are the bytes they write."""
