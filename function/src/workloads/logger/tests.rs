//! The logger, called as the server calls it.

use proptest::prelude::*;

use super::*;

fn logger(change: impl FnOnce(&mut Settings)) -> Logger {
    let mut settings = Settings { keep: 10, remember: 100, file: None, sync: FileSync::Never };
    change(&mut settings);
    Logger::new(settings).unwrap()
}

/// An event in binary mode, `changes` over its attributes; an empty value leaves one out.
fn binary(changes: &[(&str, &str)]) -> Input {
    let usual = [("id", "a-1"), ("source", "/x"), ("specversion", "1.0"), ("type", "t")];
    let mut attributes: std::collections::BTreeMap<&str, &str> = usual.into();
    attributes.extend(changes.iter().copied());
    let attributes = attributes.into_iter().filter(|(_, value)| !value.is_empty());
    Input {
        body: Bytes::from_static(b"{\"n\":1}"),
        content_type: Some("application/json".into()),
        attributes: attributes
            .map(|(name, value)| (name.into(), Bytes::copy_from_slice(value.as_bytes())))
            .collect(),
        ..Input::default()
    }
}

fn structured(text: &str) -> Input {
    Input {
        body: Bytes::copy_from_slice(text.as_bytes()),
        content_type: Some("application/cloudevents+json; charset=utf-8".into()),
        ..Input::default()
    }
}

fn header(answer: &Answer, name: &str) -> String {
    answer.headers.iter().find(|(known, _)| *known == name).unwrap().1.clone()
}

fn send(logger: &Logger, input: &Input) -> (String, String) {
    let answer = logger.handle(input, &Query::default()).unwrap();
    assert!(answer.document.as_ref().unwrap().bytes.is_empty(), "a Trigger takes a body for a failure");
    (header(&answer, "X-Event-Number"), header(&answer, "X-Event-Duplicate"))
}

fn page(logger: &Logger, query: &str) -> Value {
    logger.page(PAGE, &Query::parse(query).unwrap()).unwrap().unwrap()
}

#[test]
fn an_event_in_either_mode_gets_the_next_number_and_is_listed_newest_first() {
    let logger = logger(|_| {});
    let encoded = binary(&[("subject", "Euro%20%E2%82%AC")]);
    assert_eq!(send(&logger, &encoded), ("1".into(), "false".into()));
    let text = r#"{"id":"a-2","source":"/x","specversion":"1.0","type":"t","data":{"n":2},"time":"2026-11-21T01:02:03.5+01:00"}"#;
    assert_eq!(send(&logger, &structured(text)), ("2".into(), "false".into()));
    let page = page(&logger, "last=5");
    assert_eq!(page["received"], 2);
    assert_eq!(page["events"][0]["event"]["data"]["n"], 2);
    assert_eq!(page["events"][1]["event"]["subject"], "Euro €");
    assert_eq!(page["events"][1]["event"]["datacontenttype"], "application/json");
    assert_eq!(page["by_type_and_source"][0], json!({ "type": "t", "source": "/x", "count": 2 }));
}

#[test]
fn what_was_seen_before_is_counted_as_a_duplicate_by_id_and_source_together() {
    let logger = logger(|settings| settings.remember = 2);
    let duplicate = |id: &str, source: &str| send(&logger, &binary(&[("id", id), ("source", source)])).1;
    assert_eq!(duplicate("1", "/x"), "false");
    assert_eq!(duplicate("1", "/x"), "true");
    assert_eq!(duplicate("1", "/y"), "false");
    // The oldest of two is forgotten.
    assert_eq!(duplicate("2", "/y"), "false");
    assert_eq!(duplicate("1", "/x"), "false");
    assert_eq!(page(&logger, "")["duplicates"], 1);
}

