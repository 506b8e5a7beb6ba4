//! What is counted of HTTP.

use super::malformed::Malformed;
use super::redirect::Redirect;
use super::status::Status;
use crate::stats::counter::counts;
use crate::stats::kinds;

kinds! {
    /// Why a request failed that was sent, or begun.
    pub enum Failed {
        /// The peer reset the connection.
        Reset: "reset", "the connection was reset";
        /// The peer closed the connection before the answer was complete.
        ClosedEarly: "closed_early", "the connection was closed before the answer was complete";
        /// The peer no longer acknowledged what was sent.
        TimedOut: "timed_out", "the peer acknowledged nothing more";
        /// There was no whole answer in time.
        Timeout: "timeout", "no whole answer in time (--timeout)";
        /// An error on this side.
        Error: "error", "an error on this side";
        /// The answer makes no sense.
        Malformed: "malformed", "the answer was malformed";
        /// The body lacks the text that was expected.
        Body: "body", "the body lacks the expected text";
        /// Its status is not among those that are expected.
        Status: "status", "the status was not expected";
        /// It was redirected, and the redirect was not followed.
        Redirect: "redirect", "it was redirected to where it can't be sent, or too often";
    }
}

counts! {
    /// One worker's counts of HTTP. On connections that this side opened they add up: completed + failed + requests under way,
    /// or cut off by the end of the run, = requests.
    pub struct Counters {
        /// Requests with a whole answer that was expected. On accepted connections: answers.
        completed,
        /// Interim answers (1xx).
        interim,
        /// Bytes of heads.
        head_bytes,
        /// Bytes of bodies, without what surrounds chunks.
        body_bytes,
        /// Answers after which the peer was to close the connection, because one side said so.
        announced,
        /// Connections on which an answer had a status that was not expected.
        unexpected,
        /// Connections on which an answer lacked the text that was expected.
        lacking,
        /// Connections on which a redirect was not followed, where redirects are.
        strayed,
        /// Connections that were closed because an answer was not whole in time.
        late,
        /// Event streams that began.
        streams,
        /// Those that the server ended.
        streams_ended,
        /// Those that were broken off.
        streams_lost,
        /// Events of streams.
        events,
        /// Events that are missing between the numbers of two.
        events_missed,
        /// Requests that were begun. On accepted connections: whole requests.
        requests,
    }
    by kind {
        /// Final answers, by their status.
        status: Status,
        /// Requests that failed, by cause.
        failed: Failed,
        /// Connections on which something arrived that makes no sense, by what it was.
        malformed: Malformed,
        /// Redirects, where they are followed, by what became of them.
        redirects: Redirect,
    }
    parts {}
    times {}

    /// A reading of [`Counters`], or the sum of several.
    pub struct Tally;
}

impl Counters {
    /// Counts a final answer with this status code.
    #[inline]
    pub fn answered(&self, code: u16) {
        self.status[Status::of(code) as usize].add(1);
    }

    /// Counts this many requests that failed.
    pub fn fail(&self, why: Failed, requests: u64) {
        self.failed[why as usize].add(requests);
    }

    /// Counts a redirect, where redirects are followed.
    pub fn redirected(&self, how: Redirect) {
        self.redirects[how as usize].add(1);
    }

    /// Counts a connection on which something arrived that makes no sense.
    pub fn malformed(&self, how: Malformed) {
        self.malformed[how as usize].add(1);
    }
}

impl Tally {
    /// Final answers with this status.
    pub fn status(&self, status: Status) -> u64 {
        self.status[status as usize]
    }

    /// Requests that failed so.
    pub fn failed(&self, why: Failed) -> u64 {
        self.failed[why as usize]
    }

    /// Redirects of which this became.
    pub fn redirected(&self, how: Redirect) -> u64 {
        self.redirects[how as usize]
    }

    /// Connections on which something arrived that makes no sense in this way.
    pub fn malformed(&self, how: Malformed) -> u64 {
        self.malformed[how as usize]
    }
}
