"""`gallery-128`: one search over 2.23 M references of 128 dimensions; see `harness_gallery`.

The population is fitted to the default pack's rates on LFW: thresholds .910, .928, .943, .955 at
FMR 1e-2 … 1e-5 are an impostor cosine of 0.855 ± 0.0235, and FNMR 0.7, 4.6, 16, 38 % there
a genuine one of 0.961 ± 0.021.
"""

from bench.harness import Result
from bench.harness_gallery import measure
from bench.harness_people import Population

NAME = "gallery-128"
POPULATION = Population(
    dimensions=128, mean_cosine=0.855, effective=38.0, genuine_mean=0.961, genuine_sd=0.021)


def run(small: bool) -> Result:
    """Measure."""
    return measure(NAME, POPULATION, small)
