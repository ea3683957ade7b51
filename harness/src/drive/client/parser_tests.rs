//! The parser's corner cases; above all that it does not matter where an answer is cut.

use proptest::prelude::*;

use super::*;

/// What a reader makes of bytes that come in these pieces and then, perhaps, end.
fn read<'a>(
    method: &Method,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    closes: bool,
) -> Result<(u16, Vec<u8>, bool, usize), Nonsense> {
    let mut answer = Answer::default();
    answer.begin(method);
    let mut beyond = None;
    for piece in pieces {
        match (beyond, answer.feed(piece)?) {
            (None, Fed::More) => {}
            (None, Fed::Complete { beyond: here }) => beyond = Some(here),
            // What follows a complete answer is not the parser's any more.
            (Some(so_far), _) => beyond = Some(so_far + piece.len()),
        }
    }
    let beyond = match beyond {
        Some(beyond) => beyond,
        None if closes => answer.end().map(|()| 0)?,
        None => return Err(Nonsense),
    };
    assert_eq!(answer.received(), answer.body().len() as u64);
    Ok((answer.status(), answer.body().to_vec(), answer.is_reusable(), beyond))
}

fn whole(text: &str, closes: bool) -> Result<(u16, String, bool, usize), Nonsense> {
    let (status, body, reusable, beyond) = read(&Method::GET, [text.as_bytes()], closes)?;
    Ok((status, String::from_utf8(body).unwrap(), reusable, beyond))
}

const ANSWERS: [(&str, bool); 8] = [
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello", false),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;e=\"x\"\r\nhe\r\n003\r\nllo\r\n0\r\nTrailer: 1\r\n\r\n",
        false,
    ),
    (
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        false,
    ),
    ("HTTP/1.0 200 OK\r\n\r\nuntil the end", true),
    ("HTTP/1.1 204 No Content\r\n\r\n", false),
    ("HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n", false),
    ("HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", false),
    ("HTTP/1.1 200\r\nContent-Length: 3, 3\r\nEmpty:\r\n\r\nabc", false),
];

proptest! {
    #[test]
    fn an_answer_is_the_same_wherever_it_is_cut(
        (text, closes) in proptest::sample::select(ANSWERS.to_vec()),
        cuts in proptest::collection::vec(0usize..200, 0..12),
        beyond in proptest::collection::vec(any::<u8>(), 0..4),
    ) {
        let mut bytes = text.as_bytes().to_vec();
        if !closes {
            bytes.extend(&beyond);
        }
        let expected = read(&Method::GET, [bytes.as_slice()], closes);
        prop_assert!(expected.is_ok());
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.sort_unstable();
        let ends = cuts.iter().copied().chain([bytes.len()]);
        let begins = std::iter::once(0).chain(cuts.iter().copied());
        let pieces = begins.zip(ends).map(|(begin, end)| &bytes[begin..end]).filter(|piece| !piece.is_empty());
        prop_assert_eq!(read(&Method::GET, pieces, closes), expected);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0usize..300) {
        let (a, b) = bytes.split_at(at.min(bytes.len()));
        let _ = read(&Method::GET, [a, b], true);
        let mut chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        chunked.extend(&bytes);
        let _ = read(&Method::GET, [chunked.as_slice()], true);
    }
}

#[test]
fn every_single_byte_may_come_alone() {
    for (text, closes) in ANSWERS {
        let expected = read(&Method::GET, [text.as_bytes()], closes);
        assert!(expected.is_ok(), "{text}");
        assert_eq!(read(&Method::GET, text.as_bytes().chunks(1), closes), expected, "{text}");
    }
}

#[test]
fn an_answer_cut_short_is_none() {
    for (text, closes) in ANSWERS.into_iter().filter(|(_, closes)| !closes) {
        for cut in 0..text.len() {
            assert_eq!(
                read(&Method::GET, [&text.as_bytes()[..cut]], closes),
                Err(Nonsense),
                "{}",
                &text[..cut]
            );
        }
    }
}

#[test]
fn bodies_are_framed_as_the_standard_says() {
    let answer = |head: &str, rest: &str| whole(&format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{rest}"), true);
    // Chunked wins over a length; another coding lasts until the end.
    let both = answer("Content-Length: 3\r\nTransfer-Encoding: gzip, chunked", "1\r\na\r\n0\r\n\r\n");
    assert_eq!(both, Ok((200, "a".into(), true, 0)));
    assert_eq!(answer("Transfer-Encoding: chunked, gzip", "abc"), Ok((200, "abc".into(), false, 0)));
    for length in ["-1", "+3", "3, 4", "", "99999999999999999999", "3 3"] {
        assert_eq!(answer(&format!("Content-Length: {length}"), "abc"), Err(Nonsense), "{length}");
    }
    assert_eq!(answer("Content-Length: 3\r\nContent-Length: 4", "abc"), Err(Nonsense));
    for chunks in ["g\r\n", "\r\n", "1\r\nab", "11111111111111111\r\n", "1\r\na\r\n0\r\n", "-1\r\n"] {
        assert_eq!(answer("Transfer-Encoding: chunked", chunks), Err(Nonsense), "{chunks}");
    }
}

#[test]
fn an_answer_to_head_has_no_body_and_a_known_head_does_not_change_that() {
    let text = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    let mut answer = Answer::default();
    for _ in 0..2 {
        answer.begin(&Method::HEAD);
        assert_eq!(answer.feed(text), Ok(Fed::Complete { beyond: 0 }));
        answer.begin(&Method::GET);
        assert_eq!(answer.feed(text), Ok(Fed::More));
        assert_eq!(answer.feed(b"hello!"), Ok(Fed::Complete { beyond: 1 }));
    }
}

#[test]
fn the_same_head_again_gives_the_same_answer_and_another_one_is_read_anew() {
    let mut answer = Answer::default();
    let mut next = |text: &str| {
        answer.begin(&Method::GET);
        assert!(matches!(answer.feed(text.as_bytes()), Ok(Fed::Complete { beyond: 0 })), "{text}");
        let header = answer.headers().get("x-a").map(|value| value.to_str().unwrap().to_owned());
        (answer.status(), header, String::from_utf8(answer.body().to_vec()).unwrap(), answer.is_reusable())
    };
    for _ in 0..2 {
        let first = next("HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 1\r\n\r\na");
        assert_eq!(first, (200, Some("1".into()), "a".into(), true));
        let same = next("HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 1\r\n\r\nb");
        assert_eq!(same, (200, Some("1".into()), "b".into(), true));
        let other =
            next("HTTP/1.1 404 No\r\nX-A: 2\r\nConnection: Keep-Alive, Close\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(other, (404, Some("2".into()), String::new(), false));
    }
}

#[test]
fn connections_are_kept_as_version_and_header_say() {
    let reusable = |text: &str| whole(text, true).unwrap().2;
    assert!(reusable("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    assert!(!reusable("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"));
    assert!(reusable("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"));
    assert!(!reusable("HTTP/1.1 101 Switching Protocols\r\n\r\n"));
    assert!(!reusable("HTTP/1.1 200 OK\r\n\r\n"));
}

#[test]
fn heads_without_end_are_refused() {
    let endless = format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(MOST_HEAD_BYTES));
    assert_eq!(whole(&endless, true), Err(Nonsense));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(MOST_HEADERS + 1));
    assert_eq!(whole(&many, true), Err(Nonsense));
    assert_eq!(whole("garbage\r\n\r\n", true), Err(Nonsense));
    assert_eq!(whole("HTTP/9.9 abc\r\n\r\n", true), Err(Nonsense));
}
