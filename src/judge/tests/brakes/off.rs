//! Those that wait for others when somebody says that they need not.

use super::{gates::says, *};
use crate::model::{annotation::SLOW_START, index::at_once, object::SlowStart};

#[tokio::test(start_paused = true)]
async fn who_waits_and_need_not_any_more_goes_at_once() {
    // Who says it, and who goes.
    type Say = fn(&Stage, &[WorkloadKey]);
    let rows: [(&str, Say, &[&str]); 3] = [
        (
            "a workload",
            |stage, keys| says(stage, &keys[2], SLOW_START, "off"),
            &["c"],
        ),
        (
            "the Namespace",
            |stage, _| {
                at_once::set_namespace(&mut stage.state.index_mut(), NAMESPACE, true);
                braking::namespace_changed(&stage.judge, NAMESPACE);
            },
            &["b", "c"],
        ),
        (
            "the source",
            |stage, _| {
                let (key, mut version) = stage.put_secret("s", "A", "y");
                version.slow_start = SlowStart::Off;
                stage.show_secret(&key, version);
            },
            &["b", "c"],
        ),
    ];
    for (who, say, goes) in rows {
        let (stage, keys) = due(&["a", "b", "c"]);
        for key in &keys {
            ask(&stage, key);
        }
        assert_eq!(released(&stage), ["a"], "{who}");
        restarted(&stage, &keys[0], Some(Why::Config));
        assert_eq!(released(&stage), [""; 0], "{who}");
        stage.set_time(NOW + 1);
        say(&stage, &keys);
        let next = stage.judge.docket().brakes.next();
        assert!(
            next.is_some_and(|next| next <= stage.state.time()),
            "{who}: {next:?}"
        );
        assert_eq!(released_in(&stage, SignedDuration::ZERO), goes, "{who}");
        let last = keys.last().unwrap();
        assert_eq!(ask(&stage, last), Answer::Go { alone: false }, "{who}");
    }
}
