"""The console script: one command for each thing a person does with the system."""
