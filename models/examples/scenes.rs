//! Drawn scenes with their captions, for the training script and for the eye.
//!
//! ```text
//! cargo run -p models --example scenes -- SPLIT SEED COUNT [FOLDER]
//! ```
//! SPLIT is `training`, `held-out` or `novel`. With a folder: JPEG files and `captions.tsv` in it.
//! Without: a stream on standard output, for each scene one line `CAPTION TAB LENGTH` and then
//! LENGTH bytes of JPEG.

use std::error::Error;
use std::io::{BufWriter, Write};
use std::path::Path;

use models::scenes::{Captioned, Split, draw};

const USAGE: &str = "usage: scenes training|held-out|novel SEED COUNT [FOLDER]";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (split, seed, count, folder) = match arguments.as_slice() {
        [split, seed, count] => (split, seed, count, None),
        [split, seed, count, folder] => (split, seed, count, Some(Path::new(folder))),
        _ => return Err(USAGE.into()),
    };
    let split = Split::ALL.into_iter().find(|known| known.name() == split).ok_or(USAGE)?;
    let (seed, count) = (seed.parse()?, count.parse()?);
    let scenes = (0..count).map(|index| draw(split, seed, index));
    match folder {
        None => {
            let mut out = BufWriter::new(std::io::stdout().lock());
            for scene in scenes {
                let Captioned { jpeg, caption, .. } = scene?;
                writeln!(out, "{caption}\t{}", jpeg.len())?;
                out.write_all(&jpeg)?;
            }
            out.flush()?;
        }
        Some(folder) => {
            std::fs::create_dir_all(folder)?;
            let mut captions = String::new();
            for scene in scenes {
                let Captioned { name, jpeg, caption } = scene?;
                std::fs::write(folder.join(&name), jpeg)?;
                captions.extend([name.as_str(), "\t", caption.as_str(), "\n"]);
            }
            std::fs::write(folder.join("captions.tsv"), captions)?;
        }
    }
    Ok(())
}
