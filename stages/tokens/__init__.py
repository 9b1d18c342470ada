"""From text to what a model is trained on: token ids, dialogs in Llama 3's format, all packed into sequences."""
