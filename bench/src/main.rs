//! Figures of the control plane, taken on the running test cluster with the working tree installed
//! (`make bench`). Each section says under which conditions it was taken; ratios come from one run.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for people"
)]

mod cluster;
mod datasets;
mod figures;
mod idle;
mod metrics;
mod namespace;
mod pods;
mod process;
mod scale;
mod startup;
mod webhook;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use crate::cluster::Cluster;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Section {
    /// Admission reviews straight to one replica, over TLS.
    Webhook,
    /// Pods made through the API server, with datasets and without.
    Pods,
    /// Datasets made until all their claims are there.
    Datasets,
    /// One more Dataset, and an idle cluster, while thousands fail or wait.
    Waiting,
    /// From a pod's creation to its container, with a dataset and without.
    Startup,
    /// Thousands of Datasets and of pods on nodes that kwok plays (`tests/cluster/kwok.sh start`).
    Scale,
}

/// Figures of the control plane on the test cluster.
#[derive(Debug, Parser)]
struct Options {
    /// What to measure; everything if nothing is named.
    #[arg(value_enum)]
    sections: Vec<Section>,
    /// Datasets, and pods, of section `scale`.
    #[arg(long, default_value_t = 20_000)]
    scale: usize,
}

#[tokio::main]
async fn main() -> ExitCode {
    // Fails only where a provider is installed already, and then it is this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Outcome<()> {
    let cluster = Cluster::connect().await?;
    println!("{}", cluster.conditions().await?);
    let all = Section::value_variants();
    let sections = if options.sections.is_empty() {
        all
    } else {
        &options.sections
    };
    for section in sections {
        match section {
            Section::Webhook => webhook::measure(&cluster).await?,
            Section::Pods => pods::measure(&cluster).await?,
            Section::Datasets => datasets::measure(&cluster).await?,
            Section::Waiting => idle::measure(&cluster).await?,
            Section::Startup => startup::measure(&cluster).await?,
            Section::Scale => scale::measure(&cluster, options.scale).await?,
        }
    }
    Ok(())
}
