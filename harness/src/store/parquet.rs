//! The same rows as Parquet, made after the cell: smaller, and what other tools like to read.

use std::{fs::File, path::Path};

use polars::prelude::{
    Column, DataFrame, KeyValueMetadata, ParquetCompression, ParquetReader, ParquetWriter, PolarsError,
    PolarsResult, SerReader, Series,
};

use super::{SCHEMA_VERSION, StoreError, columns, files, stream};
use crate::record::Record;

/// Rows in a row group: what is held in memory while converting.
const GROUP_ROWS: usize = 1 << 16;

/// Converts a record stream into a Parquet file, whole or not at all. A torn end is left out.
///
/// # Errors
/// When the stream cannot be read, or the disk refuses.
pub fn convert(from: &Path, to: &Path) -> Result<(), StoreError> {
    let draft = files::draft(to);
    let refuse = |error: PolarsError| files::format(to, error);
    let file = File::create(&draft).map_err(files::io(&draft))?;
    let mut rows: Vec<Record> = Vec::new();
    let version = vec![("schema_version".to_owned(), SCHEMA_VERSION.to_string())];
    let empty = frame(&rows).map_err(refuse)?;
    let mut writer = ParquetWriter::new(file)
        .with_compression(ParquetCompression::Zstd(None))
        .with_key_value_metadata(Some(KeyValueMetadata::from_static(version)))
        // Threads of a pool would run beside the next cell's generator.
        .set_parallel(false)
        .batched(empty.schema())
        .map_err(refuse)?;
    stream::read(from, |batch| {
        rows.extend(batch);
        if rows.len() >= GROUP_ROWS {
            frame(&rows).and_then(|frame| writer.write_batch(&frame)).map_err(refuse)?;
            rows.clear();
        }
        Ok(())
    })?;
    frame(&rows).and_then(|frame| writer.write_batch(&frame)).map_err(refuse)?;
    writer.finish().map_err(refuse)?;
    std::fs::rename(&draft, to).map_err(files::io(to))
}

fn frame(rows: &[Record]) -> PolarsResult<DataFrame> {
    let columns = columns::schema()
        .iter_names()
        .zip(columns::encode(rows))
        .map(|(name, array)| Ok(Column::from(Series::try_from((name.clone(), array))?)))
        .collect::<PolarsResult<Vec<_>>>()?;
    DataFrame::new(rows.len(), columns)
}

/// Reads all rows.
pub(super) fn read(path: &Path) -> Result<Vec<Record>, StoreError> {
    let file = File::open(path).map_err(files::io(path))?;
    let frame = ParquetReader::new(file).finish().map_err(|error| files::format(path, error))?;
    let names: Vec<String> = frame.columns().iter().map(|column| column.name().to_string()).collect();
    let arrays: Vec<_> = frame
        .columns()
        .iter()
        .map(|column| column.as_materialized_series().rechunk().chunks()[0].clone())
        .collect();
    columns::decode(&names, &arrays).map_err(|cause| files::format(path, cause))
}
