"""Training: kinds of models, how they are fitted and calibrated, and how each becomes the same pickle-free bundle."""
