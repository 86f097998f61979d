"""One page over all experiments: which scheme for a workload like yours, the mail's claims, every experiment."""

from mmuexp.runtime.packages import callable_package

callable_package(__name__)
