//! The files that shapes replay, parsed: pure functions from a file's text to numbers. Whoever runs
//! the load reads the files, and hands what was parsed to [`super::plan`].

use std::collections::BTreeMap;

use crate::{drive::Assigned, experiment::Arrivals};

/// What was read from the files of an experiment's shapes, by file and function.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Files {
    read: BTreeMap<(String, String), Content>,
}

/// What one shape needs of its file.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    /// Invocations by minute of the day, 1440 of them.
    Minutes(Vec<u32>),
    /// Starts of invocations, seconds from the first one of the trace, ascending.
    Starts(Vec<f64>),
    /// A schedule.
    Schedule(Vec<Invocation>),
}

/// A row of a schedule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Invocation {
    /// Seconds from the start of the load.
    pub at_s: f64,
    /// What it says of endpoint and payload.
    pub assigned: Assigned,
}

/// Why a trace cannot be replayed. The message names the file, the line and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// It cannot be read.
    #[error("the trace {file} cannot be read: {cause}; name a readable CSV file")]
    Read {
        /// Which file.
        file: String,
        /// What the system said.
        cause: String,
    },
    /// It is not what the shape wants.
    #[error("{file}, line {line}: {problem}")]
    Format {
        /// Which file.
        file: String,
        /// From 1.
        line: u64,
        /// What is wrong and what is wanted.
        problem: String,
    },
    /// Nothing in it is meant.
    #[error(
        "{file} has no function that begins with '{function}'; leave `function` out to replay all of them"
    )]
    NoFunction {
        /// Which file.
        file: String,
        /// What was asked for.
        function: String,
    },
    /// It holds nothing.
    #[error("{file} holds no invocations")]
    Empty {
        /// Which file.
        file: String,
    },
}

impl Files {
    /// Parses the files of these shapes; `read` yields a file's text.
    ///
    /// # Errors
    /// The first file that cannot be replayed.
    pub fn parse<'a>(
        shapes: impl IntoIterator<Item = &'a Arrivals>,
        read: impl Fn(&str) -> std::io::Result<String>,
    ) -> Result<Self, TraceError> {
        let mut files = Self::default();
        for shape in shapes {
            let Some((file, function)) = key(shape) else { continue };
            let text = read(&file)
                .map_err(|error| TraceError::Read { file: file.clone(), cause: error.to_string() })?;
            let content = match shape {
                Arrivals::AzureMinutes { .. } => Content::Minutes(azure_minutes(&text, &file, &function)?),
                Arrivals::AzureInvocations { .. } => Content::Starts(azure_starts(&text, &file, &function)?),
                _ => Content::Schedule(schedule(&text, &file)?),
            };
            files.read.insert((file, function), content);
        }
        Ok(files)
    }

    /// What was read for a shape.
    pub(super) fn of(&self, shape: &Arrivals) -> Option<&Content> {
        self.read.get(&key(shape)?)
    }
}

fn key(shape: &Arrivals) -> Option<(String, String)> {
    let function = match shape {
        Arrivals::AzureMinutes { function, .. } | Arrivals::AzureInvocations { function, .. } => function,
        _ => "",
    };
    Some((shape.file()?.to_owned(), function.to_owned()))
}

/// A CSV file with its name, for messages.
struct Csv<'a> {
    file: &'a str,
    columns: Vec<String>,
    reader: csv::Reader<&'a [u8]>,
}

impl<'a> Csv<'a> {
    fn new(text: &'a str, file: &'a str) -> Result<Self, TraceError> {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
        let columns = match reader.headers() {
            Ok(header) => header.iter().map(str::to_owned).collect(),
            Err(error) => return Err(problem(file, 1, error.to_string())),
        };
        Ok(Self { file, columns, reader })
    }

    /// Where a column is.
    fn find(&self, name: &str) -> Result<usize, TraceError> {
        self.columns.iter().position(|column| column == name).ok_or_else(|| {
            let wanted = format!("the column {name} is missing; its first line must name the columns");
            problem(self.file, 1, wanted)
        })
    }

