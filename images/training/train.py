"""Fits a straight line to two columns of a CSV file: paths come from the job spec."""
import csv
import json
import os
import sys

import numpy


def main():
    data = os.environ["AZURE_ML_INPUT_data"]
    model = os.environ["AZURE_ML_OUTPUT_model"]
    x_name, y_name = sys.argv[1:3]
    with open(data, newline="") as file:
        rows = list(csv.DictReader(file))
    x = numpy.array([float(row[x_name]) for row in rows])
    y = numpy.array([float(row[y_name]) for row in rows])
    slope, intercept = numpy.polyfit(x, y, 1)
    with open(os.path.join(model, "model.json"), "w") as file:
        json.dump({"x": x_name, "y": y_name, "slope": slope, "intercept": intercept}, file)
    print(f"{y_name} = {slope:.4f} * {x_name} + {intercept:.4f}")


if __name__ == "__main__":
    main()
