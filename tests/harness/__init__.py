"""What the tests stand on: an environment, databases cloned from one template, real processes."""
