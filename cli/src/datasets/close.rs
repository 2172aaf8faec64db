use std::collections::BTreeSet;

/// More suggestions than this are no help.
const NAMED_MAX: usize = 3;

/// Names that somebody who wrote `name` may have meant, the closest first.
pub(crate) fn close<'a>(name: &str, known: &BTreeSet<&'a str>) -> Vec<&'a str> {
    // A third of the letters may be wrong, and a part may stand for the whole.
    let allowed = (name.chars().count() / 3).max(1);
    let mut near: Vec<(usize, &str)> = known
        .iter()
        .filter_map(|known| {
            let distance = distance(name, known);
            let part = name.len() > 2 && (known.contains(name) || name.contains(known));
            (distance <= allowed || part).then_some((distance, *known))
        })
        .collect();
    near.sort_unstable();
    near.into_iter()
        .map(|(_, name)| name)
        .take(NAMED_MAX)
        .collect()
}

/// How many letters have to be put in, taken out or replaced (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (above, letter) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (column, other) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_name_is_found() {
        let known = BTreeSet::from(["books", "books-2", "cooks", "photos"]);
        assert_eq!(close("boks", &known), ["books"]);
        assert_eq!(close("book", &known), ["books", "books-2"]);
        assert_eq!(close("phots", &known), ["photos"]);
        assert!(close("weather", &known).is_empty());
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
