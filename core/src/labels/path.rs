use super::PathProblem;

/// Linux's `PATH_MAX`.
pub(super) const PATH_BYTES_MAX: usize = 4096;

/// Checks where in a container a dataset is to be mounted and gives the path without a slash at its
/// end, so that two ways to write one path are seen to be one.
///
/// # Errors
/// What is wrong with it.
pub fn check_mount_path(path: &str) -> Result<&str, PathProblem> {
    if path.is_empty() {
        return Err(PathProblem::Empty);
    }
    let inner = path.strip_prefix('/').ok_or(PathProblem::NotAbsolute)?;
    if inner.is_empty() {
        return Err(PathProblem::Root);
    }
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    check_parts(inner)?;
    // The API server refuses a colon in a mount path.
    if inner.contains(':') {
        return Err(PathProblem::Character);
    }
    Ok(&path[..=inner.len()])
}

/// Checks which part of a dataset is to be mounted and gives it without a slash at its end.
///
/// # Errors
/// What is wrong with it.
pub fn check_subpath(path: &str) -> Result<&str, PathProblem> {
    if path.is_empty() {
        return Err(PathProblem::Empty);
    }
    if path.starts_with('/') {
        return Err(PathProblem::NotRelative);
    }
    let inner = path.strip_suffix('/').unwrap_or(path);
    check_parts(inner)?;
    Ok(inner)
}

fn check_parts(inner: &str) -> Result<(), PathProblem> {
    if inner.len() >= PATH_BYTES_MAX {
        return Err(PathProblem::TooLong);
    }
    if inner.contains(char::is_control) {
        return Err(PathProblem::Character);
    }
    if inner.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(PathProblem::NotNormal);
    }
    Ok(())
}
