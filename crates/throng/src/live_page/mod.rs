//! A page that is served while a run or a sweep lasts (`--web`), and brought up to date in the browsers that show it.
//!
//! What it shows is drawn once, however many look at it, and only while anybody does. Each of them has a thread that sends
//! what has changed since it last sent something: one that reads slowly skips what was shown in between, and nothing is kept
//! for it. `access.rs` says who may see the page.

mod access;
mod at;

pub(crate) use at::At;

use crate::Failure;
use crate::responder::{self, Answer, Content, Piecewise, Request};
use access::Access;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::TcpListener;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use throng_report::html::live::{self, Drawn, FILES, POLICY, Part};

/// Browsers that the page is brought up to date in at once.
const VIEWERS: usize = 32;
/// Clients at once besides these: those that load the page.
const CLIENTS: usize = 40;
/// How often a viewer hears something, also if nothing has changed: that shows whether it is still there.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long somebody who has loaded the page counts as looking at it: a browser without a script loads it again within this time.
const LOOKS: Duration = Duration::from_secs(12);
/// The version that the page begins with: nothing is known yet.
const FIRST: u64 = 1;
/// What is older than this is drawn anew before the page is loaded.
const STALE: Duration = Duration::from_millis(1500);
/// How long loading the page waits for that.
const WAIT: Duration = Duration::from_secs(2);
/// How long the end waits until viewers have been sent the last state.
const FAREWELL: Duration = Duration::from_secs(1);

/// The page. Clones are the same one.
#[derive(Clone)]
pub(crate) struct LivePage(Arc<Shared>);

struct Shared {
    /// Tells this page from others at the same address.
    run: String,
    access: Access,
    state: Mutex<State>,
    /// Something has changed in the state.
    changed: Condvar,
    /// Who looks at it. Nobody keeps this lock for longer than a moment: the run itself asks.
    audience: Mutex<Audience>,
    /// Somebody looks at it no more.
    left: Condvar,
}

/// Who looks at a page.
#[derive(Default)]
struct Audience {
    viewers: usize,
    /// Until when somebody who has loaded the page counts as looking at it.
    loaded: Option<Instant>,
}

/// What the page shows.
struct State {
    drawn: Drawn,
    /// The version in which each part became what it is.
    since: Vec<u64>,
    version: u64,
    /// When it was drawn.
    at: Instant,
    /// What changed from the version before, once somebody asked for it.
    latest: Option<Arc<str>>,
}

/// Where a page is going to be served.
pub(crate) struct Place {
    listener: TcpListener,
    access: Access,
}

impl Place {
    /// Takes the address.
    ///
    /// # Errors
    /// It can't be listened on.
    pub fn take(asked: &At) -> Result<Place, Failure> {
        let wrong = |e: io::Error| Failure::usage(format!("--web={asked}: {e}"));
        let listener = listen(asked).map_err(|e| {
            let owner = responder::owner(&e, asked.address());
            Failure::usage(format!("--web={asked}: {e}{owner}"))
        })?;
        let access = listener.local_addr().and_then(Access::to).map_err(wrong)?;
        Ok(Place { listener, access })
    }

    /// Serves the page, which begins as `drawn`, and says on stderr where.
    ///
    /// # Errors
    /// There is no thread for it.
    pub fn serve(self, drawn: Drawn) -> Result<LivePage, Failure> {
        let url = self.access.url();
        let page = LivePage::new(self.access, drawn);
        let served = page.clone();
        responder::serve(self.listener, CLIENTS, move |request| {
            served.answer(request)
        })
        .map_err(|e| Failure::fault(format!("--web: no thread: {e}")))?;
        eprintln!("throng: live at {url}");
        Ok(page)
    }
}

