//! The hostile programs: one file each, that says itself what it tries and how it may end.

use std::path::{Path, PathBuf};

use super::canary::Canary;

/// A language, as folder, workload and comments spell it.
#[derive(Debug, Clone, Copy)]
pub struct Language {
    pub workload: &'static str,
    pub folder: &'static str,
    extension: &'static str,
    comment: &'static str,
    /// What an ordinary submission looks like; it answers `42` to the input `6 7`.
    pub ordinary: &'static str,
    /// Programs without which it cannot be graded, each with its Debian package.
    pub needs: &'static [(&'static str, &'static str)],
}

pub const C: Language = Language {
    workload: "grade-c",
    folder: "c",
    extension: "c",
    comment: "//",
    ordinary: "#include <stdio.h>\nint main(void) { int a, b; if (scanf(\"%d%d\", &a, &b) == 2) printf(\"%d\\n\", a * b); }",
    needs: &[("gcc", "gcc"), ("ld", "binutils")],
};

pub const PYTHON: Language = Language {
    workload: "grade-python",
    folder: "python",
    extension: "py",
    comment: "#",
    ordinary: "a, b = map(int, input().split())\nprint(a * b)",
    needs: &[("python3", "python3")],
};

/// A hostile program.
#[derive(Debug)]
pub struct Program {
    pub name: String,
    /// What it tries, in words.
    pub tries: String,
    /// The verdicts that a judge may come to.
    pub verdicts: Vec<String>,
    /// What has to be enforced to hold it: `files`, `network` or `users`; without, what every kernel can.
    pub held_by: Option<String>,
    /// How many tests it is given; test number N finds N on its input.
    pub tests: usize,
    /// What an accepted one writes.
    pub says: Option<String>,
    pub source: String,
}

/// All programs of a language, by name. What they must know of the test is put before them.
pub fn programs(language: Language, canary: &Canary, function_pid: u32) -> Vec<Program> {
    let folder = hostile().join(language.folder);
    let prelude = hostile().join(if language.extension == "c" { "prelude.h" } else { "prelude.py" });
    let prelude = definitions(language, canary, function_pid) + &std::fs::read_to_string(prelude).unwrap();
    let mut programs: Vec<Program> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == language.extension))
        .map(|path| read(&path, language, &prelude))
        .collect();
    programs.sort_by(|one, other| one.name.cmp(&other.name));
    assert!(programs.len() > 20, "the corpus is there");
    programs
}

fn hostile() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/grade/hostile")
}

fn read(path: &Path, language: Language, prelude: &str) -> Program {
    let text = std::fs::read_to_string(path).unwrap();
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    let said = |key: &str| {
        let start = format!("{} {key}: ", language.comment);
        text.lines().find_map(|line| line.strip_prefix(&start)).map(str::to_owned)
    };
    let needed = |key: &str| said(key).unwrap_or_else(|| panic!("{name} does not say its '{key}:'"));
    Program {
        tries: needed("tries"),
        verdicts: needed("verdicts").split(' ').map(str::to_owned).collect(),
        held_by: said("held by"),
        says: said("says"),
        tests: said("tests").map_or(1, |number| number.parse().unwrap()),
        source: format!("{prelude}\n{text}"),
        name,
    }
}

/// What the programs' prelude counts on.
fn definitions(language: Language, canary: &Canary, function_pid: u32) -> String {
    let text = |path: &Path| format!("\"{}\"", path.display());
    let values = [
        ("BREACH_MARK", format!("\"{}\"", canary.mark)),
        ("CANARY_FILE", text(&canary.file)),
        ("CANARY_SOCKET", text(&canary.socket)),
        ("CANARY_ABSTRACT", format!("\"{}\"", canary.abstract_name)),
        ("CANARY_PORT", canary.port.to_string()),
        ("CANARY_PID", canary.pid().to_string()),
        ("TEMPORARY", text(&canary.temporary)),
        ("OUTSIDE", text(&canary.outside)),
        ("SECRET_FILE", text(&canary.secret_file)),
        ("FUNCTION_PID", function_pid.to_string()),
        ("FUNCTION_BINARY", text(Path::new(env!("CARGO_BIN_EXE_function")))),
    ];
    let define = |(name, value): &(&str, String)| match language.extension {
        "c" => format!("#define {name} {value}\n"),
        _ => format!("{name} = {value}\n"),
    };
    values.iter().map(define).collect()
}
