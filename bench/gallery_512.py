"""`gallery-512`: one search over 2.23 M references of 512 dimensions; see `harness_gallery`.

The population is that of an ArcFace embedder: impostor cosines 0 ± 0.075, genuine
ones 0.56 ± 0.15 (FNMR 0.5, 1.1, 2.5, 5.5 % at FMR 1e-2 … 1e-5).
"""

from bench.harness import Result
from bench.harness_gallery import measure
from bench.harness_people import Population

NAME = "gallery-512"
POPULATION = Population(
    dimensions=512, mean_cosine=0.0, effective=178.0, genuine_mean=0.56, genuine_sd=0.15)


def run(small: bool) -> Result:
    """Measure."""
    return measure(NAME, POPULATION, small)
