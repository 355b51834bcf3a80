//! When two indexes are the same: where their `{:?}` is, whatever the order of their maps, and whatever ticks their
//! clocks have reached. Of ticks only the order counts.

const TICK: &str = "Tick(";

/// Returns the same text for the same value.
pub(crate) fn canonical(text: &str) -> String {
    let number = |at: usize| {
        let rest = &text[at + TICK.len()..];
        rest[..rest.find(')')?].parse::<u64>().ok()
    };
    let mut ticks: Vec<u64> = text
        .match_indices(TICK)
        .filter_map(|(at, _)| number(at))
        .collect();
    ticks.sort_unstable();
    ticks.dedup();
    let mut reader = Reader {
        text,
        at: 0,
        ticks: &ticks,
    };
    reader.parts(false)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    ticks: &'a [u64],
}

impl Reader<'_> {
    /// Returns what comes until a bracket closes, in order. `sorted`: its parts have none.
    fn parts(&mut self, sorted: bool) -> String {
        let bytes = self.text.as_bytes();
        let mut parts = Vec::new();
        let mut part = String::new();
        let mut from = self.at;
        while let Some(byte) = bytes.get(self.at) {
            match byte {
                b'"' => self.skip_string(),
                b',' if sorted => {
                    part.push_str(&self.text[from..self.at]);
                    parts.push(std::mem::take(&mut part));
                    self.at += 1;
                    from = self.at;
                }
                b'{' | b'(' | b'[' => {
                    part.push_str(&self.text[from..=self.at]);
                    let is_tick = part.ends_with(TICK);
                    self.at += 1;
                    let inner = self.parts(*byte == b'{');
                    part.push_str(&if is_tick { self.order(&inner) } else { inner });
                    from = self.at;
                    self.at += 1;
                }
                b'}' | b')' | b']' => break,
                _ => self.at += 1,
            }
        }
        part.push_str(&self.text[from..self.at]);
        if !sorted {
            return part;
        }
        parts.push(part);
        for part in &mut parts {
            *part = part.trim().to_owned();
        }
        parts.sort_unstable();
        parts.join(",")
    }

    fn skip_string(&mut self) {
        let bytes = self.text.as_bytes();
        self.at += 1;
        while bytes[self.at] != b'"' {
            self.at += if bytes[self.at] == b'\\' { 2 } else { 1 };
        }
        self.at += 1;
    }

    fn order(&self, tick: &str) -> String {
        let tick: u64 = tick.parse().unwrap();
        self.ticks.partition_point(|one| *one < tick).to_string()
    }
}
