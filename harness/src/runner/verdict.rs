//! The word on a cell as soon as it ends: the same analysis as the report's, on the records that were
//! just written, while nothing is measured.

use crate::{
    analyse::{self, summary::Validity},
    experiment::Cell,
    store::RunFolder,
};

/// `VALID`, or `INVALID: reason remedy`, in one line.
pub async fn of_cell(folder: &RunFolder, cell: &Cell) -> String {
    let (folder, cell) = (folder.clone(), cell.clone());
    // On a thread for such work: a long cell takes a second.
    let examined = tokio::task::spawn_blocking(move || folder.cell(&cell).map(analyse::cell)).await;
    match examined {
        Ok(Ok(examined)) => line(&examined.summary.validity),
        Ok(Err(error)) => format!("not judged yet: {error}"),
        Err(_) => "not judged yet: a fault of the harness, please report it".to_owned(),
    }
}

/// A cell's word in one line: the first reason with its remedy, and how many more there are.
pub fn line(validity: &Validity) -> String {
    let word = validity.word();
    match validity.problems.as_slice() {
        [] => word.to_owned(),
        [first, rest @ ..] => {
            let more = if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
            format!("{word}: {} {}{more}", first.reason, first.remedy)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::summary::Problem;

    #[test]
    fn the_word_comes_with_its_first_reason_and_remedy() {
        assert_eq!(line(&Validity::default()), "VALID");
        let problem = |reason: &str| Problem { reason: reason.into(), remedy: "Do that.".into() };
        let mut validity = Validity { problems: vec![problem("It was so.")] };
        assert_eq!(line(&validity), "INVALID: It was so. Do that.");
        validity.problems.push(problem("Also."));
        assert_eq!(line(&validity), "INVALID: It was so. Do that. (and 1 more)");
    }
}
