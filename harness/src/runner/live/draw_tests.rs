//! What people see, at the sizes that they have.

use ratatui::{Terminal, backend::TestBackend};

use super::*;

fn screen(width: u16, height: u16, view: &View) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, view)).unwrap();
    let buffer = terminal.backend().buffer().clone();
    let rows: Vec<String> = (0..height)
        .map(|y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned())
        .collect();
    rows.join("\n")
}

fn in_the_middle() -> View {
    View {
        title: "Which platform serves better?: knative and openfaas".into(),
        mark: Some("the twin, not a cluster".into()),
        doing: "cell 3 of 8: t01-knative-poisson".into(),
        done: Some(0.34),
        left: Some("2 minutes".into()),
        load: Some(LoadView {
            playing: true,
            elapsed_s: 7.4,
            length_s: Some(12.0),
            sent: 1480,
            under_way: 3,
            offered: Some(vec![190, 204, 199, 210, 200, 198, 202]),
            answered: vec![120, 204, 199, 150, 0, 398, 202],
            recent_ms: [Some(12.13), Some(20.5), Some(1033.0)],
            whole_ms: [Some(11.9), Some(19.25), None],
            failures: vec![("connect", 2), ("timeout", 1)],
        }),
        replicas: vec![("knative".into(), 2, 2), ("openfaas".into(), 0, 1)],
        said: vec![
            "[ 1/8] t01-openfaas-closed-2: 3021 requests, 0 failed; 3 minutes left; VALID".into(),
            "[ 2/8] t01-openfaas-poisson: 2400 requests, 0 failed; 2 minutes left; INVALID: The generator was \
             starved of CPU: it waited for a core for 34.0 % of the time, 3.10 ms each time it had work."
                .into(),
        ],
        stopping: false,
    }
}

#[test]
fn a_usual_terminal() {
    insta::assert_snapshot!(screen(80, 24, &in_the_middle()));
}

#[test]
fn a_wide_terminal_while_stopping() {
    insta::assert_snapshot!(screen(120, 40, &View { stopping: true, ..in_the_middle() }));
}

#[test]
fn a_tiny_terminal_shows_what_matters_most() {
    insta::assert_snapshot!(screen(30, 6, &in_the_middle()));
    // No size is too small, and none is a panic.
    for (width, height) in [(1, 1), (2, 1), (1, 9), (200, 2), (12, 3)] {
        screen(width, height, &in_the_middle());
        screen(width, height, &View::default());
    }
}

#[test]
fn a_closed_loop_before_its_first_answer_offers_nothing_and_says_so() {
    let load = LoadView { playing: true, length_s: None, ..LoadView::default() };
    let view = View { title: "http://127.0.0.1:1/".into(), load: Some(load), ..View::default() };
    insta::assert_snapshot!(screen(60, 12, &view));
}

#[test]
fn a_course_is_scaled_by_its_highest_and_shows_a_standstill_as_a_gap() {
    assert_eq!(course(&[1, 4, 8, 0, 8], 8), "▁▄█ █");
    assert_eq!(course(&[0, 0], 0), "  ");
    assert_eq!(course(&[1], 1_000_000), "▁", "a little is not nothing");
}

#[test]
fn long_lines_are_folded_at_spaces_and_nothing_is_lost() {
    assert_eq!(fold("one two three", 8), ["one two ", "three"]);
    assert_eq!(fold("abcdefghij k", 4), ["abcd", "efgh", "ij k"]);
    assert_eq!(fold("", 4), [""]);
    assert_eq!(fold("ab", 0).concat(), "ab");
}
