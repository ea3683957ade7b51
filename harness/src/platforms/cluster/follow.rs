//! A watch that goes on: over the server's time limit, lost connections, and versions that are
//! too old (410), for which it lists anew.

use std::{collections::BTreeMap, time::Duration};

use futures_util::StreamExt;
use kube::core::WatchEvent;
use serde_json::Value;
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};

use super::{
    api::{Api, ApiError, Selection},
    resources::Resource,
};

/// Pause before a lost stream is opened again.
const REOPEN_AFTER: Duration = Duration::from_millis(250);
/// Changes that may wait to be read.
const WAITING: usize = 1024;

/// What happened to one object.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It is there, or changed.
    Applied(Value),
    /// It is gone.
    Deleted(Value),
    /// The watch could not go on; it is being tried again.
    Lost(String),
}

/// A change and when it was heard of.
#[derive(Debug, Clone)]
pub struct Heard {
    /// When, on this machine's monotonic clock.
    pub at: Instant,
    /// What.
    pub change: Change,
}

/// A running watch; ends when dropped.
#[derive(Debug)]
pub struct Following {
    changes: mpsc::Receiver<Heard>,
    task: JoinHandle<()>,
}

impl Following {
    /// The next change; none after the watch has ended for good.
    pub async fn next(&mut self) -> Option<Heard> {
        self.changes.recv().await
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Begins to watch a collection: first every object that is there, then every change. After a
/// gap, objects that went missing in it are told as deleted.
///
/// # Errors
/// If the collection cannot be listed at all.
pub async fn follow(
    api: &Api,
    resource: Resource,
    namespace: Option<String>,
    selection: Selection,
) -> Result<Following, ApiError> {
    let first = api.list(&resource, namespace.as_deref(), &selection).await?;
    let (sender, changes) = mpsc::channel(WAITING);
    let mut watch =
        Watch { api: api.clone(), resource, namespace, selection, known: BTreeMap::new(), sender };
    let task = tokio::spawn(async move {
        if watch.listed(first.items).await {
            watch.run(first.resource_version).await;
        }
    });
    Ok(Following { changes, task })
}

/// A collection that is kept current: what is there now, and the next change.
#[derive(Debug)]
pub struct Kept {
    following: Following,
    objects: BTreeMap<String, Value>,
    lost: Option<String>,
}

impl Kept {
    /// What is there, by uid.
    pub fn objects(&self) -> &BTreeMap<String, Value> {
        &self.objects
    }

    /// Why the watch ended, or is being opened again.
    pub fn lost(&self) -> &str {
        self.lost.as_deref().unwrap_or("it ended without a word")
    }

    /// Waits for the next change and takes it over; none after the watch has ended for good. May be
    /// given up and called again without losing a change.
    pub async fn changed(&mut self) -> Option<Change> {
        let heard = self.following.next().await?;
        match &heard.change {
            Change::Applied(object) => drop(self.objects.insert(uid(object), object.clone())),
            Change::Deleted(object) => drop(self.objects.remove(&uid(object))),
            Change::Lost(cause) => self.lost = Some(cause.clone()),
        }
        Some(heard.change)
    }
}

/// Lists a collection and keeps it current from then on. Unlike after [`follow`], it is known when
/// the collection is empty.
///
/// # Errors
/// If the collection cannot be listed at all.
pub async fn keep(
    api: &Api,
    resource: Resource,
    namespace: Option<String>,
    selection: Selection,
) -> Result<Kept, ApiError> {
    let first = api.list(&resource, namespace.as_deref(), &selection).await?;
    let objects: BTreeMap<String, Value> =
        first.items.into_iter().map(|object| (uid(&object), object)).collect();
    let (sender, changes) = mpsc::channel(WAITING);
    let known = objects.clone();
    let mut watch = Watch { api: api.clone(), resource, namespace, selection, known, sender };
    let task = tokio::spawn(async move { watch.run(first.resource_version).await });
    Ok(Kept { following: Following { changes, task }, objects, lost: None })
}

struct Watch {
    api: Api,
    resource: Resource,
    namespace: Option<String>,
    selection: Selection,
    /// What is there, by uid.
    known: BTreeMap<String, Value>,
    sender: mpsc::Sender<Heard>,
}

impl Watch {
    /// Goes on until nobody listens. `version`: where the next stream begins.
    async fn run(&mut self, mut version: String) {
        while !self.sender.is_closed() {
            match self.stream(&mut version).await {
                Ok(true) => continue,
                Ok(false) => return,
                Err(cause) => {
                    if !self.tell(Change::Lost(cause)).await {
                        return;
                    }
                }
            }
            // Whatever happened in the gap is found by listing anew.
            loop {
                tokio::time::sleep(REOPEN_AFTER).await;
                match self.api.list(&self.resource, self.namespace.as_deref(), &self.selection).await {
                    Ok(listed) => {
                        if !self.listed(listed.items).await {
                            return;
                        }
                        version = listed.resource_version;
                        break;
                    }
                    Err(error) if error.is_passing() => {}
                    Err(error) => {
                        _ = self.tell(Change::Lost(error.to_string())).await;
                        return;
                    }
                }
            }
        }
    }

    /// Reads one stream to its end. True: it ended as streams do, and the next one goes on from
    /// `version`. False: nobody listens.
    async fn stream(&mut self, version: &mut String) -> Result<bool, String> {
        let stream = self
            .api
            .watch(&self.resource, self.namespace.as_deref(), &self.selection, version)
            .await
            .map_err(|error| error.to_string())?;
        let mut stream = std::pin::pin!(stream);
        while let Some(event) = stream.next().await {
            let listening = match event.map_err(|error| error.to_string())? {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    note_version(version, &object);
                    self.known.insert(uid(&object), object.clone());
                    self.tell(Change::Applied(object)).await
                }
                WatchEvent::Deleted(object) => {
                    note_version(version, &object);
                    self.known.remove(&uid(&object));
                    self.tell(Change::Deleted(object)).await
                }
                WatchEvent::Bookmark(bookmark) => {
                    version.clone_from(&bookmark.metadata.resource_version);
                    true
                }
                // 410: the version is too old to go on from.
                WatchEvent::Error(status) => return Err(format!("{} {}", status.code, status.message)),
            };
            if !listening {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn listed(&mut self, items: Vec<Value>) -> bool {
        let mut before = std::mem::take(&mut self.known);
        for item in items {
            let unchanged =
                before.remove(&uid(&item)).is_some_and(|old| version_of(&old) == version_of(&item));
            self.known.insert(uid(&item), item.clone());
            if !unchanged && !self.tell(Change::Applied(item)).await {
                return false;
            }
        }
        for gone in before.into_values() {
            if !self.tell(Change::Deleted(gone)).await {
                return false;
            }
        }
        true
    }

    async fn tell(&self, change: Change) -> bool {
        self.sender.send(Heard { at: Instant::now(), change }).await.is_ok()
    }
}

fn uid(object: &Value) -> String {
    object["metadata"]["uid"].as_str().unwrap_or_default().to_owned()
}

fn version_of(object: &Value) -> &str {
    object["metadata"]["resourceVersion"].as_str().unwrap_or_default()
}

fn note_version(version: &mut String, object: &Value) {
    let new = version_of(object);
    if !new.is_empty() {
        new.clone_into(version);
    }
}