    /// Hands over every row with its line number.
    fn rows(
        mut self,
        mut take: impl FnMut(&csv::StringRecord, u64) -> Result<(), String>,
    ) -> Result<(), TraceError> {
        let mut row = csv::StringRecord::new();
        loop {
            let line = self.reader.position().line();
            match self.reader.read_record(&mut row) {
                Ok(false) => return Ok(()),
                Ok(true) => take(&row, line).map_err(|cause| problem(self.file, line, cause))?,
                Err(error) => return Err(problem(self.file, line, error.to_string())),
            }
        }
    }
}

fn problem(file: &str, line: u64, problem: String) -> TraceError {
    TraceError::Format { file: file.into(), line, problem }
}

fn number(row: &csv::StringRecord, column: usize, name: &str) -> Result<f64, String> {
    let text = row.get(column).unwrap_or("");
    let value = text.parse::<f64>().ok().filter(|value| value.is_finite());
    value.ok_or_else(|| format!("{name} is '{text}', which is no number"))
}

/// `HashOwner,HashApp,HashFunction,Trigger,1,...,1440`: the sum of the chosen rows, minute by minute.
fn azure_minutes(text: &str, file: &str, function: &str) -> Result<Vec<u32>, TraceError> {
    let csv = Csv::new(text, file)?;
    let (name, first) = (csv.find("HashFunction")?, csv.find("1")?);
    let minutes = csv.columns.len() - first;
    let mut sums = vec![0_u32; minutes];
    let mut found = false;
    csv.rows(|row, _| {
        if !row.get(name).unwrap_or("").starts_with(function) {
            return Ok(());
        }
        found = true;
        for (minute, sum) in sums.iter_mut().enumerate() {
            let count = number(row, first + minute, &format!("minute {}", minute + 1))?;
            if count < 0.0 || count.fract() != 0.0 {
                return Err(format!("minute {} is {count}, which is no number of invocations", minute + 1));
            }
            *sum = sum.saturating_add(count as u32);
        }
        Ok(())
    })?;
    whole_trace(found, sums.iter().all(|count| *count == 0), file, function)?;
    Ok(sums)
}

/// `app,func,end_timestamp,duration` in seconds: starts of the chosen invocations, from the first one
/// of the whole trace on.
fn azure_starts(text: &str, file: &str, function: &str) -> Result<Vec<f64>, TraceError> {
    let csv = Csv::new(text, file)?;
    let (name, end, duration) = (csv.find("func")?, csv.find("end_timestamp")?, csv.find("duration")?);
    let mut starts = Vec::new();
    let mut first = f64::INFINITY;
    csv.rows(|row, _| {
        let took = number(row, duration, "duration")?;
        if took < 0.0 {
            return Err(format!("duration is {took}, which is negative"));
        }
        let start = number(row, end, "end_timestamp")? - took;
        first = first.min(start);
        if row.get(name).unwrap_or("").starts_with(function) {
            starts.push(start);
        }
        Ok(())
    })?;
    whole_trace(!starts.is_empty() || !first.is_finite(), !first.is_finite(), file, function)?;
    for start in &mut starts {
        *start -= first;
    }
    starts.sort_by(f64::total_cmp);
    Ok(starts)
}

fn whole_trace(found: bool, empty: bool, file: &str, function: &str) -> Result<(), TraceError> {
    match (found, empty) {
        (false, _) if !function.is_empty() => {
            Err(TraceError::NoFunction { file: file.into(), function: function.into() })
        }
        (false, _) | (_, true) => Err(TraceError::Empty { file: file.into() }),
        (true, false) => Ok(()),
    }
}

