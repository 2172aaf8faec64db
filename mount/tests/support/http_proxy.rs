//! A proxy that understands HTTP: it refuses single requests, holds them or their answers, and
//! begins listings with an empty page. What no rule is for passes through.

mod gate;
mod listing;
mod message;

use std::collections::HashMap;
use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use self::gate::Gate;
pub use self::gate::Hold;
use self::listing::EmptyPages;
pub use self::message::Head;

use super::Server;

/// What a store says instead of doing what it is asked.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    pub status: u16,
    /// S3's name of the error.
    pub code: &'static str,
}

pub const ACCESS_DENIED: Refusal = Refusal {
    status: 403,
    code: "AccessDenied",
};

/// As stores in front of a full disk say it (RFC 4918, section 11.5).
pub const NO_SPACE: Refusal = Refusal {
    status: 507,
    code: "InsufficientStorage",
};

impl Refusal {
    fn to_answer(self) -> Vec<u8> {
        let (status, code) = (self.status, self.code);
        let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>");
        let head = format!("HTTP/1.1 {status} {code}\r\n");
        [head.into_bytes(), with_length(body.as_bytes())].concat()
    }
}

#[derive(Clone)]
enum Action {
    Refuse(Refusal),
    HoldRequest(Arc<Gate>),
    HoldAnswer(Arc<Gate>),
    CutRequest,
    CutAnswer,
    AnswerAsAtFirst(Arc<Answers>),
    EmptyFirstPages(Arc<EmptyPages>),
}

/// What was answered first, by what was asked for.
type Answers = Mutex<HashMap<String, Vec<u8>>>;

/// What happens to the next requests that match.
struct Rule {
    matches: Box<dyn FnMut(&Head) -> bool + Send>,
    left: u32,
    action: Action,
}

/// Goes on listening until the test's process ends.
pub struct HttpProxy {
    address: SocketAddr,
    rules: Arc<Mutex<Vec<Rule>>>,
}

impl HttpProxy {
    /// Listens on a free port of loopback, in front of `server`.
    pub fn start(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let target = server.endpoint.trim_start_matches("http://").to_owned();
        let rules = Arc::<Mutex<Vec<Rule>>>::default();
        let shared = rules.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (target, rules) = (target.clone(), shared.clone());
                // Either side may end a connection; then the client makes another.
                thread::spawn(move || serve(client, &target, &rules));
            }
        });
        Self { address, rules }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next `times` requests that match are refused.
    pub fn refuse(
        &self,
        times: u32,
        refusal: Refusal,
        matches: impl FnMut(&Head) -> bool + Send + 'static,
    ) {
        self.add(times, Action::Refuse(refusal), matches);
    }

    /// The next request that matches does not get to the server before it is let go.
    pub fn hold_request(&self, matches: impl FnMut(&Head) -> bool + Send + 'static) -> Hold {
        let gate = Gate::new();
        self.add(1, Action::HoldRequest(gate.clone()), matches);
        Hold(gate)
    }

    /// The answer to the next request that matches does not get to the client before it is let go.
    pub fn hold_answer(&self, matches: impl FnMut(&Head) -> bool + Send + 'static) -> Hold {
        let gate = Gate::new();
        self.add(1, Action::HoldAnswer(gate.clone()), matches);
        Hold(gate)
    }

    /// The next request that matches does not get to the server: the connection ends.
    pub fn cut_request(&self, matches: impl FnMut(&Head) -> bool + Send + 'static) {
        self.add(1, Action::CutRequest, matches);
    }

    /// The server does the next request that matches, and the connection ends before its answer.
    pub fn cut_answer(&self, matches: impl FnMut(&Head) -> bool + Send + 'static) {
        self.add(1, Action::CutAnswer, matches);
    }

    /// Requests that match are answered as the first for the same range of the same object was, on
    /// whatever condition, as a cache does that does not heed them.
    pub fn answer_as_at_first(&self, matches: impl FnMut(&Head) -> bool + Send + 'static) {
        self.add(u32::MAX, Action::AnswerAsAtFirst(Arc::default()), matches);
    }

    /// From now on all requests pass.
    pub fn end_rules(&self) {
        self.rules.lock().unwrap().clear();
    }

    /// Every listing begins with an empty page from now on.
    pub fn empty_first_pages(&self) {
        let pages = Action::EmptyFirstPages(Arc::default());
        self.add(u32::MAX, pages, |request| {
            request.parameter("list-type").is_some()
        });
    }

    /// How many requests the rules are still for.
    pub fn left(&self) -> u32 {
        let rules = self.rules.lock().unwrap();
        rules.iter().map(|rule| rule.left).sum()
    }

    fn add(&self, times: u32, action: Action, matches: impl FnMut(&Head) -> bool + Send + 'static) {
        self.rules.lock().unwrap().push(Rule {
            matches: Box::new(matches),
            left: times,
            action,
        });
    }
}

