//! The compiler and the interpreter of this machine, and what they need to read.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Language;

/// Compilers that are looked for, best first.
const COMPILERS: [&str; 4] = ["cc", "gcc", "clang", "tcc"];
/// Where programs are looked for besides `PATH`.
const FOLDERS: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];

/// Programs, libraries and headers: what a submission may read. Never `/etc` as a whole, nor the
/// function's own folders.
const SYSTEM: [&str; 11] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/ssl/openssl.cnf",
];

/// What turns a source into something that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    /// The compiler or the interpreter.
    pub program: PathBuf,
    /// The first line of its `--version`.
    pub version: String,
    /// What it and the programs made with it may read and execute.
    pub readable: Vec<PathBuf>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum ToolchainError {
    /// Nothing was found.
    #[error(
        "{what} was not found; set {variable} to its path, or build the image on one that has it \
         (harness image build --base gcc:14 or --base python:3.12)"
    )]
    Missing {
        /// What was looked for.
        what: String,
        /// The setting that names it.
        variable: &'static str,
    },
    /// Something was found that does not run.
    #[error("{program}: {why}; set {variable} to one that works")]
    Broken {
        /// What was found.
        program: String,
        /// What it did.
        why: String,
        /// The setting that names it.
        variable: &'static str,
    },
}

impl Toolchain {
    /// Finds the one for a language: `given` where the settings name one, else the first in `PATH`
    /// and the usual folders that every user may run.
    ///
    /// # Errors
    /// If there is none.
    pub fn find(language: Language, given: Option<&Path>) -> Result<Self, ToolchainError> {
        let (names, variable): (&[&str], _) = match language {
            Language::C => (&COMPILERS, "CC"),
            Language::Python => (&["python3"], "PYTHON"),
        };
        let candidates: Vec<PathBuf> = match given {
            Some(given) => search(&[&given.to_string_lossy()]),
            None => search(names),
        };
        let mut reason = None;
        for program in candidates {
            match Self::examine(language, &program) {
                Ok(toolchain) => return Ok(toolchain),
                Err(why) => {
                    reason.get_or_insert((program, why));
                }
            }
        }
        Err(match reason {
            Some((program, why)) => {
                ToolchainError::Broken { program: program.display().to_string(), why, variable }
            }
            None => ToolchainError::Missing {
                what: given.map_or_else(|| names.join(", "), |given| given.display().to_string()),
                variable,
            },
        })
    }

    /// Asks a candidate what it is. A private folder (a home of root's) is no place for one:
    /// a submission runs as somebody else.
    fn examine(language: Language, found: &Path) -> Result<Self, String> {
        let mut readable: Vec<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
        let program = match language {
            // A compiler goes by the name it is called by; links are left alone.
            Language::C => found.to_owned(),
            // Shims of version managers stand for an interpreter elsewhere.
            Language::Python => {
                let script = "import sys; print(sys.executable); print(sys.base_prefix); print(sys.prefix)";
                let answer = ask(found, &["-I", "-c", script])?;
                let mut lines = answer.lines();
                let program = lines.next().filter(|line| !line.is_empty()).ok_or("it has no path")?;
                readable.extend(lines.map(PathBuf::from));
                PathBuf::from(program)
            }
        };
        let real = program.canonicalize().map_err(|error| error.to_string())?;
        if let Some(private) = real.ancestors().find(|path| !open_to_all(path)) {
            return Err(format!("not every user may enter {}", private.display()));
        }
        if !readable.iter().any(|folder| real.starts_with(folder)) {
            readable.extend(real.parent().map(Path::to_owned));
        }
        // A prefix of "/" would open everything.
        readable.retain(|path| path.parent().is_some() && path.exists());
        readable.sort();
        readable.dedup();
        let version = ask(&program, &["--version"]).or_else(|_| ask(&program, &["-v"]))?;
        Ok(Self { program, version: version.lines().next().unwrap_or_default().to_owned(), readable })
    }
}

/// Paths under which programs of these names lie.
fn search(names: &[&str]) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).chain(FOLDERS.map(PathBuf::from)).collect();
    // `join` with an absolute name is that name.
    let paths = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    let mut found: Vec<PathBuf> = paths.filter(|path| path.is_absolute() && path.is_file()).collect();
    found.dedup();
    found
}

fn open_to_all(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|about| about.permissions().mode() & 0o001 != 0)
}

fn ask(program: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_the_setting_and_the_remedy() {
        let error = Toolchain::find(Language::C, Some(Path::new("no-such-compiler"))).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("no-such-compiler was not found; set CC"), "{text}");
        assert!(text.contains("--base"), "{text}");
    }

    #[test]
    fn what_does_not_run_is_named_with_what_it_did() {
        let text = Toolchain::find(Language::Python, Some(Path::new("false"))).unwrap_err().to_string();
        assert!(text.contains("set PYTHON to one that works"), "{text}");
    }
}
