"""Named configurations of a training side by side, with their curves: `stayfinite lab`."""
