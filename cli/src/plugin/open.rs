use std::{
    error::Error,
    ffi::{OsStr, OsString},
    fs,
    sync::Arc,
};

use dlf_plugin_host::{
    carrier::{Channel, Guard, Limits, Process, Socket},
    metrics::Metrics,
};

use crate::arguments::Which;

/// Runs a plugin in a process of its own: a library by this program, anything else as a program.
pub(crate) fn channel(plugin: &Which) -> Result<Arc<dyn Channel>, Box<dyn Error>> {
    let shown = plugin.file.display();
    let file = fs::canonicalize(&plugin.file).map_err(|error| format!("{shown}: {error}"))?;
    let process = if file.extension() == Some(OsStr::new("so")) {
        if !plugin.arguments.is_empty() {
            return Err(format!("{shown} is a library, which takes no arguments").into());
        }
        let host: Vec<OsString> = vec!["plugin-host".into(), "--library".into(), file.into()];
        Process::new(&std::env::current_exe()?, host)?
    } else {
        let arguments = plugin.arguments.iter().map(Into::into).collect();
        Process::new(&file, arguments)?
    };
    let inner = Arc::new(Socket::new(process));
    let guard = Guard::new("under-test", inner, Limits::default(), Metrics::default());
    Ok(Arc::new(guard))
}
