"""Side-by-side timings against what a user would write otherwise; `make bench` runs them all."""
