"""What is particular to training the network that finds personal data."""
