"""What is wrong with the workflows of continuous integration, told before they are pushed."""
