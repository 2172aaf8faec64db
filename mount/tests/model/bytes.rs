//! Bytes of the model and bytes of a file: each of the model's is a run of real ones, which differ
//! from each other, so that one that comes to lie elsewhere is seen.

/// A prime, so that no run of a page looks like the next.
const PERIOD: usize = 251;

/// The real bytes at `offset` of a run. A byte 0 is a hole.
fn real(byte: u8, offset: usize) -> u8 {
    if byte == 0 {
        return 0;
    }
    let step = u8::try_from(offset % PERIOD).unwrap_or_default();
    byte.wrapping_add(step)
}

pub(crate) fn of_mount(model: &[u8], scale: usize) -> Vec<u8> {
    let run = |byte: &u8| {
        let byte = *byte;
        (0..scale).map(move |offset| real(byte, offset))
    };
    model.iter().flat_map(run).collect()
}

/// Or what is wrong with them.
pub(crate) fn of_model(found: &[u8], scale: usize) -> Result<Vec<u8>, String> {
    let model: Vec<u8> = found.chunks(scale).map(|run| run[0]).collect();
    let wanted = of_mount(&model, scale);
    match crate::support::bytes::difference(found, &wanted) {
        None => Ok(model),
        Some(difference) => Err(format!("torn bytes: {difference}")),
    }
}
