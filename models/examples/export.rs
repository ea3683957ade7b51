//! Writes the generated model and the drawn pictures into a directory, as this code makes them
//! (whatever the manifest says): `cargo run -p models --example export -- DIR`.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args_os().nth(1).ok_or("usage: export DIR")?;
    let directory = Path::new(&directory);
    std::fs::create_dir_all(directory)?;
    let pictures = models::draw::names().map(|name| {
        let bytes = models::draw::draw(name)?.ok_or("a listed picture is drawn")?;
        Ok((name, bytes))
    });
    let model = ("mobilenetv2-generated.onnx", models::generate::mobilenetv2());
    for file in pictures.chain([Ok(model)]) {
        let (name, bytes) = file.map_err(|error: Box<dyn std::error::Error>| error)?;
        println!("{name} {} {}", bytes.len(), models::sha256_hex(&bytes));
        std::fs::write(directory.join(name), bytes)?;
    }
    Ok(())
}
