"""Load what `stayfinite train` saved, without stayfinite, and compare the predictions bit for bit.

stayfinite train siamese IMAGES --out siamese-out
python reload_network.py siamese-out/encoder
python reload_network.py resnet3d-out/model
"""

import argparse
from pathlib import Path

import keras
import numpy as np


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("prefix", help="folder, and the beginning of the names of the files")
    prefix = parser.parse_args().prefix
    rebuilt = keras.models.model_from_json(Path(f"{prefix}.architecture.json").read_text())
    rebuilt.load_weights(f"{prefix}.weights.h5")
    whole = keras.saving.load_model(f"{prefix}.keras")
    sample = np.load(f"{prefix}.sample.npz")
    for network, source in ((rebuilt, ".architecture.json and .weights.h5"), (whole, ".keras")):
        predictions = np.asarray(network.predict_on_batch(sample["inputs"]))
        difference = np.abs(predictions - sample["outputs"]).max()
        equal = np.array_equal(predictions, sample["outputs"])
        print(f"{source}: {'equal' if equal else f'differs by up to {difference:.1e}'}")


if __name__ == "__main__":
    main()
