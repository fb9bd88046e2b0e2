"""A process that was told to end does, whatever hangs in it."""

import subprocess
import sys

HANGS = """
import threading
from dms_operator.controller.shutdown import end_in_any_case

end_in_any_case(0.2)
threading.Thread(target=threading.Event().wait, name="stuck").start()
"""


def test_a_process_that_hangs_at_its_end_says_where_and_ends() -> None:
    done = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "threading.py" in done.stderr and "wait" in done.stderr
