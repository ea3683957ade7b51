//! The objects, in memory, up to a limit of bytes.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use bytes::Bytes;

/// An object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its content.
    pub bytes: Bytes,
    /// Its media type, as the writer named it.
    pub content_type: String,
    /// Opaque, and the same for the same content, with its quotes.
    pub etag: String,
    /// When it was written.
    pub modified: SystemTime,
}

/// Why something is not kept or not found; the names are S3's error codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreError {
    /// There is no such bucket.
    NoSuchBucket,
    /// There is no such object.
    NoSuchKey,
    /// The memory limit is reached.
    StorageFull,
}

/// One page of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Keys and their objects, in the order of their UTF-8 bytes.
    pub objects: Vec<(String, Object)>,
    /// What keys share up to the delimiter.
    pub common_prefixes: Vec<String>,
    /// Go on after this key or prefix; none: this was all.
    pub next: Option<String>,
}

/// What to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Keys that begin with this.
    pub prefix: String,
    /// Keys are folded up to this, after the prefix; empty: none are.
    pub delimiter: String,
    /// Only what comes after this.
    pub after: String,
    /// At most so many entries.
    pub most: usize,
}

type Objects = BTreeMap<String, Object>;

/// All buckets.
#[derive(Debug)]
pub struct Store {
    limit_bytes: usize,
    buckets: Mutex<BTreeMap<String, Objects>>,
}

impl Store {
    /// Empty buckets of these names.
    pub fn new(buckets: &[String], limit_bytes: usize) -> Self {
        let buckets = buckets.iter().map(|name| (name.clone(), Objects::new())).collect();
        Self { limit_bytes, buckets: Mutex::new(buckets) }
    }

    fn buckets(&self) -> MutexGuard<'_, BTreeMap<String, Objects>> {
        // Whole after every statement.
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a bucket is there.
    pub fn has_bucket(&self, bucket: &str) -> bool {
        self.buckets().contains_key(bucket)
    }

    /// Names of all buckets.
    pub fn names(&self) -> Vec<String> {
        self.buckets().keys().cloned().collect()
    }

    /// Makes a bucket; one that is there stays as it is.
    pub fn create_bucket(&self, bucket: &str) {
        self.buckets().entry(bucket.to_owned()).or_default();
    }

    /// Writes an object, replacing one that is there.
    ///
    /// # Errors
    /// Without the bucket, or when the memory limit is reached.
    pub fn put(
        &self,
        bucket: &str,
        key: &str,
        bytes: Bytes,
        content_type: &str,
    ) -> Result<String, StoreError> {
        let etag = format!("\"{}\"", &models::sha256_hex(&bytes)[..32]);
        let mut buckets = self.buckets();
        let used: usize = buckets.values().flat_map(Objects::values).map(|object| object.bytes.len()).sum();
        let objects = buckets.get_mut(bucket).ok_or(StoreError::NoSuchBucket)?;
        let freed = objects.get(key).map_or(0, |object| object.bytes.len());
        if used - freed + bytes.len() > self.limit_bytes {
            return Err(StoreError::StorageFull);
        }
        let object = Object {
            bytes,
            content_type: content_type.to_owned(),
            etag: etag.clone(),
            modified: SystemTime::now(),
        };
        objects.insert(key.to_owned(), object);
        Ok(etag)
    }

    /// Reads an object.
    ///
    /// # Errors
    /// Without the bucket or the object.
    pub fn get(&self, bucket: &str, key: &str) -> Result<Object, StoreError> {
        let buckets = self.buckets();
        let objects = buckets.get(bucket).ok_or(StoreError::NoSuchBucket)?;
        objects.get(key).cloned().ok_or(StoreError::NoSuchKey)
    }

    /// Removes an object; one that is not there is as good as removed.
    ///
    /// # Errors
    /// Without the bucket.
    pub fn delete(&self, bucket: &str, key: &str) -> Result<(), StoreError> {
        self.buckets().get_mut(bucket).ok_or(StoreError::NoSuchBucket)?.remove(key);
        Ok(())
    }

