//! `kubectl dlf plugin`.

mod cluster;
mod dataset;
mod diff;
mod dry_run;
pub(crate) mod list;
mod live;
mod open;
mod plan;
pub(crate) mod pods;
mod report;
mod section;

use std::{error::Error, process::ExitCode};

use dlf_core::plugin::{KindRef, Needs, PluginInfo};
use dlf_plugin_host::{carrier::Remote, config::Grant};

use crate::{
    arguments::{PluginCommand, Shown, Which},
    output,
};

pub(crate) use self::list::is_ready;

pub(crate) async fn run(command: PluginCommand) -> Result<ExitCode, Box<dyn Error>> {
    match command {
        PluginCommand::List {
            installed,
            shown,
            connection,
        } => list::run(&installed, shown, &connection).await,
        PluginCommand::Inspect { plugin, shown } => inspect(&plugin, shown).await,
        PluginCommand::Check {
            plugin,
            installed,
            shown,
            ..
        } if installed.cluster => cluster::run(&plugin.file, &installed, shown).await,
        PluginCommand::Check {
            plugin,
            config,
            shown,
            ..
        } => check(&plugin, config.as_deref(), shown).await,
        PluginCommand::Plan {
            plugin,
            filename,
            config,
            ready,
            diff,
            installed_as,
            cache_namespace,
            within,
            shown,
            connection,
        } => {
            let against = diff.then_some(plan::Against {
                connection: &connection,
                installed_as: installed_as.as_deref(),
            });
            let asked = plan::Asked {
                filename: &filename,
                namespace: within.namespace.as_deref(),
                config: config.as_deref(),
                ready,
                cache_namespace: &cache_namespace,
                against,
            };
            plan::run(&plugin, &asked, shown).await
        }
    }
}

async fn inspect(plugin: &Which, shown: Shown) -> Result<ExitCode, Box<dyn Error>> {
    let remote = Remote::meet(open::channel(plugin)?).await?;
    match shown.output {
        Some(format) => output::print(remote.info(), format)?,
        None => output::show(&described(remote.info()))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn described(info: &PluginInfo) -> String {
    let kinds = |kinds: &[KindRef]| {
        let names = kinds
            .iter()
            .map(|kind| format!("{} ({})", kind.kind, kind.api_version));
        let names = names.collect::<Vec<_>>().join(", ");
        if names.is_empty() {
            "nothing".to_owned()
        } else {
            names
        }
    };
    let needs = |needs: Needs| {
        let grants: Vec<&str> = Grant::needed(needs).map(Grant::as_str).collect();
        if grants.is_empty() {
            "nothing".to_owned()
        } else {
            format!(
                "{}, which the configuration has to grant",
                grants.join(", ")
            )
        }
    };
    let types: Vec<&str> = info.source_types.iter().map(|kind| kind.as_str()).collect();
    let schema = info.config_schema.as_ref().map(ToString::to_string);
    let rows = [
        ("Name", info.name.clone()),
        ("Version", info.version.clone()),
        ("Kind", info.kind.as_str().to_owned()),
        (
            "Protocol",
            format!("{} to {}", info.protocol.min, info.protocol.max),
        ),
        ("Sources", types.join(", ")),
        ("Plans", kinds(&info.emits)),
        ("Observes", kinds(&info.observes)),
        ("Needs", needs(info.needs)),
        (
            "Config",
            schema.unwrap_or_else(|| "describes none".to_owned()),
        ),
    ];
    let rows = rows.map(|(name, value)| format!("{:<11}{value}\n", format!("{name}:")));
    rows.concat()
}

async fn check(
    plugin: &Which,
    config: Option<&str>,
    shown: Shown,
) -> Result<ExitCode, Box<dyn Error>> {
    let section = section::read(config)?;
    let report = dlf_plugin_conformance::check(open::channel(plugin)?, &section).await;
    let report = report::Report::from(report);
    match shown.output {
        Some(format) => output::print(&report, format)?,
        None => output::show(&report.to_string())?,
    }
    Ok(output::exit_code(report.passed()))
}
