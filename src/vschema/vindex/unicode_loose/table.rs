//! `weights.bin`, read in place.
//!
//! All numbers are big-endian. Three counts of two bytes (runs, contractions, weights); the runs
//! (first code point in three bytes, length, index of the first entry); one entry of two bytes per
//! code point, naming a weight; the contractions, sorted (three code points of three bytes, the
//! last one zero if there are two; the weight); the offsets of the weights and where the last one
//! ends (three bytes each); the weights, written as they are hashed. `LICENSE-golang-x-text` beside
//! it is the licence of the data.

static TABLE: &[u8] = include_bytes!("weights.bin");

const RUN: usize = 7;
const CONTRACTION: usize = 11;

fn number<const N: usize>(at: usize) -> usize {
    TABLE[at..at + N].iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// Where the parts of the table start.
struct Layout {
    runs: usize,
    entries_at: usize,
    contractions: usize,
    contractions_at: usize,
    offsets_at: usize,
    weights_at: usize,
}

fn layout() -> Layout {
    let (runs, contractions, weights) = (number::<2>(0), number::<2>(2), number::<2>(4));
    let entries_at = 6 + runs * RUN;
    let last_run = entries_at - RUN;
    let entries = number::<2>(last_run + 3) + number::<2>(last_run + 5);
    let contractions_at = entries_at + entries * 2;
    let offsets_at = contractions_at + contractions * CONTRACTION;
    let weights_at = offsets_at + (weights + 1) * 3;
    Layout { runs, entries_at, contractions, contractions_at, offsets_at, weights_at }
}

/// Index of the last of `count` items that is not above the wanted one.
fn search(count: usize, is_above: impl Fn(usize) -> bool) -> Option<usize> {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low.midpoint(high);
        if is_above(middle) { high = middle } else { low = middle + 1 }
    }
    low.checked_sub(1)
}

fn weight_at(layout: &Layout, index: usize) -> &'static [u8] {
    let offset = layout.offsets_at + index * 3;
    &TABLE[layout.weights_at..][number::<3>(offset)..number::<3>(offset + 3)]
}

/// Weight of a listed character; empty if the character is ignored.
pub(super) fn weight(character: char) -> Option<&'static [u8]> {
    let layout = layout();
    let point = u32::from(character) as usize;
    let run_at = |run: usize| 6 + run * RUN;
    let run = run_at(search(layout.runs, |run| number::<3>(run_at(run)) > point)?);
    let place = point - number::<3>(run);
    if place >= number::<2>(run + 3) {
        return None;
    }
    let entry = layout.entries_at + (number::<2>(run + 5) + place) * 2;
    Some(weight_at(&layout, number::<2>(entry)))
}

/// Weight of the longest contraction that starts here, and how many characters it takes.
pub(super) fn contraction(
    first: char,
    second: char,
    third: Option<char>,
) -> Option<(&'static [u8], usize)> {
    let layout = layout();
    let points = |third: Option<char>| {
        [u32::from(first), u32::from(second), third.map_or(0, u32::from)].map(|p| p as usize)
    };
    let find = |wanted: [usize; 3]| {
        let at = |index: usize| layout.contractions_at + index * CONTRACTION;
        let read = |index| [0, 3, 6].map(|offset| number::<3>(at(index) + offset));
        let found = search(layout.contractions, |index| read(index) > wanted)?;
        (read(found) == wanted).then(|| weight_at(&layout, number::<2>(at(found) + 9)))
    };
    let three = third.and_then(|third| find(points(Some(third)))).map(|weight| (weight, 3));
    three.or_else(|| find(points(None)).map(|weight| (weight, 2)))
}
