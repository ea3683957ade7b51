//! The run folder survives what a crash, a full disk and time do to it.

use std::{collections::BTreeMap, fs, io, path::Path, sync::Arc, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::{
    collect::series::CellSeries,
    drive::GeneratorAudit,
    experiment::{Arrivals, Cell, LoadPoint, Metric},
    platforms::PlatformKind,
    record::{Outcome, ServerTimings},
};

fn cell(id: &str) -> Cell {
    Cell {
        id: id.into(),
        order: 0,
        subject: "knative".into(),
        platform: PlatformKind::Knative,
        trial: 1,
        load: LoadPoint {
            name: "closed-8".into(),
            question: "How many?".into(),
            primary_metric: Metric::GoodputRps,
            arrivals: Arrivals::Closed { connections: 8, think_time: Duration::ZERO },
            warmup: Duration::from_secs(1),
            duration: Duration::from_secs(2),
            ..LoadPoint::default()
        },
        seed: 7,
    }
}

pub(super) fn meta(id: &str) -> CellMeta {
    CellMeta {
        schema_version: SCHEMA_VERSION,
        cell: cell(id),
        state: CellState::Running,
        started_unix_ns: 5,
        ready_after_ms: 12.5,
        settings: [("containerConcurrency".to_owned(), "1".to_owned())].into(),
        payloads: vec!["cat.jpg".into()],
        audit: None,
        revisions: BTreeMap::new(),
        remarks: Vec::new(),
    }
}

prop_compose! {
    fn any_record()(
        times in prop::array::uniform4(any::<u64>()),
        connected_ns: Option<u64>,
        first_byte_ns: Option<u64>,
        small in prop::array::uniform3(any::<u16>()),
        words in prop::array::uniform3(any::<u32>()),
        code in 0u8..7,
        instance in prop::option::of("[a-z]{0,6}/[a-zé日]{0,4}"),
        cold: bool,
        server in prop::option::of(prop::array::uniform5(any::<u32>())),
    ) -> Record {
        Record {
            call_id: times[0], scheduled_ns: times[1], sent_ns: times[2], connected_ns, first_byte_ns,
            done_ns: times[3], status: small[0], outcome: Outcome::from_code(code).unwrap(),
            bytes_sent: words[0], bytes_received: words[1], payload: small[1], endpoint: small[2],
            connection: words[2], instance: instance.map(Arc::from), cold,
            server: server.map(|[queue_us, decode_us, preprocess_us, inference_us, total_us]| {
                let (download_us, upload_us) = (queue_us / 2, total_us / 3);
                ServerTimings { queue_us, decode_us, preprocess_us, inference_us, download_us, upload_us, total_us }
            }),
        }
    }
}

/// Rows that can be told apart by their call id.
pub(super) fn rows(ids: std::ops::Range<u64>) -> Vec<Record> {
    ids.map(|call_id| Record {
        call_id,
        scheduled_ns: call_id * 10,
        sent_ns: call_id * 10 + 1,
        connected_ns: Some(call_id * 10 + 1),
        first_byte_ns: None,
        done_ns: call_id * 10 + 9,
        status: 200,
        outcome: Outcome::Ok,
        bytes_sent: 1,
        bytes_received: 2,
        payload: 0,
        endpoint: 0,
        connection: 3,
        instance: Some("pod/boot".into()),
        cold: false,
        server: None,
    })
    .collect()
}

fn read_stream(path: &Path) -> (Vec<Record>, Option<String>) {
    let mut records = Vec::new();
    let damage = stream::read(path, |batch| {
        records.extend(batch);
        Ok(())
    });
    (records, damage.unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn rows_come_back_from_the_stream_and_from_parquet(
        batches in prop::collection::vec(prop::collection::vec(any_record(), 0..20), 0..4),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (stream_path, parquet_path) = (folder.path().join("r.arrows"), folder.path().join("r.parquet"));
        let mut file = RecordFile::create(&stream_path).unwrap();
        for batch in &batches {
            file.append(batch).unwrap();
        }
        file.finish().unwrap();
        let all = batches.concat();
        prop_assert_eq!(read_stream(&stream_path), (all.clone(), None));
        parquet::convert(&stream_path, &parquet_path).unwrap();
        prop_assert_eq!(parquet::read(&parquet_path).unwrap(), all);
    }
}

#[test]
fn a_run_comes_back_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(folder.path(), "r1").unwrap();
    run.write_plan(&[cell("t01-a"), cell("t02-a"), cell("t03-a")]).unwrap();
    run.write_environment(&serde_json::json!({"kernel": "6.1"})).unwrap();
    let audit = GeneratorAudit { started_unix_ns: 99, sent: 5, ..GeneratorAudit::default() };
    let sample = TimedSample { at_ns: 4, sample: ReplicaSample::default() };
    for id in ["t02-a", "t01-a"] {
        let writer = run.cell_writer(meta(id)).unwrap();
        writer.append(&rows(0..3)).unwrap();
        writer.clone().append(&rows(3..5)).unwrap();
        writer.sample(&sample).unwrap();
        writer.finish(Some(audit.clone()), CellState::Done).unwrap();
    }

    let run = RunFolder::open(folder.path().join("r1")).unwrap();
    assert_eq!(run.id(), "r1");
    assert_eq!(run.read_environment().unwrap()["kernel"], "6.1");
    assert_eq!(run.read_summary().unwrap(), None);
    let cells = run.read_cells().unwrap();
    assert_eq!(cells.iter().map(|cell| cell.meta.cell.id.as_str()).collect::<Vec<_>>(), ["t01-a", "t02-a"]);
    let mut expected = meta("t01-a");
    (expected.state, expected.audit, expected.started_unix_ns) = (CellState::Done, Some(audit), 99);
    assert_eq!(
        cells[0],
        CellData {
            meta: expected,
            records: rows(0..5),
            samples: vec![sample],
            series: None,
            outcome: None,
            damage: vec![]
        }
    );
    fs::remove_file(run.path().join("cells/t01-a/records.arrows")).unwrap();
    assert_eq!(run.read_cells().unwrap()[0].records, rows(0..5), "Parquet stands in for the stream");
}

#[test]
fn cut_at_any_byte_of_the_last_batch_everything_before_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records.arrows");
    let mut file = RecordFile::create(&path).unwrap();
    let header = fs::metadata(&path).unwrap().len();
    file.append(&rows(0..10)).unwrap();
    let before = fs::metadata(&path).unwrap().len();
    file.append(&rows(10..15)).unwrap();
    let whole = fs::metadata(&path).unwrap().len();
    // From the end to the beginning, since cutting is quicker than writing anew.
    let cut = fs::File::options().write(true).open(&path).unwrap();
    for length in (before..=whole).rev() {
        cut.set_len(length).unwrap();
        let (records, damage) = read_stream(&path);
        let complete = records.len() == 15;
        assert!(complete || records.len() == 10, "{} records at {length}", records.len());
        assert_eq!(records, rows(0..records.len() as u64), "at {length}");
        let cut_inside = length > before && !complete;
        // Up to three bytes of a batch look like the end of the file to the reader: no rows are lost.
        assert!(damage.is_some() == cut_inside || length - before < 4, "{damage:?} at {length}");
    }
    for length in (0..header).rev() {
        cut.set_len(length).unwrap();
        let (records, damage) = read_stream(&path);
        assert!(records.is_empty());
        // The header ends in padding, which may be missing without harm.
        assert!(
            damage.is_some_and(|damage| damage.contains("its beginning is torn")) || header - length <= 8
        );
    }
}

