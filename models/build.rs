//! Lists the files of the shipped captioner, `models/captioner`, for `src/captioner.rs`.

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?).join("captioner");
    println!("cargo::rerun-if-changed=captioner");
    let mut files = Vec::new();
    if folder.is_dir() {
        for entry in fs::read_dir(&folder)? {
            files.push(entry?.path());
        }
    }
    files.sort();
    let mut text = String::from("const FILES: &[(&str, &[u8])] = &[\n");
    for path in files.iter().filter(|path| path.is_file()) {
        let name = path.file_name().unwrap_or_default();
        text += &format!("    ({name:?}, include_bytes!({path:?})),\n");
    }
    text += "];\n";
    let out = env::var("OUT_DIR").map_err(io::Error::other)?;
    fs::write(Path::new(&out).join("captioner.rs"), text)
}
