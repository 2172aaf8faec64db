//! This program brings itself into another image: a plugin's, which has what the plugin runs in.

use std::{error::Error, fs, os::unix::fs::PermissionsExt, path::Path};

use tracing::info;

/// Its name in the directory, whatever it was started as.
const NAME: &str = "dlf-plugin-host";
const EXECUTABLE: u32 = 0o755;

/// Writes the running program into `directory`. An earlier copy is replaced as a whole: a container
/// that is started again finds one, and one that runs cannot be written to.
pub(crate) fn copy_to(directory: &Path) -> Result<(), Box<dyn Error>> {
    let failed =
        |path: &Path, error: std::io::Error| format!("cannot write {}: {error}", path.display());
    let copy = directory.join(NAME);
    let partial = directory.join(format!(".{NAME}.{}", std::process::id()));
    fs::copy(std::env::current_exe()?, &partial).map_err(|error| failed(&partial, error))?;
    fs::set_permissions(&partial, fs::Permissions::from_mode(EXECUTABLE))
        .and_then(|()| fs::rename(&partial, &copy))
        .map_err(|error| failed(&copy, error))?;
    info!(path = %copy.display(), "copied");
    Ok(())
}
