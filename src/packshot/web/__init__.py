"""The pages that people see, their live stream and the rules before them."""
