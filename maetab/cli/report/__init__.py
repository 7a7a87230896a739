"""What the verbs of the command line report, a file per subject; output.py prints it."""
