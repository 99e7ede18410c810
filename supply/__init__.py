"""What is installed: the locks of both images, and the audit of what they name."""
