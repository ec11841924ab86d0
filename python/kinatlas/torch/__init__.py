"""Parts that live in a user's own PyTorch code; nothing else in kinatlas imports them."""
