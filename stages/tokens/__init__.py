"""From text to token ids: byte-pair encoding with Llama 3's vocabulary, and dialogs in its format."""
