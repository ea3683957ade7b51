//! A Docker archive (`docker save`, `podman save`, `skopeo copy ... docker-archive:`): a list of layers, mostly not
//! compressed, and no manifest.

use std::{fs::File, io::BufWriter};

use super::{
    super::{document::DockerImage, layer},
    Base, Blob, Descriptor, ImageError, Manifest, Scratch,
    archive::Archive,
    document, image,
};

/// Reads the only image of an archive; layers that are plain tars are compressed.
pub(super) fn load(name: String, archive: &Archive) -> Result<Base, ImageError> {
    let list: Vec<DockerImage> =
        serde_json::from_slice(&archive.file("manifest.json", String::new())?.read()?)
            .map_err(|error| ImageError::broken(&name, error))?;
    let [docker] = &list[..] else {
        return Err(ImageError::broken(
            &name,
            format!("it holds {} images; save the one to build on alone", list.len()),
        ));
    };
    let config = Blob::new(archive.file(&docker.config, String::new())?.read()?);
    let scratch = Scratch::new().map_err(ImageError::file(std::env::temp_dir()))?;
    let mut layers = Vec::new();
    for (n, path) in docker.layers.iter().enumerate() {
        let stored = archive.file(path, String::new())?;
        layers.push(compressed(&stored, &scratch, n)?);
    }
    let manifest = Manifest {
        schema_version: 2,
        media_type: document::MANIFEST.into(),
        config: config.descriptor(document::CONFIG),
        layers: layers
            .iter()
            .map(|blob: &Blob| Descriptor { ..blob.descriptor(document::LAYER_GZIP) })
            .collect(),
        annotations: std::collections::BTreeMap::new(),
    };
    let digest = config.digest.clone();
    let image = image(&name, &manifest, config, layers, vec![scratch])?;
    Ok(Base { name, reference: None, digest, image })
}

/// The layer, compressed, in the scratch folder; as it is where it is compressed already.
fn compressed(stored: &Blob, scratch: &Scratch, n: usize) -> Result<Blob, ImageError> {
    use std::io::Read as _;
    let path = scratch.path().join(format!("layer-{n}.tar.gz"));
    let mut magic = [0; 2];
    // A layer may be empty: then it is no gzip either.
    let is_gzip = stored.open()?.read_exact(&mut magic).is_ok() && magic == [0x1f, 0x8b];
    let mut reader = stored.open()?;
    let written = File::create(&path).and_then(|file| {
        let mut hashing = super::super::blob::Hashing::new(BufWriter::new(file));
        if is_gzip {
            std::io::copy(&mut reader, &mut hashing)?;
        } else {
            layer::compress(&mut reader, &mut hashing)?;
        }
        std::io::Write::flush(&mut hashing)?;
        Ok((hashing.digest(), hashing.passed_bytes))
    });
    let (digest, size) = written.map_err(ImageError::file(&path))?;
    Ok(Blob::in_file(path, 0, size, digest))
}
