//! Which upstream to ask first.
//!
//! Each server has a smoothed round-trip time (RFC 6298's gains) and a count of
//! failures in a row. Those that answer come first, fastest first; one that
//! keeps failing is set aside for a while that doubles, and is tried beside
//! another until it answers again, so that neither a dead first server nor one
//! that comes back is waited for. Time is an argument; nothing here does I/O.

/// Failures in a row after which a server is set aside.
const PATIENCE: u32 = 3;
/// First and longest time a server is set aside, in milliseconds.
const ASIDE: (u64, u64) = (1_000, 30_000);
/// A server that was not measured for so long is tried beside the first.
const REMEASURE: u64 = 10_000;

/// What is known of one server.
#[derive(Debug, Clone, Copy, Default)]
pub struct Health {
    /// Smoothed round-trip time in milliseconds; none before the first answer.
    srtt: Option<f32>,
    failures: u32,
    aside_until: u64,
    /// When it last was asked.
    asked: Option<u64>,
}

impl Health {
    /// It was asked.
    pub fn asked(&mut self, now: u64) {
        self.asked = Some(now);
    }

    /// It answered after `took` milliseconds.
    pub fn answered(&mut self, took: u64) {
        let took = took as f32;
        self.srtt = Some(self.srtt.map_or(took, |srtt| srtt + (took - srtt) / 8.0));
        self.failures = 0;
        self.aside_until = 0;
    }

    /// It refused, failed or kept silent.
    pub fn failed(&mut self, now: u64) {
        self.failures = self.failures.saturating_add(1);
        if let Some(beyond) = self.failures.checked_sub(PATIENCE) {
            let (first, longest) = ASIDE;
            self.aside_until = now + (first << beyond.min(5)).min(longest);
        }
    }

    /// Whether it is set aside.
    #[must_use]
    pub fn is_aside(&self, now: u64) -> bool {
        now < self.aside_until
    }

    /// How long to wait for it before another is asked too: about what the
    /// slowest twentieth of its answers takes.
    #[must_use]
    pub fn hedge_after(&self) -> u64 {
        let srtt = self.srtt.unwrap_or(150.0);
        (srtt * 2.0 + 20.0).clamp(40.0, 400.0) as u64
    }

    fn is_due(&self, now: u64) -> bool {
        self.asked
            .is_none_or(|asked| now.saturating_sub(asked) > REMEASURE)
    }
}

/// Puts `servers` in the order in which to ask them.
pub fn rank(servers: &mut [usize], health: &[Health], now: u64) {
    if servers.len() < 2 {
        return;
    }
    servers.sort_by_key(|server| {
        let health = health.get(*server).copied().unwrap_or_default();
        // One that never answered is as good as a middling one.
        let srtt = health.srtt.unwrap_or(50.0) * (1.0 + health.failures as f32);
        (health.is_aside(now), srtt as u64)
    });
}

/// The server of `ranked`, other than the first, that should be asked beside it
/// to see how it does.
#[must_use]
pub fn to_measure(health: &[Health], ranked: &[usize], now: u64) -> Option<usize> {
    let others = ranked.get(1..).unwrap_or_default().iter().copied();
    others
        .into_iter()
        .find(|server| health.get(*server).is_some_and(|h| h.is_due(now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked(health: &[Health], servers: &[usize], now: u64) -> Vec<usize> {
        let mut servers = servers.to_vec();
        rank(&mut servers, health, now);
        servers
    }

    #[test]
    fn the_fastest_that_answers_is_first_and_a_dead_one_last() {
        let mut health = [Health::default(); 3];
        for _ in 0..10 {
            health[0].answered(30);
            health[1].answered(10);
            health[2].answered(20);
        }
        assert_eq!(ranked(&health, &[0, 1, 2], 0), [1, 2, 0]);
        for _ in 0..PATIENCE {
            health[1].failed(100);
        }
        assert!(health[1].is_aside(1_000) && !health[1].is_aside(1_101));
        assert_eq!(ranked(&health, &[0, 1, 2], 200), [2, 0, 1]);
        for _ in 0..20 {
            health[1].failed(100);
        }
        assert!(health[1].is_aside(30_000) && !health[1].is_aside(30_101));
        health[1].answered(10);
        assert_eq!(ranked(&health, &[0, 1, 2], 200).first(), Some(&1));
    }

    #[test]
    fn a_server_left_alone_is_measured_again() {
        let mut health = [Health::default(); 2];
        health[0].asked(0);
        health[1].asked(0);
        assert_eq!(to_measure(&health, &[0, 1], 5_000), None);
        health[0].asked(20_000);
        assert_eq!(to_measure(&health, &[0, 1], 20_000), Some(1));
    }
}
