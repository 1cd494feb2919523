"""What runs a recipe in its library's environment: phases, timed predictions, several processes."""
