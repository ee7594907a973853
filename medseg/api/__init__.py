"""What `import medseg` offers beyond the functions of the command line: models and what they predict."""
