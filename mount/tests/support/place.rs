//! A place for one test: a prefix of the bucket, and a mount of it as users get one.

use std::path::PathBuf;

use dlf_tests::Output;
use dlf_wire::dataset::v1::{DatasetConfig, FuseVolume, dataset_config};

use super::bucket::Bucket;
use super::http_proxy::HttpProxy;
use super::mounter::{Mount, Mounter, dataset};
use super::shaped::{Shape, Shaped};
use super::{program, server};

/// How old an answer may be, in milliseconds, where a Dataset does not say: `spec.mount.revalidate`.
pub const REVALIDATE_DEFAULT_MS: u64 = 60_000;

/// What a place is to be like.
pub struct Setup {
    test: &'static str,
    revalidate_ms: Option<u64>,
    behind_proxy: bool,
    network: Option<Shape>,
    staging_bytes: Option<u64>,
    source_timeout_ms: u64,
}

impl Setup {
    /// Defaults of a Dataset, at the server itself; the prefix is named after the test.
    pub fn of(test: &'static str) -> Self {
        Self {
            test,
            revalidate_ms: Some(REVALIDATE_DEFAULT_MS),
            behind_proxy: false,
            network: None,
            staging_bytes: None,
            // The default, too: a busy server is no failing one.
            source_timeout_ms: 0,
        }
    }

    /// Another `revalidate`, in milliseconds; `None`: an answer never gets old.
    pub fn revalidate(self, revalidate_ms: Option<u64>) -> Self {
        Self {
            revalidate_ms,
            ..self
        }
    }

    /// The mount reaches the server by a proxy.
    pub fn behind_proxy(self) -> Self {
        Self {
            behind_proxy: true,
            ..self
        }
    }

    /// The mount reaches the server by a network with a rate and a delay.
    pub fn behind_network(self, shape: Shape) -> Self {
        Self {
            network: Some(shape),
            ..self
        }
    }

    /// The staging directory holds so many bytes and no more.
    pub fn with_staging_of(self, bytes: u64) -> Self {
        Self {
            staging_bytes: Some(bytes),
            ..self
        }
    }

    /// A source that is away is waited for so long, in milliseconds.
    pub fn source_timeout(self, source_timeout_ms: u64) -> Self {
        Self {
            source_timeout_ms,
            ..self
        }
    }

    /// The place, or a line that says why the test does not run.
    pub fn start(self) -> Option<Place> {
        let server = server(self.test)?;
        let bucket = Bucket::new(&server, self.test);
        let mut dataset = dataset(bucket.origin());
        let volume = volume(&mut dataset);
        volume.revalidate_ms = self.revalidate_ms;
        volume.source_timeout_ms = self.source_timeout_ms;
        let proxy = self.behind_proxy.then(|| HttpProxy::start(&server));
        if let Some(proxy) = &proxy {
            volume.origins[0].endpoint = proxy.endpoint();
        }
        if let Some(shape) = self.network {
            let target = server.endpoint.trim_start_matches("http://");
            volume.origins[0].endpoint = Shaped::start(target, shape).endpoint();
        }
        let mut mounter = match self.staging_bytes {
            Some(bytes) => Mounter::start_with_staging_of(bytes),
            None => Mounter::start(),
        };
        let mount = mounter.mount("m", &dataset, None);
        Some(Place {
            mount,
            mounter,
            proxy,
            bucket,
            dataset,
        })
    }
}

/// Fields go in this order, the bucket's objects last.
pub struct Place {
    pub mount: Mount,
    pub mounter: Mounter,
    proxy: Option<HttpProxy>,
    pub bucket: Bucket,
    dataset: DatasetConfig,
}

impl Place {
    pub fn join(&self, name: &str) -> PathBuf {
        self.mount.join(name)
    }

    pub fn proxy(&self) -> &HttpProxy {
        self.proxy.as_ref().expect("Setup::behind_proxy was called")
    }

    /// Another mount of the same prefix, of a child of its own: to this one it is another node.
    pub fn mount_again(&mut self) -> Mount {
        self.mounter.mount("again", &self.dataset, None)
    }

    /// A new consumer comes to the mount, as the driver tells it.
    pub fn refresh(&mut self) {
        self.mounter.refresh("m");
    }

    /// Runs a script of the shell in the mount.
    pub fn sh(&self, script: &str) -> Output {
        program::sh(&self.mount.path, script)
    }

    /// Runs a script of Python in the mount.
    pub fn python(&self, script: &str, arguments: &[&str]) -> Output {
        program::python(&self.mount.path, script, arguments)
    }

    /// Unmounts, and waits until what was closed is in the bucket.
    pub fn end(mut self) -> Bucket {
        self.mount.settle();
        drop(self.mount);
        self.mounter.stop("m");
        self.bucket
    }
}

/// What a test's dataset says of its mount.
pub fn volume(dataset: &mut DatasetConfig) -> &mut FuseVolume {
    match &mut dataset.volume {
        Some(dataset_config::Volume::Fuse(volume)) => volume,
        other => panic!("no FUSE volume: {other:?}"),
    }
}
