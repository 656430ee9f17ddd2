"""What a worker imports before its first step: no more than it needs."""

from __future__ import annotations

import subprocess
import sys

WORKER = "parsl.executors.high_throughput.process_worker_pool"


def _python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_parsl_without_its_providers():
    found = _python(
        "import sys\n"
        "from daybreak.engine.pools.lean_parsl import import_lean\n"
        f"import_lean('{WORKER}')\n"
        f"pool = sys.modules['{WORKER}']\n"
        "heavy = [m for m in ('kubernetes', 'parsl.dataflow.dflow') if m in sys.modules]\n"
        "print(callable(pool.worker), heavy)"
    )
    assert found == "True []"


def test_where_parsl_is_laid_out_otherwise_all_of_it_is_imported():
    """Stand-ins that hide what the module needs are taken away again."""
    found = _python(
        "import sys\n"
        "from daybreak.engine.pools import lean_parsl\n"
        "lean_parsl._PACKAGES += ('parsl.serialize',)\n"  # its functions come from the package
        f"lean_parsl.import_lean('{WORKER}')\n"
        "import parsl\n"
        f"print(callable(sys.modules['{WORKER}'].worker), hasattr(parsl, 'Config'))"
    )
    assert found == "True True"


def test_parsl_that_is_there_already_stays_as_it_is():
    found = _python(
        "import parsl\n"
        "from daybreak.engine.pools.lean_parsl import import_lean\n"
        f"import_lean('{WORKER}')\n"
        "print(hasattr(parsl, 'Config'))"
    )
    assert found == "True"


def test_scipys_docstrings_stay_as_they_are_written():
    found = _python(
        "import daybreak.engine.pools.worker_imports\n"
        "import scipy.signal, scipy.optimize, scipy.stats, scipy.ndimage, scipy.special\n"
        "print('Convolve two' in scipy.signal.fftconvolve.__doc__, scipy.special.erf(0.0))"
    )
    assert found == "True 0.0"


def test_the_first_step_of_an_analysis_needs_neither_gammapy_nor_scipy():
    found = _python(
        "import sys\n"
        "import daybreak.requests.analysis.steps.reduce\n"
        "print([m for m in ('gammapy', 'scipy', 'matplotlib', 'regions') if m in sys.modules])"
    )
    assert found == "[]"
