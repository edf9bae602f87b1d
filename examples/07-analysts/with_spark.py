"""Blood pressure by age, from the tables of tables.py, and types, from an NDJSON export: by Spark.

python with_spark.py TABLES [--ndjson FOLDER]. Spark needs Java 17 or 21.
"""

import argparse
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as f


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", type=Path, help="folder of Parquet files")
    parser.add_argument("--ndjson", type=Path, help="folder of an export as NDJSON")
    options = parser.parse_args()
    building = SparkSession.builder.master("local[2]").appName("analysts")
    # One person's laptop: no page to look at, and no more parts than processors.
    building = building.config("spark.ui.enabled", "false")
    building = building.config("spark.sql.shuffle.partitions", "2")
    building = building.config("spark.sql.session.timeZone", "UTC")
    spark = building.getOrCreate()
    try:
        by_age(spark, options.tables)
        if options.ndjson:
            counted(spark, options.ndjson)
    finally:
        spark.stop()


def by_age(spark: SparkSession, tables: Path) -> None:
    """Readings, the mean systolic pressure and the share of high ones, by tens of years of age."""
    pressures = spark.read.parquet(str(tables / "blood_pressure.*.parquet"))
    patients = spark.read.parquet(str(tables / "patients.*.parquet"))
    joined = pressures.join(patients, pressures.patient_id == patients.id)
    days = f.datediff(f.col("taken"), f.col("born"))
    age = (10 * f.floor(days / 3652.5)).cast("int").alias("age")
    is_high = (f.col("systolic") >= 140) | (f.col("diastolic") >= 90)
    found = joined.groupBy(age).agg(
        f.count("*").alias("readings"),
        f.round(f.avg("systolic"), 1).alias("systolic"),
        f.round(100 * f.avg(is_high.cast("int")), 1).alias("high"),
    )
    for row in found.orderBy("age").collect():
        share = f"{row.high} % high"
        print(f"age {row.age:3}: {row.readings} readings, systolic {row.systolic}, {share}")


def counted(spark: SparkSession, folder: Path) -> None:
    """How many resources of each type there are: no more is read of each than its type."""
    lines = spark.read.schema("resourceType string").json(str(folder / "*.ndjson"))
    for row in lines.groupBy("resourceType").count().orderBy("resourceType").collect():
        print(f"{row.resourceType}: {row['count']}")


if __name__ == "__main__":
    main()
