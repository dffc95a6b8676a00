"""What claims are measured with: small networks trained in stacks, paths of schemes, gradients, times."""
