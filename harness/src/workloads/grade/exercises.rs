//! The submissions that are sent: programs as a course gets them, what they are given, and what they have to answer.
//!
//! `test`: hello world. `small`: three exercises solved and three solved wrongly, inputs drawn from the seed. `large`:
//! a second of CPU time each (measured with gcc -O2 and Python 3.11 on one core of the build machine: 0.7 to 1.4 s),
//! and a program that never ends, cut after a second.

use std::{collections::BTreeMap, fmt::Write as _};

use rand::{Rng as _, RngExt as _, SeedableRng, rngs::StdRng};

use crate::workloads::Size;

/// Language of submissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    C,
    Python,
}

/// A program and what it has to come to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Exercise {
    pub name: &'static str,
    pub source: &'static str,
    pub tests: Vec<Test>,
    /// Time limit of a test, where it is not the function's own.
    pub run_seconds: Option<f64>,
    /// As the function spells it.
    pub verdict: &'static str,
}

/// What a program is given, and what it should write.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Test {
    pub stdin: String,
    pub expected_output: String,
}

/// Tests of each small exercise after its example.
const DRAWN_TESTS: usize = 2;
/// What the words of a text are drawn from.
const WORDS: [&str; 12] = [
    "cold", "start", "warm", "latency", "queue", "replica", "cluster", "node", "pod", "gateway", "zero",
    "scale",
];

macro_rules! source {
    ($language:expr, $name:literal) => {
        match $language {
            Language::C => include_str!(concat!("c/", $name, ".c")),
            Language::Python => include_str!(concat!("python/", $name, ".py")),
        }
    };
}

macro_rules! exercise {
    ($language:expr, $name:literal, $verdict:expr, $tests:expr) => {
        Exercise {
            name: $name,
            source: source!($language, $name),
            tests: $tests,
            run_seconds: None,
            verdict: $verdict,
        }
    };
}

/// The submissions of a size.
pub(super) fn of(language: Language, size: Size, seed: u64) -> Vec<Exercise> {
    match size {
        Size::Test => {
            vec![exercise!(language, "hello", "accepted", vec![Test::new("", "Hello, world!\n")])]
        }
        Size::Small => small(language, &mut StdRng::seed_from_u64(seed)),
        Size::Large => large(language),
    }
}

fn small(language: Language, draw: &mut StdRng) -> Vec<Exercise> {
    let (sort, factors, words) = (sort(draw), factors(draw), words(draw));
    // Python finds it only when it begins to run.
    let misspelt = match language {
        Language::C => "compile_error",
        Language::Python => "runtime_error",
    };
    vec![
        exercise!(language, "sort", "accepted", sort.clone()),
        exercise!(language, "factors", "accepted", factors),
        exercise!(language, "words", "accepted", words.clone()),
        exercise!(language, "sort_as_text", "wrong_answer", sort),
        exercise!(language, "words_crash", "runtime_error", words.clone()),
        exercise!(language, "words_misspelt", misspelt, words),
    ]
}

/// The answers are published: numbers of primes OEIS A006880 (powers of ten), ways of N queens A000170, longest ways
/// A006877 with their lengths A006878.
fn large(language: Language) -> Vec<Exercise> {
    let (sieve, queens, collatz) = match language {
        Language::C => (("100000000", "5761455"), ("15", "2279184"), ("6000000", "5649499 612")),
        Language::Python => (("10000000", "664579"), ("13", "73712"), ("100000", "77031 350")),
    };
    let one = |(stdin, output)| vec![Test::new(&format!("{stdin}\n"), &format!("{output}\n"))];
    vec![
        exercise!(language, "sieve", "accepted", one(sieve)),
        exercise!(language, "queens", "accepted", one(queens)),
        exercise!(language, "collatz", "accepted", one(collatz)),
        Exercise {
            run_seconds: Some(1.0),
            ..exercise!(language, "endless", "time_limit", one(("100", "2500")))
        },
    ]
}

fn sort(draw: &mut StdRng) -> Vec<Test> {
    let mut test = |numbers: Vec<i64>| {
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        Test::new(
            &format!("{}\n{}\n", numbers.len(), joined(&numbers, " ")),
            &format!("{}\n", joined(&sorted, "\n")),
        )
    };
    let drawn: Vec<Vec<i64>> =
        (0..DRAWN_TESTS).map(|_| (0..200).map(|_| draw.random_range(-100_000..100_000)).collect()).collect();
    // As text, 10 comes before 9.
    std::iter::once(vec![10, 9]).chain(drawn).map(&mut test).collect()
}

fn factors(draw: &mut StdRng) -> Vec<Test> {
    let test = |numbers: Vec<u64>| {
        let lines = numbers.iter().fold(String::new(), |mut lines, &number| {
            // Writing to a String cannot fail.
            _ = writeln!(lines, "{number} = {}", joined(&prime_factors(number), " * "));
            lines
        });
        Test::new(&format!("{}\n", joined(&numbers, "\n")), &lines)
    };
    let drawn: Vec<Vec<u64>> =
        (0..DRAWN_TESTS).map(|_| (0..50).map(|_| draw.random_range(2..1_000_000)).collect()).collect();
    std::iter::once(vec![12, 7]).chain(drawn).map(test).collect()
}

fn words(draw: &mut StdRng) -> Vec<Test> {
    let test = |words: Vec<&str>| {
        let mut counts = BTreeMap::new();
        for word in &words {
            *counts.entry(*word).or_insert(0) += 1;
        }
        let lines: Vec<String> = counts.iter().map(|(word, count)| format!("{word} {count}\n")).collect();
        Test::new(&format!("{}\n", words.join(" ")), &lines.concat())
    };
    let drawn: Vec<Vec<&str>> = (0..DRAWN_TESTS)
        .map(|_| (0..300).map(|_| WORDS[draw.next_u32() as usize % WORDS.len()]).collect())
        .collect();
    std::iter::once(vec!["warm", "start", "warm"]).chain(drawn).map(test).collect()
}

fn prime_factors(mut number: u64) -> Vec<u64> {
    let mut found = Vec::new();
    let mut factor = 2;
    while number > 1 {
        if factor * factor > number {
            factor = number;
        }
        while number.is_multiple_of(factor) {
            found.push(factor);
            number /= factor;
        }
        factor += 1;
    }
    found
}

fn joined<T: ToString>(items: &[T], between: &str) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(between)
}

impl Test {
    fn new(stdin: &str, expected_output: &str) -> Self {
        Self { stdin: stdin.to_owned(), expected_output: expected_output.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expected_output_is_right() {
        let draw = &mut StdRng::seed_from_u64(1);
        assert_eq!(sort(draw)[0], Test::new("2\n10 9\n", "9\n10\n"));
        assert_eq!(factors(draw)[0], Test::new("12\n7\n", "12 = 2 * 2 * 3\n7 = 7\n"));
        assert_eq!(words(draw)[0], Test::new("warm start warm\n", "start 1\nwarm 2\n"));
    }

    proptest::proptest! {
        #[test]
        fn factors_multiply_to_the_number_and_none_can_be_divided(number in 2_u64..2_000_000) {
            let factors = prime_factors(number);
            proptest::prop_assert_eq!(factors.iter().product::<u64>(), number);
            for factor in factors {
                proptest::prop_assert!((2..=factor.isqrt()).all(|d| factor % d != 0));
            }
        }
    }
}
