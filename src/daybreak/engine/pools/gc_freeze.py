"""Imported last by the fork server: what is there now is shared by all workers for good.

Objects moved to the permanent generation are not visited by the garbage collector, so that the
workers neither spend time on them nor copy their pages.
"""

import gc

gc.collect()
gc.freeze()
