"""Draws blood pressure by age, men and women, from the tables of tables.py: a PNG of 30 kB.

python chart.py TABLES PICTURE.png
"""

import sys
from pathlib import Path

import duckdb
import matplotlib as mpl

mpl.use("agg")  # a file, no window
from matplotlib import pyplot as plt

QUERY = """
select
    p.gender,
    5 * floor(date_diff('day', p.born, b.taken) / 1826.25)::int as age,
    avg(b.systolic) as systolic,
    avg(b.diastolic) as diastolic
from read_parquet($pressures) b join read_parquet($patients) p on p.id = b.patient_id
where p.gender in ('male', 'female')
group by p.gender, age having count(*) >= 5 order by age
"""
COLOURS = {"male": "#1f5f99", "female": "#b8442c"}


def main() -> None:
    folder, picture = Path(sys.argv[1]), Path(sys.argv[2])
    files = {
        "pressures": str(folder / "blood_pressure.*.parquet"),
        "patients": str(folder / "patients.*.parquet"),
    }
    rows = duckdb.execute(QUERY, files).fetchall()
    figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
    for gender, colour in COLOURS.items():
        own = [row for row in rows if row[0] == gender]
        ages = [row[1] + 2.5 for row in own]
        axes.plot(ages, [row[2] for row in own], color=colour, label=f"systolic, {gender}")
        axes.plot(
            ages, [row[3] for row in own], color=colour, linestyle=":", label=f"diastolic, {gender}"
        )
    axes.set(xlabel="age in years", ylabel="mm[Hg]", title="Mean blood pressure at a checkup")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, ncols=2, fontsize="small")
    figure.savefig(picture, dpi=90)
    print(picture.name, picture.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
