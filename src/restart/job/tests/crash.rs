//! Whoever comes after a crash goes on.

use super::*;

/// Where the first process ends: at this request, which the API server carries out, or never sees.
#[derive(Clone, Copy, Debug)]
struct Crash {
    at: &'static str,
    seen: bool,
}

#[tokio::test(start_paused = true)]
async fn another_process_goes_on_where_one_ended() {
    for crash in [
        Crash {
            at: "POST secrets$",
            seen: false,
        },
        Crash {
            at: "POST secrets$",
            seen: true,
        },
        Crash {
            at: DELETE,
            seen: false,
        },
        Crash {
            at: DELETE,
            seen: true,
        },
        Crash {
            at: CREATE,
            seen: false,
        },
        Crash {
            at: CREATE,
            seen: true,
        },
        Crash {
            at: "DELETE secrets/reroll-kept-job",
            seen: false,
        },
        Crash {
            at: "DELETE secrets/reroll-kept-job",
            seen: true,
        },
    ] {
        let stage = Stage::set();
        let key = changed(&stage);
        let turn = if crash.seen {
            Turn::serve()
        } else {
            Turn::lose()
        };
        // The dry run goes first, and is answered.
        if crash.at == CREATE {
            stage.script.turn(DRY_RUN, Turn::serve());
        }
        stage.script.turn(crash.at, turn.unanswered());
        let (work, _) = start_with_jobs(&stage);
        let collects = [CREATE, "DELETE secrets/reroll-kept-job"].contains(&crash.at);
        if collects {
            stage.script.reach(DELETE, 1).await;
            sleep(SETTLE).await;
            collect(&stage, &key);
        }
        let reached = if crash.at == CREATE { 2 } else { 1 };
        stage.script.reach(crash.at, reached).await;
        work.crash().await;
        let again = Stage::again(&stage.script, |again| {
            again.show_secret_now("s");
            if stage.script.object(&path(&key)).is_some() {
                again.show_now(&key);
            }
        });
        let _again = start_with_jobs(&again);
        if !collects {
            settle().await;
            collect(&again, &key);
        }
        settle().await;
        assert!(is_new(&again.object(&key)), "{crash:?}");
        assert_eq!(again.script.object(&stored()), None, "{crash:?}");
        again.show_now(&key);
        settle().await;
        let lost = usize::from(crash.at == CREATE && !crash.seen);
        assert_eq!(
            created(&again) - lost,
            1,
            "{crash:?}: {:#?}",
            again.script.lines()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_process_began_is_told_as_it_was_written_down() {
    let stage = Stage::set();
    let key = changed(&stage);
    let (work, _) = start_with_jobs(&stage);
    stage.script.reach(DELETE, 1).await;
    sleep(SETTLE).await;
    work.crash().await;
    stage.script.remove(&path(&key));
    let again = Stage::again(&stage.script, |again| again.show_secret_now("s"));
    let (work, _) = start_with_jobs(&again);
    settle().await;
    assert!(is_new(&again.object(&key)));
    work.end().await;
    assert_eq!(
        again.told().await,
        ["Restarted: 2027-01-15T08:00:00Z: Secret s was updated"]
    );
}
