"""What people look at and hand over: what is in a folder, what is wrong with a dataset, labels for radiologists."""
