import sys
from pathlib import Path

# Makes networks_for_tests importable from the tests beside it.
sys.path.insert(0, str(Path(__file__).parent))
