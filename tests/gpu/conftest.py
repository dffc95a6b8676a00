from importlib.util import find_spec

# Triton is for Linux alone. Without it there is no interpreter and no compiler; the host's side can be tested still.
NEED_TRITON = ["test_triton_*", "test_interpreted_*", "test_ptx.py", "test_gpu_steps.py"]
collect_ignore_glob = [] if find_spec("triton") else NEED_TRITON
