"""Blood pressure by age, from the tables of tables.py: by pandas.

python with_pandas.py TABLES
"""

import sys
from pathlib import Path

import pandas as pd


def table(folder: Path, name: str) -> pd.DataFrame:
    """A table, whatever the number of its files."""
    files = sorted(folder.glob(f"{name}.*.parquet"))
    return pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)


def by_age(folder: Path) -> pd.DataFrame:
    """Readings, the mean systolic pressure and the share of high ones, by tens of years of age."""
    pressures = table(folder, "blood_pressure")
    patients = table(folder, "patients").set_index("id")
    joined = pressures.join(patients, on="patient_id")
    days = joined["taken"].dt.tz_localize(None) - pd.to_datetime(joined["born"])
    joined["age"] = (days.dt.days // 3652.5 * 10).astype(int)
    joined["high"] = (joined["systolic"] >= 140) | (joined["diastolic"] >= 90)
    return joined.groupby("age").agg(
        readings=("id", "count"), systolic=("systolic", "mean"), high=("high", "mean")
    )


def main() -> None:
    for row in by_age(Path(sys.argv[1])).itertuples():
        share = f"{100 * row.high:.1f} % high"
        print(f"age {row.Index:3}: {row.readings} readings, systolic {row.systolic:.1f}, {share}")


if __name__ == "__main__":
    main()
