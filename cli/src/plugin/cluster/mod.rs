//! `kubectl dlf plugin check --cluster`: the life of a cache, by a plugin that is installed.

mod cache;
mod file;
mod order;
mod pods;
mod rights;
mod steps;
mod wait;

use std::{
    error::Error,
    io::{self, IsTerminal, Write},
    path::Path,
    process::ExitCode,
};

use serde_json::{Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::{file::Given, order::Step, steps::Suite, wait::Watch};
use super::{
    list::{self, ListError},
    report::{Check, Outcome, Report},
};
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
pub(super) struct Target<'a> {
    asked: &'a Asked,
    given: Given,
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
    let target = Target {
        root: given.path(&name),
        namespace: format!("dlf-{name}"),
        asked: &asked,
        given,
        name,
    };
    rights::ask(&cluster, &target).await?;
    // From here on nothing ends this before it has cleaned up.
    let mut interrupts = Interrupts::new()?;
    let labels = json!({ "app.kubernetes.io/managed-by": "kubectl-dlf" });
    let namespace = json!({ "metadata": { "name": target.namespace, "labels": labels } });
    cluster.create(Kind::NAMESPACE, None, namespace).await?;
    let mut report = Report {
        plugin: head,
        checks: Vec::new(),
    };
    let printer = Printer { shown };
    let head = report.head();
    printer.line(&format!("{head}, in namespace {}", target.namespace))?;
    let outcome = tokio::select! {
        outcome = steps(&cluster, &target, settings, &mut report, &printer) => outcome,
        () = interrupts.next() => Ok(()),
    };
    for step in Step::ALL.iter().skip(report.checks.len()) {
        let found = "interrupted".to_owned();
        printer.enter(&mut report, *step, Outcome::Skipped { found })?;
    }
    match shown.output {
        Some(format) => output::print(&report, format)?,
        None => output::show(&report.summary())?,
    }
    clean(&cluster, &target, settings, &mut interrupts).await?;
    outcome?;
    Ok(if report.passed() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The plugin as the operator knows it; an error with those it knows where it knows none of this name.
async fn known(cluster: &Cluster, plugin: &str, namespace: &str) -> Result<String, Box<dyn Error>> {
    match list::ask(cluster, namespace).await {
        Ok(plugins) => Ok(found(&plugins, plugin)?),
        // Who may not look, or an operator that does not tell: the Dataset's condition does.
        Err(
            error @ (ListError::Forbidden { .. }
            | ListError::Older(_)
            | ListError::Unreachable { .. }),
        ) => {
            eprintln!("whether there is a plugin {plugin} is not known yet: {error}");
            Ok(plugin.to_owned())
        }
        Err(error) => Err(error.into()),
    }
}

fn found(plugins: &Value, plugin: &str) -> Result<String, String> {
    let plugins = || plugins.as_array().into_iter().flatten();
    let caching =
        || plugins().filter(|one| one["kind"] != "storage" && one["carrier"] != "external");
    let names: Vec<&str> = caching().filter_map(|one| one["name"].as_str()).collect();
    let others = match names.as_slice() {
        [] => "the operator has no caching plugins; docs/plugin-guide.md says how one is installed"
            .to_owned(),
        names => format!("its caching plugins are {}", names.join(", ")),
    };
    let Some(one) = plugins().find(|one| one["name"] == plugin) else {
        return Err(format!("the operator has no plugin {plugin}; {others}"));
    };
    if one["carrier"] == "external" {
        return Err(format!(
            "plugin {plugin} is a controller of its own, which plans no caches that could be checked; {others}"
        ));
    }
    match one["kind"].as_str() {
        Some("storage") => Err(format!(
            "plugin {plugin} is of kind storage, and this checks caches; {others}"
        )),
        kind => {
            let version = one["version"].as_str().map(|version| format!(" {version}"));
            Ok(format!(
                "{plugin}{} ({})",
                version.unwrap_or_default(),
                kind.unwrap_or("caching")
            ))
        }
    }
}

/// Runs all steps that can run.
async fn steps(
    cluster: &Cluster,
    target: &Target<'_>,
    settings: &InCluster,
    report: &mut Report,
    printer: &Printer,
) -> Result<(), Box<dyn Error>> {
    let suite = Suite::new(cluster, target);
    let mut passed = Vec::new();
    for step in Step::ALL {
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
                let (plugin, dlf) = (&target.asked.plugin, &settings.installed.dlf_namespace);
                let fix = step.fix(plugin, dlf, &target.asked.cache_namespace);
                Outcome::Failed { found, fix }
            }
        };
        printer.enter(report, step, outcome)?;
    }
    Ok(())
}

