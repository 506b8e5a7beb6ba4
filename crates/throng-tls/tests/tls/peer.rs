//! A program that was started as a peer: its output, its input, and its end.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::worker::PATIENCE;

pub struct Peer {
    child: Child,
    stdin: Option<ChildStdin>,
    /// On standard output, and on standard error.
    printed: [Arc<Mutex<String>>; 2],
}

impl Peer {
    pub fn start(program: &str, arguments: &[&str]) -> Peer {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{program}: {e} (scripts/test installs it)"));
        let printed: [Arc<Mutex<String>>; 2] = Default::default();
        let streams: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().unwrap()),
            Box::new(child.stderr.take().unwrap()),
        ];
        for (mut stream, printed) in streams.into_iter().zip(&printed) {
            let printed = printed.clone();
            thread::spawn(move || {
                let mut buffer = [0; 65536];
                while let Ok(n @ 1..) = stream.read(&mut buffer) {
                    let text = String::from_utf8_lossy(&buffer[..n]);
                    printed.lock().unwrap().push_str(&text);
                }
            });
        }
        Peer {
            stdin: child.stdin.take(),
            child,
            printed,
        }
    }

    /// All that it has printed, standard output first.
    pub fn printed(&self) -> String {
        let [out, err] = self.printed.each_ref().map(|p| p.lock().unwrap().clone());
        out + &err
    }

    /// Waits until it has printed `text` this many times.
    pub fn wait_for(&self, text: &str, times: usize) {
        let begun = Instant::now();
        while self.printed().matches(text).count() < times {
            assert!(
                begun.elapsed() < PATIENCE,
                "\"{text}\" was not printed {times} times but:\n{}",
                self.printed()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Types something.
    pub fn say(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) {
        self.stdin = None;
        let begun = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(
                begun.elapsed() < PATIENCE,
                "it does not end:\n{}",
                self.printed()
            );
            thread::sleep(Duration::from_millis(5));
        }
        // What it printed last is still being read.
        thread::sleep(Duration::from_millis(20));
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// A port of 127.0.0.1 that was free just now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
