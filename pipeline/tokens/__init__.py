"""The end of a run: documents shuffled, packed into sequences, written in a format of the field, read by trainers."""
