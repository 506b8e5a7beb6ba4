//! What a user may have meant by a name that is not known.

/// The similarity from which on a known name is proposed; clap uses the same.
const ALIKE: f64 = 0.7;

/// The name in `known` that is most similar to `name`, if any is similar.
pub fn nearest(name: &str, known: &[String]) -> Option<String> {
    let likeness = known.iter().map(|k| (strsim::jaro(name, k), k));
    likeness
        .filter(|(likeness, _)| *likeness > ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known.clone())
}
