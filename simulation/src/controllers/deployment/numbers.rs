//! How many pods there may be: the arithmetic of rollouts.

use std::sync::Arc;

use serde_json::Value;

use super::super::objects::{annotation, number, replicas};

/// Where a percentage is rounded to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Round {
    Up,
    Down,
}

/// Returns a number, or a percentage of a total, as a number; 0 where it is neither.
pub(crate) fn scaled(value: &Value, total: i64, round: Round) -> i64 {
    if let Some(number) = value.as_i64() {
        return number;
    }
    let text = value.as_str().and_then(|text| text.strip_suffix('%'));
    let percent: i64 = text.and_then(|text| text.parse().ok()).unwrap_or(0);
    match round {
        Round::Up => (percent * total + 99).div_euclid(100),
        Round::Down => (percent * total).div_euclid(100),
    }
}

/// How far a rollout may go from what is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) surge: i64,
    pub(crate) unavailable: i64,
}

impl Limits {
    /// Reads them off a Deployment.
    pub(crate) fn of(deployment: &Value) -> Self {
        let strategy = &deployment["spec"]["strategy"];
        if strategy["type"] != "RollingUpdate" {
            return Self {
                surge: 0,
                unavailable: 0,
            };
        }
        let (rolling, wanted) = (&strategy["rollingUpdate"], replicas(deployment));
        let surge = scaled(&rolling["maxSurge"], wanted, Round::Up);
        let mut unavailable = scaled(&rolling["maxUnavailable"], wanted, Round::Down);
        if surge == 0 && unavailable == 0 {
            unavailable = 1;
        }
        Self {
            surge,
            unavailable: unavailable.min(wanted),
        }
    }
}

/// Returns how many replicas the sets are asked for.
pub(crate) fn asked<'a>(sets: impl IntoIterator<Item = &'a Arc<Value>>) -> i64 {
    sets.into_iter().map(|set| replicas(set)).sum()
}

/// Returns a sum over the statuses of the sets.
pub(crate) fn summed<'a>(sets: impl IntoIterator<Item = &'a Arc<Value>>, pointer: &str) -> i64 {
    sets.into_iter().map(|set| number(set, pointer)).sum()
}

/// Returns the number that an annotation of a set has.
pub(crate) fn noted(set: &Value, name: &str) -> Option<i64> {
    annotation(set, name)?.parse().ok()
}

/// Returns to how many replicas the new set is scaled, where `all` are asked for of all sets and `new` of it.
pub(crate) fn grown(deployment: &Value, all: i64, new: i64) -> i64 {
    let wanted = replicas(deployment);
    if deployment["spec"]["strategy"]["type"] == "Recreate" {
        return wanted;
    }
    let rolling = &deployment["spec"]["strategy"]["rollingUpdate"];
    let most = wanted + scaled(&rolling["maxSurge"], wanted, Round::Up);
    if all >= most {
        return new;
    }
    new + (most - all).min(wanted - new)
}

/// Returns how many replicas more, or fewer, a set gets of `add` where others already got `added`.
pub(crate) fn proportion(set: &Value, deployment: &Value, add: i64, added: i64) -> i64 {
    let own = replicas(set);
    if own == 0 || add == 0 || add == added {
        return 0;
    }
    let (fraction, left) = (fraction(set, deployment), add - added);
    if add > 0 {
        fraction.min(left)
    } else {
        fraction.max(left)
    }
}

fn fraction(set: &Value, deployment: &Value) -> i64 {
    let own = replicas(set);
    if replicas(deployment) == 0 {
        return -own;
    }
    let most = replicas(deployment) + Limits::of(deployment).surge;
    let before = match noted(set, super::sets::MAX) {
        Some(before) if before != 0 => before,
        _ => number(deployment, "/status/replicas"),
    };
    if before == 0 {
        return 0;
    }
    // Half of one is rounded up.
    (2 * own * most + before).div_euclid(2 * before) - own
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(replicas: i64, surge: &Value, unavailable: &Value) -> Value {
        let rolling = json!({ "maxSurge": surge, "maxUnavailable": unavailable });
        json!({ "spec": { "replicas": replicas, "strategy": { "type": "RollingUpdate", "rollingUpdate": rolling } } })
    }

    #[test]
    fn percentages_are_rounded_up_for_surge_and_down_for_unavailable() {
        for (replicas, surge, unavailable, expected) in [
            (1, json!("25%"), json!("25%"), (1, 0)),
            (3, json!("25%"), json!("25%"), (1, 0)),
            (4, json!("25%"), json!("25%"), (1, 1)),
            (10, json!("25%"), json!("25%"), (3, 2)),
            (10, json!(2), json!("100%"), (2, 10)),
            (3, json!(0), json!("10%"), (0, 1)),
            (3, json!("0%"), json!(5), (0, 3)),
            (0, json!(0), json!(1), (0, 0)),
            (0, json!("25%"), json!("25%"), (0, 0)),
        ] {
            let limits = Limits::of(&deployment(replicas, &surge, &unavailable));
            assert_eq!((limits.surge, limits.unavailable), expected, "{replicas}");
        }
        let recreate = json!({ "spec": { "replicas": 3, "strategy": { "type": "Recreate" } } });
        assert_eq!(Limits::of(&recreate).surge, 0);
    }

    #[test]
    fn the_new_set_grows_as_far_as_the_surge_allows() {
        let wanted = deployment(4, &json!(1), &json!(1));
        for (all, new, expected) in [(4, 0, 1), (5, 1, 1), (4, 1, 2), (0, 0, 4), (3, 3, 4)] {
            assert_eq!(grown(&wanted, all, new), expected, "{all} {new}");
        }
    }

    #[test]
    fn sets_are_scaled_in_proportion() {
        let set = |replicas: i64, max: i64| json!({ "spec": { "replicas": replicas }, "metadata": { "annotations": { super::super::sets::MAX: max.to_string() } } });
        let wanted = |replicas: i64| deployment(replicas, &json!(3), &json!(2));
        // As in the documentation: 8 and 5 of 10 with a surge of 3, scaled to 15.
        assert_eq!(proportion(&set(8, 13), &wanted(15), 5, 0), 3);
        assert_eq!(proportion(&set(5, 13), &wanted(15), 5, 3), 2);
        assert_eq!(proportion(&set(8, 13), &wanted(5), -5, 0), -3);
        assert_eq!(proportion(&set(5, 13), &wanted(0), -13, -8), -5);
        assert_eq!(proportion(&set(0, 13), &wanted(5), 5, 0), 0);
    }
}
