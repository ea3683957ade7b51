//! The time line of a twin's deployment, from what its data plane told: the same phases as on a
//! cluster, less those that a process has not (no node is looked for, no image is pulled).

use super::{FirstAnswers, Moment, Phase, Source, Timeline, answers::since};
use crate::platforms::{
    AnyPlatform,
    twin::{ReplicaNews, Step},
};

/// The time line of the deployment that a twin has or had last; none on a cluster.
pub fn of_twin(platform: &AnyPlatform, answers: &FirstAnswers) -> Option<Timeline> {
    let AnyPlatform::Twin(twin) = platform else { return None };
    let (called_unix_ns, news) = twin.lives();
    (!news.is_empty()).then(|| timeline(called_unix_ns, &news, answers))
}

fn timeline(called_unix_ns: u64, news: &[ReplicaNews], answers: &FirstAnswers) -> Timeline {
    let moment = |one: &ReplicaNews| Moment {
        at_ns: since(called_unix_ns, one.at_unix_ns),
        replica: Some(one.replica.clone()),
        phase: match one.step {
            Step::Requested => Phase::Requested,
            Step::Started => Phase::Started,
            Step::Ready => Phase::Ready,
            Step::Terminating => Phase::Terminating,
            Step::Gone => Phase::Gone,
            Step::Restarted => Phase::Restarted,
        },
        detail: if one.step == Step::Restarted { "its process ended".to_owned() } else { String::new() },
        // The plane is a process on this machine and tells with its own clock, which is this one.
        source: Source::Watch,
    };
    let mut timeline = Timeline {
        started_unix_ns: called_unix_ns,
        moments: news.iter().map(moment).collect(),
        ..Timeline::default()
    };
    timeline.add(answers);
    timeline
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::lives;

    #[test]
    fn a_twins_replicas_have_lives_like_those_of_a_cluster() {
        let news = |replica: &str, step, ms: u64| ReplicaNews {
            replica: replica.into(),
            step,
            at_unix_ns: 1_000_000_000 + ms * 1_000_000,
        };
        let told = [
            news("f-1", Step::Requested, 1),
            news("f-1", Step::Started, 4),
            news("f-1", Step::Ready, 204),
            news("f-1", Step::Terminating, 9000),
            news("f-1", Step::Gone, 9050),
            news("f-2", Step::Requested, 20_000),
            news("f-2", Step::Restarted, 20_100),
        ];
        let mut answers = FirstAnswers::default();
        answers.deployed_at(1_210_000_000);
        let timeline = timeline(1_000_000_000, &told, &answers);
        let found = lives::phases(&timeline);
        assert_eq!(found.len(), 2);
        let stages: Vec<(Phase, f64)> = found[0].stages().iter().map(|s| (s.to, s.ms)).collect();
        assert_eq!(
            stages,
            [
                (Phase::Requested, 1.0),
                (Phase::Started, 3.0),
                (Phase::Ready, 200.0),
                (Phase::FirstAnswer, 6.0)
            ]
        );
        assert_eq!((found[0].at_ms(Phase::Gone), found[1].restarts), (Some(9050.0), 1));
    }
}
