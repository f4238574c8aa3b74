//! Bringing in the layers of an image, several at once.

use super::report;
use crate::image::digest::Digest;
use crate::image::manifest::Layer;
use crate::image::registry::Client;
use crate::image::store::{Ingest, LayerSink, LayerSlot, LayerSpec};
use crate::image::{PullEvent, PullOptions};
use crate::{Error, Result};
use futures::future::{BoxFuture, FutureExt};
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// How many layers are fetched at the same time.
const AT_ONCE: usize = 3;
/// Progress is reported no more often than this.
const PACE: Duration = Duration::from_millis(100);

/// The layers of one pull.
pub(super) struct Transfer<'a> {
    pub(super) ingest: &'a Ingest,
    /// Places to get them from, the first one first.
    pub(super) clients: &'a [Client],
    pub(super) options: &'a PullOptions,
}

impl Transfer<'_> {
    /// Brings in what is not here yet; true: something had to be fetched.
    pub(super) async fn all(&self, layers: &[Layer], diff_ids: &[Digest]) -> Result<bool> {
        let mut seen = HashSet::new();
        let mut work: Vec<BoxFuture<'_, Result<bool>>> = Vec::new();
        for (layer, diff_id) in layers.iter().zip(diff_ids) {
            if seen.insert(diff_id) {
                work.push(self.one(layer, diff_id).boxed());
            }
        }
        let done = stream::iter(work).buffer_unordered(AT_ONCE);
        done.try_fold(false, |any, one| async move { Ok(any | one) }).await
    }

    async fn one(&self, layer: &Layer, diff_id: &Digest) -> Result<bool> {
        let spec = LayerSpec {
            blob: Some((layer.blob.digest.clone(), layer.blob.size)),
            compression: layer.compression,
            diff_id: Some(diff_id.clone()),
            whiteouts: true,
        };
        let name = layer.blob.digest.to_string();
        let mut place = 0;
        let mut again = true;
        loop {
            // Asked for anew each time: somebody else may have brought it in meanwhile.
            let sink = match self.ingest.layer(spec.clone()).await? {
                LayerSlot::Ready => {
                    report(self.options, || PullEvent::Exists { layer: name.clone() });
                    return Ok(false);
                }
                LayerSlot::Fetch(sink) => *sink,
            };
            match self.fetch(&self.clients[place], layer, sink).await {
                Ok(()) => {
                    report(self.options, || PullEvent::Done { layer: name });
                    return Ok(true);
                }
                Err(failure) if failure.wrong_content && again => again = false,
                Err(failure) if failure.transfer && place + 1 < self.clients.len() => place += 1,
                Err(failure) => return Err(failure.error),
            }
        }
    }

    async fn fetch(&self, client: &Client, layer: &Layer, mut sink: LayerSink) -> Result<(), Failure> {
        let (name, total) = (layer.blob.digest.to_string(), layer.blob.size);
        let mut reader = client.blob(&layer.blob);
        let mut last = Instant::now();
        let downloading = |current| PullEvent::Downloading { layer: name.clone(), current, total };
        report(self.options, || downloading(0));
        loop {
            let bytes = match reader.next().await {
                Ok(Some(bytes)) => bytes,
                Ok(None) => break,
                Err(error) => {
                    return Err(Failure { wrong_content: reader.mismatched(), transfer: true, error });
                }
            };
            if let Err(error) = sink.write(&bytes).await {
                drop(sink);
                // The unpacker stumbles first over content that is not what its digest says.
                while let Ok(Some(_)) = reader.next().await {}
                let wrong_content = reader.mismatched();
                return Err(Failure { wrong_content, transfer: wrong_content, error });
            }
            if last.elapsed() >= PACE {
                last = Instant::now();
                report(self.options, || downloading(sink.written()));
            }
        }
        report(self.options, || downloading(total));
        report(self.options, || PullEvent::Extracting { layer: name.clone() });
        match sink.finish().await {
            Ok(_) => Ok(()),
            Err(error) => Err(Failure { wrong_content: false, transfer: false, error }),
        }
    }
}

/// Why a layer could not be brought in.
struct Failure {
    /// The registry sent other content than it should.
    wrong_content: bool,
    /// It is the transfer's fault: another place may do better.
    transfer: bool,
    error: Error,
}
