"""From text to what a model is trained on: token ids, packed into sequences."""
