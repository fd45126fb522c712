"""Learns to read handwritten digits, 8 x 8 pixels each, and writes the model and how good it is.

The data are CSV files, also compressed ones: 64 pixels (0 to 16) and the digit in each line, as in
the data set "digits" that scikit-learn ships.
"""
import argparse
import json
from pathlib import Path

import joblib
import numpy
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC


def read(folder):
    files = sorted(folder.glob("*.csv*"))
    if not files:
        raise SystemExit(f"no CSV file in {folder}")
    table = numpy.concatenate([numpy.loadtxt(file, delimiter=",", ndmin=2) for file in files])
    return table[:, :-1], table[:, -1].astype(int)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the CSV files")
    parser.add_argument("--model", type=Path, required=True, help="folder for what is made")
    parser.add_argument("--gamma", type=float, default=0.001)
    args = parser.parse_args()

    pixels, digits = read(args.data)
    split = train_test_split(pixels, digits, test_size=0.25, random_state=0)
    train_pixels, test_pixels, train_digits, test_digits = split
    model = SVC(gamma=args.gamma).fit(train_pixels, train_digits)
    accuracy = accuracy_score(test_digits, model.predict(test_pixels))
    metrics = {"accuracy": accuracy, "trained_on": len(train_digits), "tested_on": len(test_digits)}

    joblib.dump(model, args.model / "model.joblib")
    (args.model / "metrics.json").write_text(json.dumps(metrics) + "\n")
    print(f"accuracy {accuracy:.3f} on {len(test_digits)} digits")


if __name__ == "__main__":
    main()