#[test]
fn a_missing_or_broken_attribute_is_refused_by_its_name() {
    let logger = logger(|_| {});
    let refusal = |input: &Input| logger.handle(input, &Query::default()).unwrap_err();
    for name in ["id", "source", "type"] {
        let WorkloadError::Damaged(detail) = refusal(&binary(&[(name, "")])) else { panic!("{name}") };
        assert!(detail.contains(&format!("'{name}'")), "{detail}");
    }
    for no_event in
        [binary(&[("specversion", "")]), binary(&[("specversion", "0.3")]), Input::from(b"x".as_slice())]
    {
        assert!(matches!(refusal(&no_event), WorkloadError::Unsupported(_)), "{no_event:?}");
    }
    let batch = Input { content_type: Some("application/cloudevents-batch+json".into()), ..structured("[]") };
    assert!(matches!(refusal(&batch), WorkloadError::Unsupported(_)));
    assert!(matches!(refusal(&binary(&[("time", "yesterday")])), WorkloadError::Damaged(_)));
    assert!(matches!(refusal(&binary(&[("subject", "%C0%A0")])), WorkloadError::Damaged(_)));
    assert!(matches!(refusal(&structured("[1]")), WorkloadError::Damaged(_)));
    assert!(matches!(refusal(&structured(r#"{"id":{}}"#)), WorkloadError::Damaged(_)));
    assert_eq!(page(&logger, "")["received"], 0);
}

#[test]
fn an_event_without_data_is_an_event() {
    let logger = logger(|_| {});
    assert!(logger.takes_empty_bodies());
    let empty = Input { body: Bytes::new(), content_type: None, ..binary(&[]) };
    assert_eq!(send(&logger, &empty).0, "1");
    assert_eq!(page(&logger, "")["events"][0]["event"].get("data"), None);
}

#[test]
fn memory_holds_the_newest_and_the_file_all_of_them_a_line_each() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.jsonl");
    let logger = logger(|settings| {
        settings.keep = 2;
        settings.file = Some(file.clone());
        settings.sync = FileSync::Each;
    });
    for id in ["1", "2", "3"] {
        send(&logger, &binary(&[("id", id)]));
    }
    let page = page(&logger, "last=2");
    assert_eq!(
        (&page["kept"], &page["events"][0]["number"], &page["events"][1]["number"]),
        (&json!(2), &json!(3), &json!(2))
    );
    let text = std::fs::read_to_string(&file).unwrap();
    let ids: Vec<Value> =
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].take()).collect();
    assert_eq!(ids, ["1", "2", "3"]);
}

#[test]
fn a_file_that_cannot_be_written_keeps_the_logger_from_starting() {
    let settings =
        Settings { keep: 1, remember: 1, file: Some("/no/such/folder/x".into()), sync: FileSync::Never };
    let error = format!("{:#}", Logger::new(settings).err().unwrap());
    assert!(error.contains("set LOGGER_FILE to a file that can be written"), "{error}");
}

#[test]
fn a_page_asks_for_as_many_as_are_kept_at_most() {
    let logger = logger(|_| {});
    let asked = |query: &str| logger.page(PAGE, &Query::parse(query).unwrap()).unwrap();
    assert!(matches!(asked("last=11"), Err(WorkloadError::BadParameter(_))));
    assert!(matches!(asked("last=x"), Err(WorkloadError::BadParameter(_))));
    assert!(asked("last=10").is_ok());
    assert!(logger.page("/other", &Query::default()).is_none());
}

#[test]
fn types_beyond_the_limit_share_a_series() {
    let logger = logger(|_| {});
    for n in 0..150 {
        send(&logger, &binary(&[("type", &format!("t{n}")), ("id", &n.to_string())]));
    }
    let series: usize = logger.collectors()[0].collect()[0].get_metric().len();
    assert_eq!(series, 101);
}

proptest! {
    #[test]
    fn no_input_makes_it_panic(body in any::<Vec<u8>>(), value in any::<Vec<u8>>(), is_structured: bool) {
        let logger = logger(|_| {});
        let kind = is_structured.then(|| "application/cloudevents+json".to_owned());
        let mut input = Input { body: body.into(), content_type: kind, ..binary(&[]) };
        input.attributes.push(("time".into(), value.into()));
        let _ = logger.handle(&input, &Query::default());
    }
}