#[test]
fn a_cell_that_was_killed_is_read_as_far_as_it_came() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(folder.path(), "r1").unwrap();
    run.write_plan(&[cell("t01-a")]).unwrap();
    let writer = run.cell_writer(meta("t01-a")).unwrap();
    writer.append(&rows(0..4)).unwrap();
    let cell_folder = run.path().join("cells/t01-a");
    fs::write(cell_folder.join("replicas.jsonl"), "{\"at_ns\":1,\"ready\":1").unwrap();
    let read = &run.read_cells().unwrap()[0];
    assert_eq!(read.meta.state, CellState::Running);
    assert_eq!(read.records, rows(0..4));
    assert_eq!(read.damage, ["replicas.jsonl: 1 torn line(s) left out"]);

    fs::remove_file(cell_folder.join("cell.json")).unwrap();
    let read = &run.read_cells().unwrap()[0];
    assert_eq!(read.records, rows(0..4));
    assert_eq!(read.meta.cell, cell("t01-a"));
    assert!(read.damage[0].starts_with("cell.json is missing or torn"));
}

#[test]
fn series_come_after_the_cell_and_a_torn_file_of_them_costs_only_itself() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(folder.path(), "r1").unwrap();
    run.write_plan(&[cell("t01-a")]).unwrap();
    let writer = run.cell_writer(meta("t01-a")).unwrap();
    writer.append(&rows(0..4)).unwrap();
    writer.finish(None, CellState::Done).unwrap();
    assert_eq!(run.read_cells().unwrap()[0].series, None, "folders of older harnesses have none");
    let series = CellSeries { source: "Prometheus 2.42.0".to_owned(), ..CellSeries::default() };
    writer.series(&series).unwrap();
    assert_eq!(run.read_cells().unwrap()[0].series.as_ref(), Some(&series));
    let later = CellSeries { source: "kubelet".to_owned(), ..CellSeries::default() };
    run.write_series("t01-a", &later).unwrap();
    assert_eq!(run.read_cells().unwrap()[0].series, Some(later));

    fs::write(run.path().join("cells/t01-a/series.json"), "{\"source\":\"Pro").unwrap();
    let read = &run.read_cells().unwrap()[0];
    let remarks = &read.series.as_ref().unwrap().remarks;
    assert!(remarks[0].starts_with("series.json cannot be read"), "{remarks:?}");
    assert_eq!((read.records.len(), read.damage.len()), (4, 0));
}

