//! The wall clock jumps by an hour: nothing restarts for it, nothing is lost, and the Lease stays where it is.

use reroll_harness::{Arena, LEADER, Offset, deployment};

#[tokio::test]
async fn jumps_of_an_hour_change_nothing() {
    let arena = Arena::new("clock").await;
    let offset = Offset::new(&arena);
    // Only the clock may take the Lease away, not a busy machine.
    let reroll = arena.reroll().flag("--lease-duration", "1m");
    let reroll = reroll.flag("--sweep-interval", "1s");
    let reroll = offset.of(reroll).start().await;
    for name in ["before", "kept"] {
        arena.secret(name, &[("k", "one")]).await;
        arena.create(&deployment(name, name, "k")).await;
        arena.adopted("Deployment", name).await;
    }
    let recorder = arena.record().await;
    let leads = reroll.count(LEADER).await;
    assert_eq!(leads, 1);
    for (number, hours) in [1, -1, 24, 0].into_iter().enumerate() {
        arena.delete("Secret", "before").await;
        offset.hours(hours);
        // A deletion from before the jump, a creation after it, and a workload that is new under this time.
        arena.secret("before", &[("k", "one")]).await;
        let name = format!("new-{number}");
        arena.create(&deployment(&name, "kept", "k")).await;
        arena.adopted("Deployment", &name).await;
        recorder.settle(&arena).await;
        recorder.expect("Deployment", "before", number + 1);
        recorder.expect("Deployment", "kept", 0);
        recorder.expect("Deployment", &name, 0);
        assert_eq!(reroll.count(LEADER).await, 1, "{hours} h");
    }
    let lost = reroll.log().matches("lost the Lease").count();
    assert_eq!(lost, 0);
    arena.update_secret("kept", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "kept", 1);
    for number in 0..4 {
        recorder.expect("Deployment", &format!("new-{number}"), 1);
    }
}

#[tokio::test]
async fn a_process_that_starts_with_a_wrong_clock_works() {
    for hours in [-1, 1] {
        let arena = Arena::new("clock-start").await;
        let offset = Offset::new(&arena);
        offset.hours(hours);
        let reroll = arena.reroll();
        let reroll = offset.of(reroll);
        let _reroll = reroll.start().await;
        arena.secret("s", &[("k", "one")]).await;
        arena.create(&deployment("web", "s", "k")).await;
        arena.adopted("Deployment", "web").await;
        let recorder = arena.record().await;
        arena.recreate_secret("s", &[("k", "one")]).await;
        recorder.settle(&arena).await;
        recorder.expect("Deployment", "web", 1);
    }
}