    /// Lists a bucket (ListObjectsV2).
    ///
    /// # Errors
    /// Without the bucket.
    pub fn list(&self, bucket: &str, query: &Query) -> Result<Page, StoreError> {
        let buckets = self.buckets();
        let objects = buckets.get(bucket).ok_or(StoreError::NoSuchBucket)?;
        let mut page = Page::default();
        let mut last = String::new();
        for (key, object) in objects.range(query.prefix.clone()..) {
            let Some(rest) = key.strip_prefix(&query.prefix) else { break };
            let folded = (!query.delimiter.is_empty())
                .then(|| rest.find(&query.delimiter))
                .flatten()
                .map(|at| &key[..query.prefix.len() + at + query.delimiter.len()]);
            let entry = folded.unwrap_or(key);
            // A prefix that was told is not told again, nor any key below it.
            if *entry <= *query.after
                || (folded.is_some() && page.common_prefixes.last().is_some_and(|p| p == entry))
            {
                continue;
            }
            if page.objects.len() + page.common_prefixes.len() == query.most {
                page.next = Some(last);
                break;
            }
            entry.clone_into(&mut last);
            match folded {
                Some(prefix) => page.common_prefixes.push(prefix.to_owned()),
                None => page.objects.push((key.clone(), object.clone())),
            }
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn store(keys: &[&str]) -> Store {
        let store = Store::new(&["b".into()], 100);
        keys.iter().for_each(|key| drop(store.put("b", key, Bytes::from("x"), "text/plain").unwrap()));
        store
    }

    #[test]
    fn an_object_is_replaced_found_and_removed() {
        let store = store(&["k"]);
        let first = store.get("b", "k").unwrap().etag;
        let second = store.put("b", "k", Bytes::from("yy"), "image/png").unwrap();
        assert_ne!(first, second);
        assert_eq!(store.get("b", "k").unwrap().content_type, "image/png");
        store.delete("b", "k").unwrap();
        store.delete("b", "k").unwrap();
        assert_eq!(store.get("b", "k"), Err(StoreError::NoSuchKey));
        assert_eq!(store.get("none", "k"), Err(StoreError::NoSuchBucket));
    }

    #[test]
    fn the_limit_counts_what_is_kept_and_not_what_was_replaced() {
        let store = store(&[]);
        let put = |key: &str, bytes: usize| store.put("b", key, vec![0; bytes].into(), "");
        put("a", 60).unwrap();
        put("a", 100).unwrap();
        assert_eq!(put("b", 1), Err(StoreError::StorageFull));
        store.delete("b", "a").unwrap();
        put("b", 1).unwrap();
    }

    #[test]
    fn a_listing_has_prefixes_folders_and_pages() {
        let store = store(&["a/1", "a/2", "a/b/3", "c", "ä"]);
        let list = |prefix: &str, delimiter: &str| {
            let query =
                Query { prefix: prefix.into(), delimiter: delimiter.into(), most: 1000, ..Query::default() };
            let page = store.list("b", &query).unwrap();
            (page.objects.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), page.common_prefixes)
        };
        let owned = |keys: &[&str]| keys.iter().map(|&key| key.to_owned()).collect::<Vec<_>>();
        assert_eq!(list("", ""), (owned(&["a/1", "a/2", "a/b/3", "c", "ä"]), owned(&[])));
        assert_eq!(list("a/", ""), (owned(&["a/1", "a/2", "a/b/3"]), owned(&[])));
        assert_eq!(list("", "/"), (owned(&["c", "ä"]), owned(&["a/"])));
        assert_eq!(list("a/", "/"), (owned(&["a/1", "a/2"]), owned(&["a/b/"])));
    }

    proptest! {
        #[test]
        fn pages_together_are_the_whole_listing(
            keys in proptest::collection::btree_set("[ab/]{1,4}", 0..12),
            most in 1_usize..5,
            folded: bool,
        ) {
            let all: Vec<&str> = keys.iter().map(String::as_str).collect();
            let store = store(&all);
            let delimiter = if folded { "/" } else { "" };
            let query = |after: String, most| Query { delimiter: delimiter.into(), after, most, ..Query::default() };
            let whole = store.list("b", &query(String::new(), 1000)).unwrap();
            let (mut objects, mut prefixes, mut after) = (Vec::new(), Vec::new(), String::new());
            loop {
                let page = store.list("b", &query(after, most)).unwrap();
                prop_assert!(page.objects.len() + page.common_prefixes.len() <= most);
                objects.extend(page.objects);
                prefixes.extend(page.common_prefixes);
                match page.next {
                    Some(next) => after = next,
                    None => break,
                }
            }
            prop_assert_eq!((objects, prefixes), (whole.objects, whole.common_prefixes));
        }
    }
}
