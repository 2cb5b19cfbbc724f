"""A wide area network of our own: two network namespaces and an emulator between them."""
