"""Blood pressure by age, from the tables of tables.py; and codes, from an NDJSON export: by DuckDB.

python with_duckdb.py TABLES [--ndjson FOLDER]
"""

import argparse
from pathlib import Path

import duckdb

BY_AGE = """
select
    10 * floor(date_diff('day', p.born, b.taken) / 3652.5)::int as age,
    count(*) as readings,
    round(avg(b.systolic), 1) as systolic,
    round(100.0 * count(*) filter (b.systolic >= 140 or b.diastolic >= 90) / count(*), 1) as high
from read_parquet($pressures) b join read_parquet($patients) p on p.id = b.patient_id
group by age order by age
"""
# An export without a view: NDJSON is read as it is, the elements that are asked for become columns.
BY_CODE = """
select code.coding[1].code as code, count(*) as observations
from read_json(
    $files,
    format = 'newline_delimited',
    columns = {code: 'STRUCT(coding STRUCT(code VARCHAR)[])'},
    maximum_object_size = 100000000)
group by all order by observations desc, code limit 3
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", type=Path, help="folder of Parquet files")
    parser.add_argument("--ndjson", type=Path, help="folder of an export as NDJSON")
    options = parser.parse_args()
    files = {
        "pressures": str(options.tables / "blood_pressure.*.parquet"),
        "patients": str(options.tables / "patients.*.parquet"),
    }
    for age, readings, systolic, high in duckdb.execute(BY_AGE, files).fetchall():
        print(f"age {age:3}: {readings} readings, systolic {systolic}, {high} % high")
    if options.ndjson:
        files = {"files": str(options.ndjson / "Observation*.ndjson")}
        for code, observations in duckdb.execute(BY_CODE, files).fetchall():
            print(f"{code}: {observations}")


if __name__ == "__main__":
    main()