/// Deletes the namespace, and waits until it is gone.
async fn clean(
    cluster: &Cluster,
    target: &Target<'_>,
    settings: &InCluster,
    interrupts: &mut Interrupts,
) -> Result<(), Box<dyn Error>> {
    let namespace = &target.namespace;
    let by_hand = format!("kubectl delete namespace {namespace}");
    if settings.keep {
        eprintln!("namespace {namespace} is kept; delete it with `{by_hand}`");
        return Ok(());
    }
    let watch = Watch::default();
    let gone = async {
        // An API server that is away for a moment is asked again.
        watch
            .until(async || {
                Ok(Ok(cluster
                    .delete(Kind::NAMESPACE, None, namespace, None)
                    .await?))
            })
            .await?;
        let look = async || {
            let left = cluster.get(Kind::NAMESPACE, None, namespace).await?;
            Ok(left.map_or(Ok(String::new()), |left| Err(remaining(&left))))
        };
        watch.until(look).await
    };
    let outcome = tokio::select! {
        outcome = watch.within(settings.timeout, gone) => outcome,
        () = interrupts.next() => Err("interrupted".to_owned()),
    };
    match outcome {
        Ok(_) => Ok(()),
        Err(found) => Err(format!(
            "namespace {namespace} is not gone: {found}; see to it with `{by_hand}`"
        )
        .into()),
    }
}

/// What a namespace that is being deleted waits for.
fn remaining(namespace: &Value) -> String {
    let conditions = namespace["status"]["conditions"].as_array();
    let conditions = conditions.into_iter().flatten();
    let remains = conditions.filter(|condition| {
        condition["status"] == "True" && condition["type"] != "NamespaceDeletionDiscoveryFailure"
    });
    let messages: Vec<&str> = remains
        .filter_map(|condition| condition["message"].as_str())
        .collect();
    if messages.is_empty() {
        "it is being deleted".to_owned()
    } else {
        messages.join("; ")
    }
}

/// Ctrl-C, and the request to end.
struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Shows each step as it ends: to people, or beside an answer for programs.
struct Printer {
    shown: Shown,
}

impl Printer {
    fn line(&self, text: &str) -> Result<(), Box<dyn Error>> {
        if self.shown.output.is_some() {
            eprintln!("{text}");
            return Ok(());
        }
        output::show(text)
    }

    /// A person at a terminal sees what is going on.
    fn begin(&self, step: Step) -> Result<(), Box<dyn Error>> {
        if self.shown.output.is_none() && io::stdout().is_terminal() {
            let mut out = io::stdout().lock();
            write!(out, "  ...     {}", step.sentence())?;
            out.flush()?;
        }
        Ok(())
    }

    fn enter(
        &self,
        report: &mut Report,
        step: Step,
        outcome: Outcome,
    ) -> Result<(), Box<dyn Error>> {
        if self.shown.output.is_none() && io::stdout().is_terminal() {
            // Takes away what `begin` wrote.
            write!(io::stdout().lock(), "\r\x1b[K")?;
        }
        let check = Check {
            name: step.sentence(),
            outcome,
        };
        let shown = check.to_string();
        report.checks.push(check);
        self.line(&shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_that_is_not_there_leads_to_those_that_are() {
        let plugins = json!([
            { "name": "nginx", "kind": "caching", "version": "1", "carrier": "isolated" },
            { "name": "away", "kind": null, "version": null, "carrier": "isolated" },
            { "name": "s3fs", "kind": "storage", "version": "1", "carrier": "builtin" },
            { "name": "third", "kind": null, "carrier": "external" },
        ]);
        assert_eq!(found(&plugins, "nginx").unwrap(), "nginx 1 (caching)");
        assert_eq!(found(&plugins, "away").unwrap(), "away (caching)");
        for (name, said) in [
            ("acme", "no plugin acme"),
            ("s3fs", "kind storage"),
            ("third", "controller"),
        ] {
            let error = found(&plugins, name).unwrap_err();
            assert!(error.contains(said), "{error}");
            assert!(
                error.ends_with("its caching plugins are nginx, away"),
                "{error}"
            );
        }
        assert!(
            found(&json!([]), "acme")
                .unwrap_err()
                .contains("no caching plugins")
        );
    }

    #[test]
    fn a_namespace_says_what_it_waits_for() {
        let condition = |status: &str| json!({ "type": "NamespaceFinalizersRemaining", "status": status, "message": "1 dataset" });
        let of = |status| json!({ "status": { "conditions": [condition(status)] } });
        assert_eq!(remaining(&of("True")), "1 dataset");
        assert_eq!(remaining(&of("False")), "it is being deleted");
    }
}
