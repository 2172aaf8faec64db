//! `kubectl dlf plugin check --cluster`: the life of a cache, by a plugin that is installed.

mod cache;
mod clean;
mod file;
mod known;
mod order;
mod pods;
mod printer;
mod rights;
mod steps;
mod suite;
mod wait;

use std::{error::Error, path::Path, process::ExitCode};

use serde_json::json;

use self::{
    clean::{Interrupts, clean},
    file::Given,
    known::known,
    order::Step,
    printer::Printer,
    suite::Suite,
};
use super::report::{Outcome, Report};
use crate::{
    arguments::{InCluster, Shown},
    cluster::{self, Cluster, Kind},
    output,
};

/// Letters of a name that nothing else has.
const UNIQUE: usize = 5;

/// What is asked for.
pub(super) struct Asked {
    pub(super) plugin: String,
    pub(super) image: String,
    pub(super) cache_namespace: String,
}

/// What is made, and where.
pub(super) struct Fixture<'a> {
    asked: &'a Asked,
    given: Given,
    /// The same with other keys.
    rotated: Option<Given>,
    /// Of the Dataset.
    name: String,
    namespace: String,
    /// Where pods have the Dataset.
    root: String,
}

pub(super) async fn run(
    plugin: &Path,
    settings: &InCluster,
    shown: Shown,
) -> Result<ExitCode, Box<dyn Error>> {
    let plugin = plugin.to_str().unwrap_or_default().to_owned();
    let filename = settings.filename.as_deref().unwrap_or(Path::new("-"));
    let given = file::read(filename)?;
    let rotated = settings.rotated.as_deref().map(|file| given.rotated(file));
    let rotated = rotated.transpose()?;
    let cluster = cluster::connect(&settings.connection).await?;
    let head = known(&cluster, &plugin, &settings.installed.dlf_namespace).await?;
    let unique: String = std::iter::repeat_with(fastrand::alphanumeric)
        .take(UNIQUE)
        .collect();
    let name = format!("check-{}", unique.to_ascii_lowercase());
    let asked = Asked {
        plugin,
        image: settings.image.clone(),
        cache_namespace: settings.cache_namespace.clone(),
    };
    let fixture = Fixture {
        root: given.path(&name),
        namespace: format!("dlf-{name}"),
        asked: &asked,
        given,
        rotated,
        name,
    };
    rights::ask(&cluster, &fixture).await?;
    // From here on nothing ends this before it has cleaned up.
    let mut interrupts = Interrupts::new()?;
    let labels = json!({ "app.kubernetes.io/managed-by": "kubectl-dlf" });
    let namespace = json!({ "metadata": { "name": fixture.namespace, "labels": labels } });
    cluster.create(Kind::NAMESPACE, None, namespace).await?;
    let mut report = Report {
        plugin: head,
        checks: Vec::new(),
    };
    let printer = Printer { shown };
    let plan = Step::all(fixture.rotated.is_some());
    // Whatever cannot be printed, the namespace goes.
    let shown = run_and_report(
        &cluster,
        &fixture,
        settings,
        &plan,
        &mut report,
        &printer,
        &mut interrupts,
    )
    .await;
    clean(&cluster, &fixture, settings, &mut interrupts).await?;
    let complete = shown?;
    Ok(output::exit_code(complete && report.passed()))
}

/// Runs the steps until they end or are interrupted, and shows what they found; gives whether they
/// ended.
async fn run_and_report(
    cluster: &Cluster,
    fixture: &Fixture<'_>,
    settings: &InCluster,
    plan: &[Step],
    report: &mut Report,
    printer: &Printer,
    interrupts: &mut Interrupts,
) -> Result<bool, Box<dyn Error>> {
    let head = report.head();
    printer.line(&format!("{head}, in namespace {}", fixture.namespace))?;
    tokio::select! {
        outcome = steps(cluster, fixture, settings, plan, report, printer) => outcome?,
        () = interrupts.next() => {}
    }
    let complete = report.checks.len() == plan.len();
    for step in plan.iter().skip(report.checks.len()) {
        let found = "interrupted".to_owned();
        printer.enter(report, *step, Outcome::Skipped { found })?;
    }
    match printer.shown.output {
        Some(format) => output::print(report, format)?,
        None => output::show(&report.summary())?,
    }
    Ok(complete)
}

/// Runs all steps that can run.
async fn steps(
    cluster: &Cluster,
    fixture: &Fixture<'_>,
    settings: &InCluster,
    plan: &[Step],
    report: &mut Report,
    printer: &Printer,
) -> Result<(), Box<dyn Error>> {
    let suite = Suite::new(cluster, fixture);
    let mut passed = Vec::new();
    for &step in plan {
        let missing = step.needs().iter().find(|needed| !passed.contains(*needed));
        if let Some(missing) = missing {
            let found = format!("it needs what `{}` did not reach", missing.as_str());
            printer.enter(report, step, Outcome::Skipped { found })?;
            continue;
        }
        printer.begin(step)?;
        let outcome = match suite.watch.within(settings.timeout, suite.run(step)).await {
            Ok(found) => {
                passed.push(step);
                Outcome::Passed { found: Some(found) }
            }
            Err(found) => {
                let (plugin, dlf) = (&fixture.asked.plugin, &settings.installed.dlf_namespace);
                let fix = step.fix(plugin, dlf, &fixture.asked.cache_namespace);
                Outcome::Failed { found, fix }
            }
        };
        printer.enter(report, step, outcome)?;
    }
    Ok(())
}
