"""One arithmetic for x86-64 machines with AVX2, whatever else the processor has.

Wider vectors sum in another order, and networks trained with them differ. The libraries choose
their code when they are loaded, so these variables must be set before Python starts. Two networks
came out bit for bit alike on a processor with AVX-512 and on an emulated one without; that all
processors agree is hoped, not shown.
"""

import platform

FIXED = {
    "ATEN_CPU_CAPABILITY": "avx2",  # torch
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # its convolutions
    "MKL_CBWR": "COMPATIBLE",  # its products of matrices: the one mode that knows no maker
    "OPENBLAS_CORETYPE": "Haswell",  # those of NumPy and SciPy
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",  # NumPy's loops
    "OMP_NUM_THREADS": "1",  # the order of sums follows the number of threads
}


def environment() -> dict[str, str]:
    """Return the variables that fix the arithmetic of a process here."""
    if platform.machine().lower() in ("x86_64", "amd64"):
        return dict(FIXED)
    return {"OMP_NUM_THREADS": FIXED["OMP_NUM_THREADS"]}
