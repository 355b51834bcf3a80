//! A story in a real cluster.

use std::time::{Duration, Instant};

use kube::Client;
use serde_json::Value;
use tokio::time::sleep;

use crate::{
    Pictures, picture,
    step::{Step, Teller},
    stories::Story,
};

/// The longest that anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(3);
/// How many times in a row a picture is the expected one.
const TIMES: u32 = 4;

/// Tells a story, and compares what there is at each rest. Returns how it differs.
pub(crate) async fn tell(client: Client, story: &Story, expected: &Pictures) -> Option<String> {
    let (name, namespace) = (&story.name, story.name.clone());
    let teller = Teller { client, namespace };
    teller.create_namespace().await;
    let mut expected = expected.iter();
    for step in &story.steps {
        if let Step::Rest(rest) = step {
            let (_, expected) = expected.next().unwrap();
            if let Err(differs) = compare(&teller, expected).await {
                return Some(format!("{name}, {rest}:\n{differs}"));
            }
        } else if !teller.does(step, PATIENCE).await {
            return Some(format!("{name}: waited in vain: {step:?}"));
        }
    }
    None
}

async fn compare(teller: &Teller, expected: &Value) -> Result<(), String> {
    let (began, mut times) = (Instant::now(), 0);
    loop {
        let found = picture::take(teller).await;
        if found == *expected {
            times += 1;
        } else {
            times = 0;
        }
        if times == TIMES {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err(picture::difference(&found, expected));
        }
        sleep(Duration::from_millis(300)).await;
    }
}
