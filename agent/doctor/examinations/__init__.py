"""What is examined, one file a subject: each asks, and hands what it learned to the judges. `registry` lists them."""
