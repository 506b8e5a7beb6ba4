//! What every engine must do, over real sockets. Each test is a statement about one behaviour of the
//! event loop and runs on each engine: `cargo test -p throng-engine --test conformance uring::`.
//!
//! - `rig.rs` starts workers, waits for what their counters say, closes them; `peer.rs` is the other
//!   end, plain std sockets; `script.rs` has behaviours made for tests, `ends.rs` what
//!   is said about how connections end.
//! - The other files hold the statements, by subject. A deadline only ends a test that hangs; none passes
//!   or fails by how long something took.
//!
//! Where io_uring cannot be used its statements are skipped, with a warning. In CI (`CI=true`) they fail.

/// Makes a test of each function for each engine: `leaving::uring::a_peer_that_…`.
macro_rules! on_each_engine {
    ($($statement:ident),* $(,)?) => {
        mod uring {
            $(
                #[test]
                fn $statement() {
                    if crate::rig::has_uring() {
                        super::$statement(throng_core::engine::Engine::Uring);
                    }
                }
            )*
        }
        mod epoll {
            $(
                #[test]
                fn $statement() {
                    super::$statement(throng_core::engine::Engine::Epoll);
                }
            )*
        }
    };
}

mod answers;
mod arrivals;
mod closing;
mod connecting;
mod crowd;
mod dropping;
mod early;
mod ends;
mod headers;
mod leaving;
mod orders;
mod pairs;
mod peer;
mod rig;
mod script;
mod serving;
mod skipping;
mod timers;
mod traffic;
mod unix;
mod websocket;
