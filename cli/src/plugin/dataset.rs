use std::{error::Error, fs, io, path::Path};

use dlf_core::{api::Dataset, plugin::DatasetRef, source::Source};

/// The namespace of a Dataset that does not say.
const NAMESPACE: &str = "default";
/// The uid of a Dataset that is not in a cluster.
const UID: &str = "00000000-0000-4000-8000-000000000000";

/// A Dataset of a file, as plugins see it.
pub(crate) struct Asked {
    pub(crate) dataset: Dataset,
    pub(crate) reference: DatasetRef,
    pub(crate) source: Source,
}

/// The text of a file; `-` is standard input.
pub(crate) fn text(file: &Path) -> Result<String, Box<dyn Error>> {
    if file == Path::new("-") {
        return Ok(io::read_to_string(io::stdin())?);
    }
    Ok(fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?)
}

/// Reads a Dataset, which is of this namespace where it does not say; `-` is standard input.
pub(crate) fn read(file: &Path, namespace: Option<&str>) -> Result<Asked, Box<dyn Error>> {
    let shown = file.display();
    let text = text(file)?;
    let mut dataset: Dataset =
        serde_saphyr::from_str(&text).map_err(|error| format!("{shown}: {error}"))?;
    let metadata = &mut dataset.metadata;
    metadata.namespace = within(metadata.namespace.take(), namespace)
        .map_err(|error| format!("{shown}: {error}"))?;
    let metadata = &dataset.metadata;
    let name = metadata
        .name
        .clone()
        .ok_or_else(|| format!("{shown}: metadata.name is missing"))?;
    let reference = DatasetRef {
        namespace: metadata
            .namespace
            .clone()
            .unwrap_or_else(|| NAMESPACE.to_owned()),
        uid: metadata.uid.clone().unwrap_or_else(|| UID.to_owned()),
        labels: metadata.labels.clone().unwrap_or_default(),
        name,
    };
    let source = Source::parse(&dataset.spec, &reference.labels, &reference.namespace)
        .map_err(|error| format!("{shown}: {error}"))?;
    // What stands in the file is replaced by a reference, as the operator does it.
    let source = match source {
        Source::ObjectStore(bucket) => {
            Source::ObjectStore(bucket.referring_to(|| format!("{}-source", reference.name)))
        }
        other => other,
    };
    Ok(Asked {
        dataset,
        reference,
        source,
    })
}

/// The namespace that a file names, or else the command line.
fn within(own: Option<String>, given: Option<&str>) -> Result<Option<String>, String> {
    match (own, given) {
        (Some(own), Some(given)) if own != given => Err(format!(
            "metadata.namespace is {own}, and --namespace is {given}: leave one of them out"
        )),
        (own, given) => Ok(own.or_else(|| given.map(ToOwned::to_owned))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_and_command_line_name_one_namespace() {
        let own = || Some("ml".to_owned());
        assert_eq!(within(own(), None), Ok(own()));
        assert_eq!(within(None, Some("ml")), Ok(own()));
        assert_eq!(within(own(), Some("ml")), Ok(own()));
        assert_eq!(within(None, None), Ok(None));
        let refused = within(own(), Some("other")).unwrap_err();
        assert!(
            refused.contains("ml") && refused.contains("other"),
            "{refused}"
        );
    }
}
