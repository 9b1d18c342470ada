"""Files in and out: what there is to read, how it becomes Arrow batches, how outcomes are written."""
