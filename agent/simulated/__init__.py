"""A made-up past, so that pages and reports can be seen before there is a real one. It is marked, and never counted."""