/// What is to happen to a request. All rules see it, since some look at what came before.
fn judge(rules: &Mutex<Vec<Rule>>, request: &Head) -> Option<Action> {
    let mut rules = rules.lock().unwrap();
    let matching = |rule: &mut Rule| (rule.matches)(request);
    let matching: Vec<bool> = rules.iter_mut().map(matching).collect();
    let index = matching.iter().position(|matches| *matches)?;
    rules[index].left -= 1;
    if rules[index].left == 0 {
        return Some(rules.remove(index).action);
    }
    Some(rules[index].action.clone())
}

fn serve(client: TcpStream, target: &str, rules: &Mutex<Vec<Rule>>) -> io::Result<()> {
    let server = TcpStream::connect(target)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = (BufReader::new(client.try_clone()?), client);
    let (mut from_server, mut to_server) = (BufReader::new(server.try_clone()?), server);
    while let Some(request) = Head::read(&mut from_client)? {
        let action = judge(rules, &request);
        let instead = match &action {
            Some(Action::Refuse(refusal)) => Some(refusal.to_answer()),
            Some(Action::EmptyFirstPages(pages)) => pages.kept(&request).map(|page| ok(&page)),
            Some(Action::AnswerAsAtFirst(answers)) => {
                answers.lock().unwrap().get(&range_of(&request)).cloned()
            }
            _ => None,
        };
        if let Some(answer) = instead {
            request.body().copy(&mut from_client, &mut io::sink())?;
            to_client.write_all(&answer)?;
            continue;
        }
        if matches!(action, Some(Action::CutRequest)) {
            break;
        }
        if let Some(Action::HoldRequest(gate)) = &action {
            gate.pass();
        }
        to_server.write_all(request.as_bytes())?;
        request.body().copy(&mut from_client, &mut to_server)?;
        let answer = Head::read(&mut from_server)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let body = answer.body_to(request.method());
        match &action {
            Some(Action::EmptyFirstPages(pages))
                if EmptyPages::is_first(&request) && answer.status() == 200 =>
            {
                let page = body.collect(&mut from_server)?;
                to_client.write_all(&ok(&pages.empty_before(page)))?;
            }
            Some(Action::AnswerAsAtFirst(answers)) => {
                let mut whole = answer.as_bytes().to_vec();
                body.copy(&mut from_server, &mut whole)?;
                to_client.write_all(&whole)?;
                if answer.status() < 300 {
                    answers.lock().unwrap().insert(range_of(&request), whole);
                }
            }
            Some(Action::CutAnswer) => {
                body.copy(&mut from_server, &mut io::sink())?;
                break;
            }
            _ => {
                if let Some(Action::HoldAnswer(gate)) = &action {
                    gate.pass();
                }
                to_client.write_all(answer.as_bytes())?;
                body.copy(&mut from_server, &mut to_client)?;
            }
        }
        if answer.is_last() || body == message::Body::UntilTheEnd {
            break;
        }
    }
    Ok(())
}

fn range_of(request: &Head) -> String {
    let range = request.header("range").unwrap_or_default();
    format!("{} {range}", request.path())
}

fn ok(body: &[u8]) -> Vec<u8> {
    [b"HTTP/1.1 200 OK\r\n", with_length(body).as_slice()].concat()
}

/// The end of a head, and a body of XML.
fn with_length(body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let headers = format!("Content-Type: application/xml\r\nContent-Length: {length}\r\n\r\n");
    [headers.as_bytes(), body].concat()
}
