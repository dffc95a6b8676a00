"""What is compared, and what came of it: values that the other rooms pass on."""
