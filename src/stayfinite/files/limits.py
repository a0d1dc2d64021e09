"""The limits of what is read from files that may be untrusted.

Memory is bounded by the first group. Time is bounded by the second: it grows with the bytes that a
file occupies on the disk, not with the numbers in it. A checkpoint of any size that is stored as it
is, or compressed as weights are, is within the limits.
"""

from __future__ import annotations

MIB = 1 << 20
GIB = 1 << 30

# Memory, in bytes.
BLOCK = 16 * MIB  # values of a tensor that are read at a time
HDF5_CHUNK = 512 * MIB  # one chunk of a dataset, which HDF5 unpacks as a whole
JSON = 8 * MIB  # incident.json; the largest report so far has 60 kB
HEADER = 16 * MIB  # the header of safetensors, and the directory of a zip archive
ARRAY_HEADER = 16_384  # the header of an array of NumPy, which reads up to 10,000 characters

# Time.
EXPANSION = 200  # bytes of values for each byte on the disk; zlib reaches 1030
ALWAYS_UNPACKED = GIB  # bytes of values that a file may have in any case
HDF5_LINKS = 50_000
HDF5_DEPTH = 256  # groups inside groups
HDF5_CHUNKS = 4096  # chunks that are read at a time
HDF5_CHUNKS_OF_DATASET = 1_000_000
SECONDS = 5  # of processor time for any file, and for each BYTES_A_SECOND one more
BYTES_A_SECOND = 10 * MIB
EXTENTS = 10_000  # parts of a sparse file that are looked up

# Text on a terminal.
NAME = 200  # characters of the name of a tensor
MESSAGE = 600  # characters of the line that refuses a file

# An incident.
TEXT = 1 << 20  # characters
LINE = (1 << 31) - 1
INTEGER = 1 << 53
DIMENSIONS = 64
ARGUMENTS = 4096  # characters of the arguments of a script
STEP_RECORD = 16 * MIB  # replay.json, which has the config of the model
FIGURES = 4 * MIB  # figures.json, the numbers of the figures of a page
SHOWN_BATCH = 512 * MIB  # batch.safetensors, of which a page shows samples
LAYER_OUTPUT = 1 << 31  # values of the output of one layer of a model that is made of a config