/// `time_s[,payload][,endpoint]`: send times with indices from 0; an empty one leaves it to the seed.
fn schedule(text: &str, file: &str) -> Result<Vec<Invocation>, TraceError> {
    let csv = Csv::new(text, file)?;
    let at = csv.find("time_s")?;
    let (payload, endpoint) = (csv.find("payload").ok(), csv.find("endpoint").ok());
    let index = |row: &csv::StringRecord, column: Option<usize>, name: &str| match column
        .and_then(|column| row.get(column))
        .filter(|text| !text.is_empty())
    {
        None => Ok(None),
        Some(text) => text
            .parse::<u16>()
            .map(Some)
            .map_err(|_| format!("{name} is '{text}'; write its position, from 0, or leave it empty")),
    };
    let mut rows = Vec::new();
    csv.rows(|row, _| {
        let at_s = number(row, at, "time_s")?;
        if at_s < 0.0 {
            return Err(format!("time_s is {at_s}; times count from 0, the start of the load"));
        }
        let assigned = Assigned {
            endpoint: index(row, endpoint, "endpoint")?,
            payload: index(row, payload, "payload")?,
        };
        rows.push(Invocation { at_s, assigned });
        Ok(())
    })?;
    if rows.is_empty() {
        return Err(TraceError::Empty { file: file.into() });
    }
    rows.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by hand in the format of the 2019 data set; no row of it is from there.
    const MINUTES: &str = "HashOwner,HashApp,HashFunction,Trigger,1,2,3
o1,a1,f1,http,0,4,1
o1,a1,f2,timer,2,0,0
";
    /// Made by hand in the format of the 2021 data set; no row of it is from there.
    const INVOCATIONS: &str = "app,func,end_timestamp,duration
a1,f1,10.5,0.5
a1,f2,9.0,1.0
a1,f1,12.0,3.5
";

    #[test]
    fn minutes_of_all_functions_or_of_one_are_summed() {
        assert_eq!(azure_minutes(MINUTES, "x", "").unwrap(), [2, 4, 1]);
        assert_eq!(azure_minutes(MINUTES, "x", "f1").unwrap(), [0, 4, 1]);
    }

    #[test]
    fn invocations_begin_when_they_began_and_not_when_they_ended() {
        assert_eq!(azure_starts(INVOCATIONS, "x", "").unwrap(), [0.0, 0.5, 2.0]);
        assert_eq!(azure_starts(INVOCATIONS, "x", "f1").unwrap(), [0.5, 2.0]);
    }

    #[test]
    fn a_schedule_may_name_payloads_and_endpoints() {
        let rows = schedule("time_s, payload, endpoint\n2.5, 1,\n0, , 3\n", "x").unwrap();
        assert_eq!(
            rows[0],
            Invocation { at_s: 0.0, assigned: Assigned { endpoint: Some(3), payload: None } }
        );
        assert_eq!(
            rows[1],
            Invocation { at_s: 2.5, assigned: Assigned { endpoint: None, payload: Some(1) } }
        );
    }

    #[test]
    fn mistakes_are_named_with_file_line_and_remedy() {
        let said = |result: Result<Vec<Invocation>, TraceError>| result.unwrap_err().to_string();
        let mut messages = vec![
            said(schedule("time\n1\n", "s.csv")),
            said(schedule("time_s\n1\n-2\n", "s.csv")),
            said(schedule("time_s,payload\n1,cat.jpg\n", "s.csv")),
            said(schedule("time_s\n", "s.csv")),
        ];
        messages.push(azure_minutes(MINUTES, "m.csv", "zz").unwrap_err().to_string());
        messages.push(azure_minutes(&MINUTES.replace(",4,", ",x,"), "m.csv", "").unwrap_err().to_string());
        messages
            .push(azure_starts(&INVOCATIONS.replace("0.5\n", "-1\n"), "i.csv", "").unwrap_err().to_string());
        messages.push(azure_starts(INVOCATIONS, "i.csv", "zz").unwrap_err().to_string());
        let shape = Arrivals::Schedule { file: "no/such.csv".into() };
        messages.push(Files::parse([&shape], |file| std::fs::read_to_string(file)).unwrap_err().to_string());
        insta::assert_snapshot!(messages.join("\n"), @r"
        s.csv, line 1: the column time_s is missing; its first line must name the columns
        s.csv, line 3: time_s is -2; times count from 0, the start of the load
        s.csv, line 2: payload is 'cat.jpg'; write its position, from 0, or leave it empty
        s.csv holds no invocations
        m.csv has no function that begins with 'zz'; leave `function` out to replay all of them
        m.csv, line 2: minute 2 is 'x', which is no number
        i.csv, line 2: duration is -1, which is negative
        i.csv has no function that begins with 'zz'; leave `function` out to replay all of them
        the trace no/such.csv cannot be read: No such file or directory (os error 2); name a readable CSV file
        ");
    }
}