impl LivePage {
    fn new(access: Access, drawn: Drawn) -> LivePage {
        LivePage(Arc::new(Shared {
            run: format!("{:016x}", RandomState::new().build_hasher().finish()),
            access,
            state: Mutex::new(State {
                since: vec![FIRST; drawn.parts.len()],
                drawn,
                version: FIRST,
                at: Instant::now(),
                latest: None,
            }),
            changed: Condvar::new(),
            audience: Mutex::default(),
            left: Condvar::new(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn audience(&self) -> MutexGuard<'_, Audience> {
        let audience = self.0.audience.lock();
        audience.unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for at most `most`, and only while `so` is true of the state.
    fn wait_while(&self, most: Duration, so: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let waited = self
            .0
            .changed
            .wait_timeout_while(self.state(), most, |state| so(state));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Whether anybody looks at it.
    pub fn is_watched(&self) -> bool {
        let audience = self.audience();
        let loaded = audience.loaded.is_some_and(|until| Instant::now() < until);
        audience.viewers > 0 || loaded
    }

    /// Shows `drawn` from now on. What follows the end is not shown.
    pub fn show(&self, drawn: Drawn) {
        let mut state = self.state();
        if !state.drawn.over {
            state.show(drawn);
            self.0.changed.notify_all();
        }
    }

    /// Shows `part` from now on in place of the one of its name, which is there.
    pub fn show_part(&self, part: Part) {
        let mut drawn = self.state().drawn.clone();
        for known in drawn.parts.iter_mut().filter(|known| known.id == part.id) {
            *known = part.clone();
        }
        self.show(drawn);
    }

    /// Waits for a moment until those who look at it have been sent the last state.
    pub fn end(&self) {
        let here = |audience: &mut Audience| audience.viewers > 0;
        let left = &self.0.left;
        let _ = left.wait_timeout_while(self.audience(), FAREWELL, here);
    }

    fn answer(&self, request: &Request) -> Answer {
        if let Some((_, content_type, text)) = FILES.iter().find(|(path, ..)| *path == request.path)
        {
            return Answer::page(content_type, text.as_bytes().into());
        }
        if !matches!(request.path, "/" | "/events") {
            return Answer::refused("404 Not Found");
        }
        let cookie = match self.0.access.check(request) {
            Ok(cookie) => cookie,
            Err(why) => return Answer::text("403 Forbidden", why),
        };
        match request.path {
            "/" => {
                let mut fields = vec![
                    ("Content-Security-Policy", POLICY.to_owned()),
                    ("Referrer-Policy", "no-referrer".to_owned()),
                    ("Cross-Origin-Resource-Policy", "same-origin".to_owned()),
                ];
                fields.extend(cookie.map(|cookie| ("Set-Cookie", cookie)));
                let page = self.loaded().into_bytes();
                Answer {
                    fields,
                    ..Answer::page("text/html; charset=utf-8", page.into())
                }
            }
            _ => self.followed(request),
        }
    }

    /// The page as it is, or as it is drawn anew within a moment.
    fn loaded(&self) -> String {
        let now = Instant::now();
        self.audience().loaded = Some(now + LOOKS);
        let mut state = self.state();
        let known = state.version;
        let is_old = state.version == FIRST || now.duration_since(state.at) > STALE;
        if is_old && !state.drawn.over {
            drop(state);
            state = self.wait_while(WAIT, |state| state.version == known);
        }
        // Drawn without the lock, which the run's own thread may need.
        let (drawn, version) = (state.drawn.clone(), state.version);
        drop(state);
        live::page(&drawn, &self.0.run, version)
    }

    /// An answer that goes on with each change.
    fn followed(&self, request: &Request) -> Answer {
        let Some(viewer) = Viewer::of(self) else {
            return Answer::refused("503 Service Unavailable");
        };
        // Where the browser lost the connection, it says itself what it has.
        let had = request
            .field("last-event-id")
            .and_then(|id| id.split_once('.'));
        let had = had.or_else(|| Some((request.parameter("run")?, request.parameter("from")?)));
        let known = had
            .filter(|(run, _)| *run == self.0.run)
            .and_then(|(_, version)| version.parse().ok());
        Answer {
            content: Content::Stream(Box::new(move |send| {
                viewer.follow(known.unwrap_or(0), send)
            })),
            ..Answer::page("text/event-stream", Vec::new().into())
        }
    }
}

/// The listener at the address asked for; at the usual one, where another process has that, at a port of the kernel's choice.
fn listen(asked: &At) -> io::Result<TcpListener> {
    match TcpListener::bind(asked.address()) {
        Err(e) if e.kind() == io::ErrorKind::AddrInUse && asked.is_usual() => {
            TcpListener::bind((asked.address().ip(), 0))
        }
        other => other,
    }
}

impl State {
    fn show(&mut self, drawn: Drawn) {
        let version = self.version + 1;
        let before = std::mem::take(&mut self.since);
        let known = self.drawn.parts.iter().zip(before);
        let known: Vec<_> = known.collect();
        self.since = drawn
            .parts
            .iter()
            .map(|part| {
                let same = known.iter().find(|(old, _)| *old == part);
                same.map_or(version, |(_, since)| *since)
            })
            .collect();
        (self.drawn, self.version, self.at) = (drawn, version, Instant::now());
        self.latest = None;
    }

    /// What changed after version `known`, as an event.
    fn changes(&mut self, run: &str, known: u64) -> Arc<str> {
        let event = |state: &State| -> Arc<str> {
            let is_new = |n: usize, _: &Part| state.since[n] > known;
            let changes = live::changes(&state.drawn, run, state.version, is_new);
            format!("id: {run}.{}\ndata: {changes}\n\n", state.version).into()
        };
        if known + 1 != self.version {
            return event(self);
        }
        if self.latest.is_none() {
            self.latest = Some(event(self));
        }
        Arc::clone(self.latest.as_ref().expect("just drawn"))
    }
}

/// A browser that the page is brought up to date in, until this is dropped.
struct Viewer(LivePage);

impl Viewer {
    /// One more, if there is room.
    fn of(page: &LivePage) -> Option<Viewer> {
        let mut audience = page.audience();
        (audience.viewers < VIEWERS).then(|| {
            audience.viewers += 1;
            Viewer(page.clone())
        })
    }

    /// Sends each change after version `known`, until the end.
    fn follow(&self, mut known: u64, send: &mut Piecewise) -> io::Result<()> {
        // Browsers ask again after this time, in milliseconds, if they lose the connection.
        send(b"retry: 2000\n\n")?;
        loop {
            let page = &self.0;
            let mut state = page.wait_while(HEARTBEAT, |state| state.version == known);
            if state.version == known {
                drop(state);
                send(b":\n\n")?;
                continue;
            }
            let event = state.changes(&page.0.run, known);
            let over = state.drawn.over;
            known = state.version;
            drop(state);
            send(event.as_bytes())?;
            if over {
                return Ok(());
            }
        }
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.0.audience().viewers -= 1;
        self.0.0.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn drawn(texts: &[&str]) -> Drawn {
        let part = |(n, text): (usize, &&str)| Part {
            place: live::Place::Top,
            id: format!("p{n}"),
            html: (*text).into(),
        };
        Drawn {
            title: "title".into(),
            parts: texts.iter().enumerate().map(part).collect(),
            over: false,
        }
    }

    fn page(texts: &[&str]) -> LivePage {
        let access = Access::to("127.0.0.1:1".parse().unwrap()).unwrap();
        LivePage::new(access, drawn(texts))
    }

    /// The elements in an event.
    fn elements(event: &str) -> Vec<Option<String>> {
        let data = event
            .lines()
            .find_map(|l| l.strip_prefix("data: "))
            .unwrap();
        let read: Value = serde_json::from_str(data).unwrap();
        let parts = read["places"][0][1].as_array().unwrap().iter();
        parts
            .map(|part| part[1].as_str().map(String::from))
            .collect()
    }

    #[test]
    fn a_viewer_is_sent_what_changed_since_it_was_last_sent_something() {
        let page = page(&["a", "b"]);
        page.show(drawn(&["a", "c"]));
        page.show(drawn(&["a", "c", "d"]));
        let since = |known| elements(&page.state().changes("run", known));
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(since(2), [None, None, text("d")]);
        assert_eq!(since(1), [None, text("c"), text("d")]);
        assert_eq!(since(0), [text("a"), text("c"), text("d")]);
        // Drawn once for all who are as far.
        let event = || page.state().changes("run", 2);
        assert!(Arc::ptr_eq(&event(), &event()));
    }

    #[test]
    fn a_viewer_that_reads_slowly_skips_what_was_shown_in_between() {
        let page = page(&["1"]);
        let viewer = Viewer::of(&page).unwrap();
        let mut sent = Vec::new();
        let followed = viewer.follow(1, &mut |piece| {
            let event = str::from_utf8(piece).unwrap().to_owned();
            // While the first event is sent, a thousand more are shown, and then the end.
            if sent.is_empty() {
                (0..1000).for_each(|n| page.show(drawn(&[&n.to_string()])));
                let over = Drawn {
                    over: true,
                    ..drawn(&["end"])
                };
                page.show(over);
                page.show(drawn(&["after the end"]));
            }
            sent.push(event);
            Ok(())
        });
        followed.unwrap();
        assert_eq!(sent.len(), 2, "{sent:?}");
        assert_eq!(elements(&sent[1]), [Some("end".to_owned())]);
    }

    #[test]
    fn viewers_are_bounded_and_leave_their_places() {
        let page = page(&["a"]);
        let all: Vec<Viewer> = (0..VIEWERS).map(|_| Viewer::of(&page).unwrap()).collect();
        assert!(Viewer::of(&page).is_none() && page.is_watched());
        drop(all);
        assert!(!page.is_watched());
        assert!(Viewer::of(&page).is_some());
        page.end();
    }
}
