"""One page over all experiments: which scheme for a workload like yours, the mail's claims, every experiment."""
