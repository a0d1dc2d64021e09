"""# not-reproduced

The step was non-finite in training and finite in every replay.

Two replays are tried on the saved state and batch: the compiled step that failed, and the step
cut into small pieces and op by op. Where the first is non-finite and the second is not, the
compiler's fusion takes part: it may round once where two ops round twice. Where both are finite,
something outside the step's state does: a kernel that does not give the same bits twice, memory
or hardware, or a batch whose array was written to after the step had begun.

What to do: run the training again with the same seed. If the same step fails, compare the device
and the versions in the report; if another one does, look at the data pipeline first.
"""

from __future__ import annotations
