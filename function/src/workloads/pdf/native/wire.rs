//! A page on its way to the process that renders it: lengths and names as one line of JSON, then
//! the HTML and the assets one after the other.

use std::io::{self, Read, Write};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::workloads::pdf::page::{Asset, Page};

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    html_bytes: usize,
    assets: Vec<AssetHead>,
}

#[derive(Debug, Serialize, Deserialize)]
struct AssetHead {
    name: String,
    content_type: String,
    bytes: usize,
}

/// Writes a page.
///
/// # Errors
/// If the other side is gone.
pub fn write(page: &Page, to: &mut impl Write) -> io::Result<()> {
    let assets = page.assets.iter().map(|asset| AssetHead {
        name: asset.name.clone(),
        content_type: asset.content_type.clone(),
        bytes: asset.bytes.len(),
    });
    let head = Head { html_bytes: page.html.len(), assets: assets.collect() };
    let mut line = serde_json::to_vec(&head)?;
    line.push(b'\n');
    to.write_all(&line)?;
    to.write_all(page.html.as_bytes())?;
    page.assets.iter().try_for_each(|asset| to.write_all(&asset.bytes))
}

/// Reads a page to the end.
///
/// # Errors
/// If it is not what [`write`] writes.
pub fn read(from: &mut impl Read) -> io::Result<Page> {
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "not a page as the function writes it");
    let mut all = Vec::new();
    from.read_to_end(&mut all)?;
    let all = Bytes::from(all);
    let end = all.iter().position(|byte| *byte == b'\n').ok_or_else(broken)?;
    let head: Head = serde_json::from_slice(&all[..end])?;
    let mut rest = all.slice(end + 1..);
    let mut take = |bytes: usize| {
        if bytes > rest.len() { Err(broken()) } else { Ok(rest.split_to(bytes)) }
    };
    let html = String::from_utf8(take(head.html_bytes)?.into()).map_err(|_| broken())?;
    let assets = head.assets.into_iter().map(|asset| {
        Ok(Asset { name: asset.name, content_type: asset.content_type, bytes: take(asset.bytes)? })
    });
    let assets = assets.collect::<io::Result<_>>()?;
    if rest.is_empty() { Ok(Page { html, assets }) } else { Err(broken()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_page_comes_out_as_it_went_in(html: String, assets: Vec<(String, String, Vec<u8>)>) {
            let assets = assets.into_iter().map(|(name, content_type, bytes)| {
                Asset { name, content_type, bytes: bytes.into() }
            });
            let page = Page { html, assets: assets.collect() };
            let mut sent = Vec::new();
            write(&page, &mut sent).unwrap();
            prop_assert_eq!(read(&mut sent.as_slice()).unwrap(), page);
            sent.push(0);
            prop_assert!(read(&mut sent.as_slice()).is_err());
            sent.truncate(sent.len() - 2);
            prop_assert!(read(&mut sent.as_slice()).is_err());
        }
    }
}
