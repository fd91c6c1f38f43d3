"""The registry: Git tags say which version each stage serves; here they are read, written and followed."""