#[test]
fn what_a_newer_harness_wrote_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(folder.path(), "r1").unwrap();
    run.write_plan(&[cell("t01-a")]).unwrap();
    run.cell_writer(CellMeta { schema_version: 2, ..meta("t01-a") }).unwrap();
    let error = run.read_cells().unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 2, .. }), "{error}");
    assert!(error.to_string().contains("has format 2, and this harness reads up to 1; use a newer harness"));
}

#[test]
fn folders_are_not_overwritten_and_not_guessed() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(folder.path(), "r1").unwrap();
    assert!(matches!(RunFolder::create(folder.path(), "r1"), Err(StoreError::Exists { .. })));
    assert!(matches!(RunFolder::open(folder.path()), Err(StoreError::NotARun { .. })));
    run.cell_writer(meta("t01-a")).unwrap();
    assert!(run.cell_writer(meta("t01-a")).is_err(), "a cell is written once");
}

/// Takes so many bytes, then says that the disk is full.
struct FullDisk(usize);

impl io::Write for FullDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        if taken == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_an_error_at_any_byte_and_stays_one() {
    let mut refused = 0;
    for room in (0..6000).step_by(97) {
        let Ok(mut file) = RecordFile::begin(FullDisk(room)) else { continue };
        if file.append(&rows(0..10)).is_err() {
            refused += 1;
            assert_eq!(file.append(&rows(0..1)), file.append(&[rows(0..1), rows(1..2)].concat()));
            assert!(file.finish().is_err());
        }
    }
    assert!(refused > 5);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    assert!(RecordFile::begin(full).is_err());
}
