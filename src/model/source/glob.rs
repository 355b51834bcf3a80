//! Globs of names: `*` stands for any letters, `?` for one.
//!
//! Whoever may annotate a workload writes them, so a name takes as long as it is long, whatever the glob is. Matchers that go
//! back to the last `*` (`wildmatch`, and most others) take as long as both multiplied. Here a set of positions goes
//! through the name: those that the glob may have come to (Thompson, 1968), a bit each.

/// The longest name that an object, or a key, can have: nothing longer matches any.
pub(super) const LONGEST: usize = 253;

/// How many words a set of positions has: one bit for each letter of the longest glob, and one for its end.
const WORDS: usize = LONGEST / 64 + 1;

/// Positions in a glob.
type Positions = [u64; WORDS];

/// A glob that is ready for use.
#[derive(Clone, Debug)]
pub struct Glob {
    /// Where each letter of it stands.
    letters: Vec<(u8, Positions)>,
    /// Where any letter may stand: a `?`.
    any: Positions,
    /// Where any number of letters may stand: a `*`.
    many: Positions,
    /// Where nothing is left of it.
    end: usize,
    /// How many words matter.
    words: usize,
    /// It is a beginning and one `*`.
    is_prefix: bool,
    start: Box<str>,
}

/// Whether letters of a name stand for others.
pub fn is_glob(name: &str) -> bool {
    name.contains(['*', '?'])
}

impl Glob {
    /// Reads a glob. What is longer than any name can be takes no name.
    pub fn new(text: &str) -> Self {
        let start = text.split(['*', '?']).next().unwrap_or_default();
        let mut glob = Self {
            letters: Vec::new(),
            any: [0; WORDS],
            many: [0; WORDS],
            end: 0,
            words: 1,
            is_prefix: text.len() <= LONGEST && text.strip_prefix(start) == Some("*"),
            start: start.into(),
        };
        let mut before = None;
        for letter in text.bytes().take(LONGEST + 1) {
            // Two are as good as one.
            if before == Some(b'*') && letter == b'*' {
                continue;
            }
            before = Some(letter);
            glob.add(letter);
        }
        glob
    }

    fn add(&mut self, letter: u8) {
        if self.end >= LONGEST {
            // Nothing is as long as that.
            self.letters.clear();
            (self.any, self.many) = ([0; WORDS], [0; WORDS]);
            return;
        }
        let positions = match letter {
            b'*' => &mut self.many,
            b'?' => &mut self.any,
            _ => {
                let known = self.letters.iter().position(|(known, _)| *known == letter);
                let place = known.unwrap_or(self.letters.len());
                if known.is_none() {
                    self.letters.push((letter, [0; WORDS]));
                }
                &mut self.letters[place].1
            }
        };
        positions[self.end / 64] |= 1 << (self.end % 64);
        self.end += 1;
        self.words = self.end / 64 + 1;
    }

    /// Returns what each name that it takes begins with.
    pub fn start(&self) -> &str {
        &self.start
    }

    /// Whether it takes whatever begins with [`Self::start`].
    pub fn is_prefix(&self) -> bool {
        self.is_prefix
    }

    /// Whether it takes a name.
    pub fn takes(&self, name: &str) -> bool {
        if !name.starts_with(&*self.start) {
            return false;
        }
        if self.is_prefix {
            return true;
        }
        let mut at = [0; WORDS];
        at[0] = 1;
        self.past_many(&mut at);
        for letter in name.bytes() {
            self.step(&mut at, letter);
        }
        at[self.end / 64] >> (self.end % 64) & 1 == 1
    }

    /// Goes on by one letter of a name.
    fn step(&self, at: &mut Positions, letter: u8) {
        let known = self.letters.iter().find(|(known, _)| *known == letter);
        let known = known.map_or([0; WORDS], |(_, positions)| *positions);
        let here = known.iter().zip(&self.any).map(|(known, any)| known | any);
        let mut carried = 0;
        for ((at, here), many) in at.iter_mut().zip(here).zip(&self.many).take(self.words) {
            let moved = *at & here;
            *at = (moved << 1 | carried) | (*at & many);
            carried = moved >> 63;
        }
        self.past_many(at);
    }

    /// A `*` may also stand for nothing.
    fn past_many(&self, at: &mut Positions) {
        let mut carried = 0;
        for (at, many) in at.iter_mut().zip(&self.many).take(self.words) {
            *at |= carried;
            let passed = *at & many;
            *at |= passed << 1;
            carried = passed >> 63;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wildmatch::WildMatch;

    use super::*;

    #[test]
    fn globs_take_names() {
        let long = "a".repeat(LONGEST);
        for (glob, name, takes) in [
            ("*", "", true),
            ("*", "a", true),
            ("?", "", false),
            ("?", "a", true),
            ("a*", "a", true),
            ("a*", "b", false),
            ("*a", "ba", true),
            ("*a", "ab", false),
            ("a?c*", "abcd", true),
            ("**b**", "abc", true),
            ("*?*", "", false),
            ("feature-*-on", "feature-x-on", true),
            ("feature-*-on", "feature-on", false),
            (&format!("{long}*"), &long, false),
            (&format!("{}*", &long[1..]), &long, true),
            (&format!("*{}", &long[1..]), &long, true),
            (&format!("*{}b", &long[2..]), &long, false),
            (&"?".repeat(LONGEST), &long, true),
            (&"?".repeat(LONGEST + 1), &format!("{long}a"), false),
        ] {
            assert_eq!(Glob::new(glob).takes(name), takes, "{glob} {name}");
        }
    }

    proptest! {
        #[test]
        fn it_takes_what_others_take(glob in "[ab*?]{0,12}|[ab*?]{60,80}|[a*]{120,140}", name in "[ab]{0,12}|[ab]{50,140}|a{0,140}") {
            let takes = Glob::new(&glob).takes(&name);
            prop_assert_eq!(takes, WildMatch::new(&glob).matches(&name));
        }
    }
}
